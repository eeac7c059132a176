"""A registry as large as wanted, filled past the interface that would take hours.

Half of the datasets, of the type ``image``, are in the run ``one``. The others, of the type
``source``, are in fifty runs ``weekly/00`` to ``weekly/49`` of the chain ``weekly``, of which each
hides half of the next. Each of these runs is in a chain of its own as well, before ``one``.
"""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lsst.daf.butler import Butler

    from lenticular.butler import Repository

__all__ = ["DETECTORS", "RUNS", "fill", "visits_for"]

DETECTORS = 100
RUNS = 50
_VISITS_A_NIGHT = 100
_FIRST_NIGHT = dt.date(2026, 1, 1)


@dataclass(frozen=True)
class _Block:
    """Datasets of consecutive visits in a run, one for each detector."""

    kind: int
    run: int
    first: int
    end: int
    came: int
    count: int
    """Datasets before these, from which the UUIDs follow."""

    def keys(self) -> list[str]:
        """Return UUIDs of version 7, in the order of the datasets."""
        return [
            f"{number << 84 | 7 << 76 | 2 << 62 | self.kind << 32 | number:032x}" for number in self.numbers()
        ]

    def numbers(self) -> range:
        """Return the place of each among all; it comes so many nanoseconds after the first."""
        return range(self.count, self.count + (self.end - self.first) * DETECTORS)

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield visit and detector of each."""
        return ((visit, detector) for visit in range(self.first, self.end) for detector in range(DETECTORS))


def visits_for(size: int) -> int:
    """Return the number of visits in a registry with so many datasets."""
    return size // 2 // DETECTORS


def fill(repository: Repository, size: int) -> None:
    """Fill a new repository.

    Parameters
    ----------
    repository
        The repository, open for writing.
    size
        Number of datasets, a multiple of 40 000.
    """
    visits = visits_for(size)
    _insert_dimensions(repository.butler, visits)
    step = visits // RUNS // 2
    weekly = {f"weekly/{run:02}": (run * step, (run + 2) * step) for run in range(RUNS)}
    count = _insert(repository, "image", "one", {"one": (0, visits)}, 0)
    _insert(repository, "source", "weekly", weekly, count)
    _insert_chains(repository.butler, weekly)
    repository.analyze()


def _insert_chains(butler: Butler, runs: Iterable[str]) -> None:
    from lsst.daf.butler import CollectionType

    for run in runs:
        butler.collections.register(f"u/{run}", CollectionType.CHAINED)
        butler.collections.redefine_chain(f"u/{run}", [run, "one"])


def _insert_dimensions(butler: Butler, visits: int) -> None:
    from astropy.time import Time, TimeDelta
    from lsst.daf.butler import Timespan

    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "class_name": "x.Cam"})
    filters = [{"instrument": "Cam", "name": f"Cam-{band}", "band": band} for band in "ugrizy"]
    insert("physical_filter", *filters)
    insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(DETECTORS)))
    nights = [_FIRST_NIGHT + dt.timedelta(days=night) for night in range(visits // _VISITS_A_NIGHT + 1)]
    days = [int(f"{night:%Y%m%d}") for night in nights]
    insert("day_obs", *({"instrument": "Cam", "id": day} for day in days))
    start = Time(_FIRST_NIGHT.isoformat(), scale="tai")
    insert("visit", *(
        {
            "instrument": "Cam",
            "id": number,
            "name": f"v{number}",
            "day_obs": days[number // _VISITS_A_NIGHT],
            "physical_filter": filters[number % len(filters)]["name"],
            "exposure_time": 15.0 + number % 3 * 15,
            "timespan": Timespan(
                begin := start + TimeDelta(number * 40.0, format="sec"),
                begin + TimeDelta(30.0, format="sec"),
            ),
        }
        for number in range(visits)
    ))  # fmt: skip


def _insert(
    repository: Repository, kind: str, chain: str, runs: dict[str, tuple[int, int]], count: int
) -> int:
    """Let upstream make the type, the runs, the chain and one dataset a run; add the others."""
    from lsst.daf.butler import CollectionType, DatasetType

    butler = repository.butler
    made = DatasetType(
        kind, ("instrument", "visit", "detector"), "StructuredDataDict", universe=butler.dimensions
    )
    butler.registry.registerDatasetType(made)
    for run, (first, _) in runs.items():
        butler.collections.register(run)
        refs = butler.registry.insertDatasets(
            made, [{"instrument": "Cam", "visit": first, "detector": 0}], run=run
        )
        if len(runs) == 1 or first == 0:
            example = refs[0].id
        else:
            butler.registry.removeDatasets(refs)
    if chain not in runs:
        butler.collections.register(chain, CollectionType.CHAINED)
        butler.collections.redefine_chain(chain, list(runs))
    known = sqlalchemy.MetaData()
    known.reflect(repository.engine)
    datasets, collections, kinds = (known.tables[name] for name in ("dataset", "collection", "dataset_type"))
    with repository.engine.begin() as connection:
        row = connection.execute(sqlalchemy.select(kinds).where(kinds.c.name == kind)).one()
        named = sqlalchemy.select(collections.c.name, collections.c.collection_id)
        numbers = {name: number for name, number in connection.execute(named)}  # noqa: C416 - a result has keys of its own
        came: int = connection.execute(sqlalchemy.select(datasets.c.ingest_date)).scalar()
        tags = known.tables[row.tag_association_table]
        for table in (tags, datasets):  # the example is made again with the others
            column = table.c.dataset_id if table is tags else table.c.id
            connection.execute(table.delete().where(column == _stored(connection, example)))
        write = _copy if connection.dialect.name == "postgresql" else _execute
        for run, (first, end) in runs.items():
            for start in range(first, end, 200):
                block = _Block(row.id, numbers[run], start, min(end, start + 200), came, count)
                write(connection, tags.name, block)
                count += (block.end - block.first) * DETECTORS
    return count


def _stored(connection: sqlalchemy.Connection, key: Any) -> Any:
    return key if connection.dialect.name == "postgresql" else key.hex


_DATASET = ("id", "dataset_type_id", "run_id", "ingest_date")
_TAG = ("dataset_type_id", "dataset_id", "collection_id", "instrument", "visit", "detector")


def _execute(connection: sqlalchemy.Connection, tags: str, block: _Block) -> None:
    cursor: Any = connection.connection.cursor()
    keys = block.keys()
    cursor.executemany(
        f"INSERT INTO dataset ({', '.join(_DATASET)}) VALUES (?, ?, ?, ?)",  # noqa: S608 - no value is in it
        (
            (key, block.kind, block.run, block.came + number)
            for key, number in zip(keys, block.numbers(), strict=True)
        ),
    )
    cursor.executemany(
        f"INSERT INTO {tags} ({', '.join(_TAG)}) VALUES (?, ?, ?, 'Cam', ?, ?)",  # noqa: S608
        (
            (block.kind, key, block.run, visit, detector)
            for key, (visit, detector) in zip(keys, block.places(), strict=True)
        ),
    )


def _copy(connection: sqlalchemy.Connection, tags: str, block: _Block) -> None:
    # The rows fit each other by construction; checking each takes longer than all else.
    connection.execute(sqlalchemy.text("SET LOCAL session_replication_role = replica"))
    cursor: Any = connection.connection.cursor()
    keys = block.keys()
    rows = (
        f"{key},{block.kind},{block.run},{block.came + number}\n"
        for key, number in zip(keys, block.numbers(), strict=True)
    )
    members = (
        f"{block.kind},{key},{block.run},Cam,{visit},{detector}\n"
        for key, (visit, detector) in zip(keys, block.places(), strict=True)
    )
    for table, columns, lines in (("dataset", _DATASET, rows), (tags, _TAG, members)):
        text = io.StringIO("".join(lines))
        cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT csv)", text)
