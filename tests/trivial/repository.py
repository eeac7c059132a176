"""A repository with one instrument and one small dataset per detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lsst.daf.butler import Butler

__all__ = ["ROOT_VARIABLES", "SEEDS", "fill_repository", "make_repository", "write_pipeline"]

SEEDS = "seeds"
"""RUN collection with the small datasets."""


def make_repository(root: Path, *, detectors: int) -> str:
    """Make a repository (SQLite, folder) with the dataset type ``seed`` in the run ``seeds``."""
    from lsst.daf.butler import Butler

    with Butler.from_config(Butler.makeRepo(str(root)), writeable=True) as butler:
        fill_repository(butler, detectors=detectors)
    return str(root)


def fill_repository(butler: Butler, *, detectors: int) -> None:
    """Put an instrument, its detectors and their seeds into an empty repository."""
    from lsst.daf.butler import DatasetType

    butler.registry.insertDimensionData(
        "instrument",
        {
            "name": "Toy",
            "detector_max": detectors,
            "visit_max": 1,
            "exposure_max": 1,
            "class_name": "lsst.pipe.base.Instrument",
        },
    )
    butler.registry.insertDimensionData(
        "detector",
        *({"instrument": "Toy", "id": number, "full_name": f"D{number}"} for number in range(detectors)),
    )
    seed = DatasetType("seed", ("instrument", "detector"), "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(seed)
    butler.collections.register(SEEDS)
    for number in range(detectors):
        butler.put({"value": 100 * number}, seed, instrument="Toy", detector=number, run=SEEDS)


def write_pipeline(
    path: Path, stages: Sequence[str], configs: Mapping[str, Mapping[str, object]] | None = None
) -> str:
    """Write a pipeline of stages, each of which reads what the one before has made."""
    import json

    tasks = {}
    before = "seed"
    for stage in stages:
        after = f"{stage}_out"
        config = {"connections.before": before, "connections.after": after, **(configs or {}).get(stage, {})}
        tasks[stage] = {"class": "tests.trivial.tasks.StageTask", "config": config}
        before = after
    pipeline = {
        "description": "Stages",
        "tasks": tasks,
        "subsets": {"start": {"subset": [stages[0]], "description": "The first."}},
    }
    path.write_text(json.dumps(pipeline))  # JSON is YAML
    return str(path)


def _root() -> str:
    from pathlib import Path

    return str(Path(__file__).parents[2])


ROOT_VARIABLES = {"PYTHONPATH": _root()}
"""Environment in which another process finds these tasks."""
