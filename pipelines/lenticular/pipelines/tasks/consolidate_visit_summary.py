"""The task ``consolidateVisitSummary``: the detectors of a visit in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from astropy.table import Column, Table
from lsst.pipe.base import NoWorkFound, PipelineTask, PipelineTaskConfig, PipelineTaskConnections, Struct
from lsst.pipe.base import connectionTypes as cT
from lsst.utils.timer import timeMethod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lsst.images import ObservationSummaryStats
    from lsst.pipe.base import InputQuantizedConnection, OutputQuantizedConnection, QuantumContext

__all__ = [
    "ConsolidateVisitSummaryConfig",
    "ConsolidateVisitSummaryConnections",
    "ConsolidateVisitSummaryTask",
]

_UNITS = {
    "psfSigma": "pix",
    "psfArea": "pix2",
    "psfIxx": "pix2",
    "psfIyy": "pix2",
    "psfIxy": "pix2",
    "ra": "deg",
    "dec": "deg",
    "raCorners": "deg",
    "decCorners": "deg",
    "pixelScale": "arcsec / pix",
    "zenithDistance": "deg",
    "expTime": "s",
    "zeroPoint": "mag",
    "skyBg": "nJy",
    "skyNoise": "nJy",
    "meanVar": "nJy2",
    "astromOffsetMean": "arcsec",
    "astromOffsetStd": "arcsec",
    "maxDistToNearestPsf": "pix",
    "magLim": "mag",
    "effTime": "s",
}


class ConsolidateVisitSummaryConnections(PipelineTaskConnections, dimensions=("instrument", "visit")):
    """Datasets of the task ``consolidateVisitSummary``."""

    statistics = cT.Input(
        name="preliminary_visit_image.summary_stats",
        storageClass="ObservationSummaryStats",
        dimensions=("instrument", "visit", "detector"),
        multiple=True,
        doc="Summary statistics of the calibrated images; the pixels are not read.",
    )
    summary = cT.Output(
        name="preliminary_visit_summary",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit"),
        doc="One row per detector.",
    )


class ConsolidateVisitSummaryConfig(
    PipelineTaskConfig, pipelineConnections=ConsolidateVisitSummaryConnections
):
    """Configuration of the task ``consolidateVisitSummary``."""


class ConsolidateVisitSummaryTask(PipelineTask):
    """Gather the summary statistics of the detectors of a visit."""

    ConfigClass: ClassVar[type[ConsolidateVisitSummaryConfig]] = ConsolidateVisitSummaryConfig
    _DefaultName: ClassVar[str] = "consolidateVisitSummary"
    config: ConsolidateVisitSummaryConfig

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read the inputs, run, write the outputs."""
        statistics = {int(ref.dataId["detector"]): butlerQC.get(ref) for ref in inputRefs.statistics}
        data_id = butlerQC.quantum.dataId
        if data_id is None:
            raise NoWorkFound("The quantum has no data ID")
        butlerQC.put(
            self.run(statistics=statistics, visit=int(data_id["visit"]), band=str(data_id["band"])),
            outputRefs,
        )

    @timeMethod
    def run(self, *, statistics: Mapping[int, ObservationSummaryStats], visit: int, band: str) -> Struct:
        """Gather summary statistics.

        Parameters
        ----------
        statistics
            Summary statistics by detector.
        visit
            Visit ID.
        band
            Band of the visit.

        Returns
        -------
        lsst.pipe.base.Struct
            ``summary``, a table with one row per detector, by rising detector,
            and one column per statistic, with its unit and description.

        Raises
        ------
        lsst.pipe.base.NoWorkFound
            Raised if there is no detector.
        """
        if not statistics:
            raise NoWorkFound(f"Visit {visit} has no calibrated detector")
        detectors = sorted(statistics)
        rows = [statistics[detector] for detector in detectors]
        table = Table(meta={"visit": visit, "band": band})
        table["visit"] = Column(np.full(len(rows), visit, dtype=np.int64), description="Visit.")
        table["detector"] = Column(np.array(detectors, dtype=np.int32), description="Detector.")
        table["band"] = Column(np.full(len(rows), band), description="Band.")
        for name, field in type(rows[0]).model_fields.items():
            values = [getattr(row, name) for row in rows]
            # What does not fit into a column, such as a list of varying length, is left out.
            if not all(isinstance(value, float | int) or _is_corners(value) for value in values):
                continue
            table[name] = Column(np.array(values), unit=_UNITS.get(name), description=field.description)
        self.metadata["n_detector"] = len(rows)
        return Struct(summary=table)


def _is_corners(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 4 and all(isinstance(v, float) for v in value)  # noqa: PLR2004 - a detector has four corners
