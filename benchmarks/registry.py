"""Datasets of a registry as columns, beside upstream's public interface.

usage: python benchmarks/registry.py [--small]

On SQLite and on every PostgreSQL of this machine (Unix socket): as many references as there are,
2 million, or 200 000 with --small, are read from one run, from a chain of a hundred runs that hide
nothing of each other, and from such a chain of which each run hides half of the next. Both sides
take turns in the same process and have to give the same rows. Each case gives two lines: seconds by
the clock, and seconds of this process's own CPU time, each the best of three.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy

from lenticular.butler import create_repository
from lenticular.butler.columns import query_datasets
from lenticular.platform.services import PostgresServer, find_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from lsst.daf.butler import Butler, DatasetRef

    from lenticular.butler import Repository

__all__ = ["Comparison", "compare", "fill"]

DETECTORS = 100
RUNS = 100
_FEW = 20_000
_ROUNDS = 3


@dataclass(frozen=True)
class Comparison:
    """One case, ours beside its peer."""

    benchmark: str
    case: str
    ours: float
    peer: float
    ratio: float
    unit: str
    peer_name: str
    equal: bool


def fill(repository: Repository, size: int) -> None:
    """Put datasets of three types into a new repository, past the interface that would take hours.

    Parameters
    ----------
    repository
        The repository, open for writing.
    size
        Number of datasets that a search of each type finds.
    """
    butler = repository.butler
    visits = size // DETECTORS
    _insert_dimensions(butler, visits)
    per_run = visits // RUNS
    # What a run holds: visits from the first to before the last.
    contents = {
        "single": {"single/run": (0, visits)},
        "disjoint": {f"disjoint/{run:03}": (run * per_run, (run + 1) * per_run) for run in range(RUNS)},
        "hidden": {
            f"hidden/{run:03}": (run * per_run, min(visits, (run + 2) * per_run)) for run in range(RUNS)
        },
    }
    for name, runs in contents.items():
        _insert_datasets(repository, name, runs)
    repository.analyze()


def _insert_dimensions(butler: Butler, visits: int) -> None:
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "class_name": "x.Cam"})
    filters = [{"instrument": "Cam", "name": f"Cam-{band}", "band": band} for band in "ugrizy"]
    insert("physical_filter", *filters)
    insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(DETECTORS)))
    insert("day_obs", {"instrument": "Cam", "id": 20260101})
    common = {"instrument": "Cam", "day_obs": 20260101, "exposure_time": 30.0}
    names = [one["name"] for one in filters]
    places = [
        {**common, "id": number, "name": f"v{number}", "physical_filter": names[number % 6]}
        for number in range(visits)
    ]
    insert("visit", *places)


def _insert_datasets(repository: Repository, name: str, runs: dict[str, tuple[int, int]]) -> None:
    """Let upstream make the type, the runs, the chain and one dataset a run; add the others."""
    from lsst.daf.butler import CollectionType, DatasetType

    butler = repository.butler
    kind = DatasetType(
        name, ("instrument", "visit", "detector"), "StructuredDataDict", universe=butler.dimensions
    )
    butler.registry.registerDatasetType(kind)
    for run, (first, _) in runs.items():
        butler.collections.register(run)
        ids = [{"instrument": "Cam", "visit": first, "detector": 0}]
        butler.registry.insertDatasets(kind, ids, run=run)
    butler.collections.register(name, CollectionType.CHAINED)
    butler.collections.redefine_chain(name, list(runs))
    known = sqlalchemy.MetaData()
    known.reflect(repository.engine)
    tables = known.tables
    with repository.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # The references are right by construction; checking each takes longer than all else.
            connection.execute(sqlalchemy.text("SET LOCAL session_replication_role = replica"))
        kinds, collections = tables["dataset_type"], tables["collection"]
        row = connection.execute(sqlalchemy.select(kinds).where(kinds.c.name == name)).one()
        columns = (collections.c.name, collections.c.collection_id)
        numbers = {key: number for key, number in connection.execute(sqlalchemy.select(*columns))}  # noqa: C416
        tags = tables[row.tag_association_table]
        came = connection.execute(sqlalchemy.select(tables["dataset"].c.ingest_date)).scalar()
        for block in _rows(row.id, {numbers[run]: visits for run, visits in runs.items()}):
            keys = [one["id"] if connection.dialect.name == "postgresql" else one["id"].hex for one in block]
            datasets = [
                {"id": key, "dataset_type_id": row.id, "run_id": one["run"], "ingest_date": came}
                for key, one in zip(keys, block, strict=True)
            ]
            members = [
                {
                    "dataset_type_id": row.id,
                    "dataset_id": key,
                    "collection_id": one["run"],
                    "instrument": "Cam",
                    "visit": one["visit"],
                    "detector": one["detector"],
                }
                for key, one in zip(keys, block, strict=True)
            ]
            connection.execute(tables["dataset"].insert(), datasets)
            connection.execute(tags.insert(), members)


def _rows(kind: int, runs: dict[int, tuple[int, int]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the datasets that are missing, with version 7 UUIDs that tell kind and count."""
    block: list[dict[str, Any]] = []
    count = 0
    for run, (first, end) in runs.items():
        for visit in range(first, end):
            for detector in range(DETECTORS):
                if (visit, detector) == (first, 0):
                    continue
                count += 1
                key = uuid.UUID(int=count << 84 | 7 << 76 | 2 << 62 | kind << 32 | count)
                block.append({"id": key, "run": run, "visit": visit, "detector": detector})
            if len(block) > _FEW:
                yield block
                block = []
    yield block


def compare(repository: Repository, database: str, name: str, case: str) -> Iterator[Comparison]:
    """Compare one search.

    Parameters
    ----------
    repository
        A filled repository.
    database
        What it is kept in, to be shown.
    name
        The dataset type, which is the collection's name as well.
    case
        What it stands for.
    """
    butler = repository.butler

    def peer() -> list[DatasetRef]:
        return butler.query_datasets(name, name, limit=None)

    def ours() -> pa.Table:
        return query_datasets(repository, name, name)

    table, ours_clock, ours_cpu = _best(ours)
    refs, peer_clock, peer_cpu = _best(peer)
    found = {
        (row["dataset_id"], row["run"], *(row[key] for key in refs[0].dimensions.names))
        for batch in table.to_batches(max_chunksize=_FEW)
        for row in batch.to_pylist()
    }
    expected = {(ref.id.bytes, ref.run, *(ref.dataId[key] for key in ref.dimensions.names)) for ref in refs}
    equal = found == expected and table.num_rows == len(refs)
    title = f"{len(refs)} refs to columns, {case}, {database}"
    for unit, one, other in (("s", ours_clock, peer_clock), ("CPU s", ours_cpu, peer_cpu)):
        yield Comparison(
            "registry",
            title,
            round(one, 4),
            round(other, 4),
            round(other / one, 1),
            unit,
            "Butler.query_datasets",
            equal,
        )


def _best[T](act: Callable[[], T]) -> tuple[T, float, float]:
    """Return what a function returns, and its best times by the clock and of the CPU [s]."""
    clocks, processors = [], []
    for _ in range(_ROUNDS):
        clock, processor = time.perf_counter(), time.process_time()
        result = act()
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
    return result, min(clocks), min(processors)


def _databases(stack: ExitStack, folder: Path) -> Iterator[tuple[str, str | None]]:
    yield "SQLite", None
    for binaries in sorted(
        {found.major: found for found in find_postgresql()}.values(), key=lambda b: b.major
    ):
        place = folder / f"pg{binaries.major}"
        settings = ["shared_buffers=256MB", "work_mem=64MB"]
        server = stack.enter_context(
            PostgresServer(place, binaries=binaries, durable=False, settings=settings)
        )
        yield f"PostgreSQL {binaries.major}", server.create_database("registry")


def main() -> int:
    """Run the comparison and print one JSON object per line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="200 000 datasets rather than 2 million")
    size = 200_000 if parser.parse_args().small else 2_000_000
    equal = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lenticular-")))
        folder.chmod(0o711)  # as root, PostgreSQL is another user
        for database, url in _databases(stack, folder):
            place = folder / database.replace(" ", "")
            with create_repository(place, database=url) as repository:
                fill(repository, size)
                for name, case in (
                    ("single", "one run"),
                    ("disjoint", f"chain of {RUNS} disjoint runs"),
                    ("hidden", f"chain of {RUNS} runs, each hidden by half"),
                ):
                    for found in compare(repository, database, name, case):
                        equal = equal and found.equal
                        print(json.dumps(asdict(found)), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
