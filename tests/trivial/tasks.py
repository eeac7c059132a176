"""Tasks that do next to nothing, and faults that can be asked of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from lsst.pex.config import ChoiceField, Config, ConfigField, DictField, Field, ListField, RangeField
from lsst.pipe.base import PipelineTask, PipelineTaskConfig, PipelineTaskConnections, Struct
from lsst.pipe.base.connectionTypes import Input, Output

__all__ = ["StageConfig", "StageTask"]

_DIMENSIONS = ("instrument", "detector")


class StageConnections(
    PipelineTaskConnections,
    dimensions=_DIMENSIONS,
    defaultTemplates={"before": "seed", "after": "one"},
):
    """One dataset in, one out."""

    source = Input(
        name="{before}", doc="What to add to.", storageClass="StructuredDataDict", dimensions=_DIMENSIONS
    )
    result = Output(name="{after}", doc="The sum.", storageClass="StructuredDataDict", dimensions=_DIMENSIONS)


class Nested(Config):
    """A configuration within a configuration."""

    depth = Field[int](doc="How deep.", default=1)


class StageConfig(PipelineTaskConfig, pipelineConnections=StageConnections):
    """What to add, and which faults to have at which detectors."""

    increment = Field[int](doc="Number to add.", default=1)
    label = Field[str](doc="A text.", default="plain")
    gain = RangeField(doc="A number in a range.", dtype=float, default=1.0, min=0.0, max=10.0)
    method = ChoiceField[str](
        doc="One of several.", default="mean", allowed={"mean": "The mean.", "median": "The median."}
    )
    weights = DictField[str, float](doc="A mapping.", default={})
    nested = ConfigField[Nested](doc="More of it.")
    scratch = Field[str](doc="Folder for traces of what ran.", default="")
    fails_at = ListField[int](doc="Detectors with an exception.", default=[])
    stumbles_at = ListField[int](doc="Detectors that lose a connection, the first time.", default=[])
    dies_at = ListField[int](doc="Detectors whose worker is killed, the first time.", default=[])
    kills_at = ListField[int](doc="Detectors whose worker is killed, always.", default=[])
    holds_at = ListField[int](doc="Detectors that wait until a FIFO is written to.", default=[])


class StageTask(PipelineTask):
    """Adds a number, and leaves a trace."""

    ConfigClass: ClassVar[type[StageConfig]] = StageConfig
    _DefaultName: ClassVar[str] = "stage"
    config: StageConfig

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:  # noqa: N802  upstream's name
        """Execute one quantum; the detector decides which fault it has."""
        detector = int(butlerQC.quantum.dataId["detector"])
        source = butlerQC.get(inputRefs.source)
        if self.config.scratch:
            self._trace(detector)
        result = self.run(source, detector=detector)
        butlerQC.put(result, outputRefs)

    def run(self, source: dict[str, int], *, detector: int) -> Struct:
        """Add the number."""
        self.log.info("Detector %d has %d", detector, source["value"])
        if detector in self.config.fails_at:
            message = f"Detector {detector} is dark, says postgresql://ana:geheim@db/registry"
            raise RuntimeError(message)
        return Struct(result={"value": source["value"] + self.config.increment})

    def _trace(self, detector: int) -> None:
        scratch = Path(self.config.scratch)
        with (scratch / "bodies").open("a") as bodies:
            bodies.write(f"{self.getName()} {detector} {os.getpid()}\n")
        fifo = scratch / f"{self.getName()}-{detector}.fifo"
        if detector in self.config.holds_at and fifo.exists():
            fifo.read_text()
        if (scratch / f"{self.getName()}-{detector}.fail").exists():
            message = f"Detector {detector} is dark for as long as a file is there"
            raise RuntimeError(message)
        once = scratch / f"{self.getName()}-{detector}.once"
        first = not once.exists()
        once.touch()
        if detector in self.config.kills_at or (detector in self.config.dies_at and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if detector in self.config.stumbles_at and first:
            message = "The store did not answer"
            raise ConnectionResetError(message)
