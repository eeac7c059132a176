"""Small repositories and files for tests of registration; writers in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import sqlalchemy

from lenticular.butler import Repository
from lenticular.butler.copying.places import layouts
from lenticular.butler.copying.tables import sorted_blocks
from lenticular.butler.registration import FileToRegister, register_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lsst.daf.butler import Butler

__all__ = [
    "DETECTORS",
    "EXPOSURES",
    "RUN",
    "artifacts",
    "die_while_registering",
    "fill",
    "make_files",
    "register_in_process",
    "rows_of",
    "run_together",
]

RUN = "Cam/raw/all"
EXPOSURES, DETECTORS = 6, 4


def fill(butler: Butler) -> None:
    """Give a repository an instrument, exposures and dataset types."""
    from lsst.daf.butler import DatasetType

    insert, common = butler.registry.insertDimensionData, {"instrument": "Cam"}
    insert("instrument", {"name": "Cam", "class_name": "x.Cam", "detector_max": 99, "visit_max": 999})
    insert("physical_filter", {**common, "name": "r", "band": "r"})
    insert("day_obs", {**common, "id": 20250101})
    insert("detector", *({**common, "id": i, "full_name": f"D{i}"} for i in range(DETECTORS)))
    insert("group", *({**common, "name": f"g{i}"} for i in range(EXPOSURES)))
    insert(
        "exposure",
        *(
            {
                **common,
                "id": i,
                "obs_id": f"o{i}",
                "physical_filter": "r",
                "day_obs": 20250101,
                "group": f"g{i}",
            }
            for i in range(EXPOSURES)
        ),
    )
    for name, dimensions in (
        ("raw", ("instrument", "exposure", "detector")),
        ("notes", ("instrument", "exposure")),
        ("sky", ("htm7",)),
    ):
        kind = DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)


def make_files(folder: Path, *, of: str = "raw") -> list[FileToRegister]:
    """Write a small YAML file for each detector of each exposure, or for each exposure."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for exposure in range(EXPOSURES):
        for detector in range(DETECTORS) if of == "raw" else (None,):
            data_id = {"instrument": "Cam", "exposure": exposure}
            if detector is not None:
                data_id["detector"] = detector
            path = folder / f"{of} {exposure} {detector}.yaml"
            path.write_text(f'{{"exposure": {exposure}, "detector": {detector or 0}}}')
            files.append(FileToRegister(str(path), of, (data_id,)))
    return files


def rows_of(repository: Repository, *, without: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of a registry, without some of the values."""
    found = {}
    for name, layout in layouts(repository.butler).items():
        kept = [place for place, field in enumerate(layout.fields) if field.name not in without]
        found[name] = [
            tuple(row[place] for place in kept)
            for block in sorted_blocks(repository.engine, layout, 1000)
            for row in block
        ]
    return found


def artifacts(root: Path) -> list[Path]:
    """Return the files that a datastore holds, whoever knows of them."""
    return sorted(path for path in (root / "datastore").rglob("*") if path.is_file())


def run_together(
    work: Callable[..., None], arguments: Sequence[tuple[Any, ...]], *, killed: bool = False
) -> list[Any]:
    """Run a function in several processes that begin together, and return what they report.

    Parameters
    ----------
    work
        Function of this package, called with the arguments, a barrier and a queue.
    arguments
        Arguments of each process.
    killed
        Whether the processes end by a signal rather than with a report.
    """
    # Fresh processes, as with "spawn", but the imports are paid for once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.butler.registration_support", "lsst.daf.butler"])
    barrier, results = context.Barrier(len(arguments)), context.Queue()
    writers = [context.Process(target=work, args=(*some, barrier, results)) for some in arguments]
    for writer in writers:
        writer.start()
    reports = [] if killed else [results.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join(timeout=120)
        assert writer.exitcode == (-signal.SIGKILL if killed else 0)
    return reports


def register_in_process(
    root: str, files: list[FileToRegister], transfer: str, barrier: Any, results: Any
) -> None:
    """Register files when the other processes are ready too, and report through a queue."""
    with Repository.open(root, writeable=True) as repository:
        repository.butler.collections.register(RUN)
        barrier.wait(timeout=120)
        report = register_files(repository, files, run=RUN, transfer=transfer)
    results.put((report.registered, report.skipped, [str(error) for _, error in report.failed]))


def die_while_registering(
    root: str, files: list[FileToRegister], transfer: str, step: int, barrier: Any, results: Any
) -> None:
    """Register files up to a step of the database or the file system, and be killed there."""
    del barrier, results
    steps = count()

    def pass_step(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with Repository.open(root, writeable=True) as repository:
        assert repository.butler is not None
        sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", pass_step)
        sqlalchemy.event.listen(sqlalchemy.Engine, "commit", pass_step)
        # Links, copies, renamings and removals of files.
        sys.addaudithook(
            lambda name, _: (
                pass_step() if name in {"os.link", "os.rename", "os.remove", "shutil.copyfile"} else None
            )
        )
        register_files(repository, files, run=RUN, transfer=transfer)
    # It was done before that step came.
    os.kill(os.getpid(), signal.SIGKILL)
