"""What a person sees of a fault of the network, a store or a database, and after how long.

usage: python benchmarks/faults.py [--upstream]

Each line is a fault, what was asked under it, and what came of it. Figures are absolute: they are
those of the limits that are set, more than of the machine. With ``--upstream`` the object store is
asked through upstream's own client, which takes many minutes; stalls are then left out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy

from lenticular.butler import Repository, create_repository
from lenticular.butler.browse import read_details
from lenticular.butler.columns import query_datasets
from lenticular.butler.errors import LenticularError
from lenticular.butler.guard import guarded, upstream
from lenticular.butler.guard.scope import causes
from lenticular.platform.services import FaultProxy, ObjectStoreProcess, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Seen", "database_faults", "store_faults"]

_BODY = 300_000
"""Bytes of an object, of which a fault lets half pass."""


@dataclass(frozen=True)
class Seen:
    """What came of one question under one fault."""

    benchmark: str
    case: str
    asked: str
    seconds: float
    outcome: str


def ask(case: str, asked: str, question: Callable[[], object]) -> Seen:
    """Ask once, and note what comes of it."""
    began = time.monotonic()
    try:
        question()
    except LenticularError as error:
        outcome = f"{type(error).__name__}: {error.what}"
    except Exception as error:  # noqa: BLE001 - whatever upstream raises is the figure
        told = next((one for one in causes(error) if isinstance(one, LenticularError)), None)
        outcome = f"{type(error).__name__}: {str(error)[:60]} ..." + (
            f" because: {told.what}" if told else ""
        )
    else:
        outcome = "answered"
    return Seen("faults", case, asked, round(time.monotonic() - began, 1), outcome)


_STORE_FAULTS: dict[str, dict[str, Any]] = {
    "sound": {},
    "503 to every 2nd request": {"slow_down_every": 2},
    "503 to every request": {"slow_down_every": 1},
    "reset in mid-body": {"reset_after": _BODY // 2},
    "refused": {"refuse": True},
    "stalled": {"stall_after": 0},
    "stalled in mid-body": {"stall_after": _BODY // 2},
}


def store_faults(folder: Path, *, stalls: bool) -> Iterator[Seen]:
    """Spoil the way to an object store, and ask for what is there.

    Parameters
    ----------
    folder
        An empty folder.
    stalls
        Whether to stall as well.
    """
    with (
        ObjectStoreProcess(folder / "store") as store,
        FaultProxy(store.endpoint, http=True) as proxy,
    ):
        variables = {
            name: proxy.endpoint if value == store.endpoint else value
            for name, value in store.environment().items()
        }
        os.environ.update(variables, DAF_BUTLER_CACHE_EXPIRATION_MODE="disabled")
        root = folder / "repository"
        with create_repository(root, datastore=f"{store.make_bucket('faults')}/files") as repository:
            _fill(repository)
        with Repository.open(root) as repository:
            ref = repository.butler.query_datasets("note", "run")[0]
            questions: dict[str, Callable[[], object]] = {
                "butler.get": lambda: repository.butler.get(ref),
                "repository.read_butler": lambda: repository.read_butler(lambda butler: butler.get(ref)),
                "exists": lambda: repository.butler.getURI(ref).exists(),
                "read_details": lambda: read_details(repository, ref.id),
                "Repository.open": lambda: Repository.open(root).close(),
                "first repository.butler": lambda: _first_butler(root),
            }
            for case, faults in _STORE_FAULTS.items():
                if "stall" in case and not stalls:
                    continue
                for name, value in faults.items():
                    setattr(proxy.faults, name, value)
                yield from (ask(f"object store {case}", asked, each) for asked, each in questions.items())
                proxy.faults.clear()


def database_faults(folder: Path) -> Iterator[Seen]:
    """Spoil the way to PostgreSQL, or restart it, and ask for what is there.

    Parameters
    ----------
    folder
        An empty folder that others may enter.
    """
    with PostgresServer(folder / "postgresql", durable=False) as server, FaultProxy(server.socket) as proxy:
        server.create_database("faults")
        host, port = proxy.address
        root = folder / "repository"
        with create_repository(root, database=server.url("faults", host=host, port=port)) as repository:
            _fill(repository)
        with Repository.open(root) as repository:
            questions: dict[str, Callable[[], object]] = {
                "collections": repository.collections,
                "datasets in columns": lambda: query_datasets(repository, "note", "run"),
                "Repository.open": lambda: Repository.open(root).close(),
            }

            def bound(question: Callable[[], object]) -> Callable[[], object]:
                def ask_in_time() -> object:
                    with guarded(timeout=2.0):
                        return question()

                return ask_in_time

            for asked, each in questions.items():
                each()
                server.stop()
                server.start()
                yield ask("PostgreSQL restarted", asked, each)
            for each in questions.values():
                each()  # so that there are connections to be stalled
            proxy.faults.stall_after = 0
            for asked, each in questions.items():
                yield ask("PostgreSQL stalled, deadline 2 s", asked, bound(each))
            proxy.faults.clear()
            proxy.faults.refuse = True
            server.stop()
            for asked, each in questions.items():
                yield ask("PostgreSQL away", asked, each)
            server.start()
            proxy.faults.clear()
            sleep = sqlalchemy.text("SELECT pg_sleep(600)")
            yield ask(
                "endless statement, deadline 2 s",
                "repository.read",
                bound(lambda: repository.read(lambda line: line.execute(sleep))),
            )


def _fill(repository: Repository) -> None:
    from lsst.daf.butler import DatasetType

    butler = repository.butler
    kind = DatasetType("note", (), "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    butler.collections.register("run")
    butler.put({"text": "x" * _BODY}, kind, run="run")


def _first_butler(root: Path) -> None:
    with Repository.open(root) as repository:
        _ = repository.butler


def main() -> None:
    """Print one line of JSON for each question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", action="store_true", help="ask the store through upstream's client")
    arguments = parser.parse_args()
    if arguments.upstream:
        vars(upstream)["make_s3_patient"] = lambda _: None
    for work in (lambda folder: store_faults(folder, stalls=not arguments.upstream), database_faults):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o711)
            for seen in work(folder):
                print(json.dumps(asdict(seen)), flush=True)


if __name__ == "__main__":
    main()
