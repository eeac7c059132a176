"""What a browser asks of a registry, beside upstream's public interface.

usage: python benchmarks/registry.py [--small] [--folder FOLDER] [--only WORD]

On SQLite and on every PostgreSQL of this machine: registries of 200 000 and 2 million datasets in
102 collections (only the first with --small). On PostgreSQL opening, the tree and the first page
are asked again through a line with 30 ms there and back. Both sides take turns in one process, each
in its best of three turns (of one, where a turn takes longer than ten seconds), and have to give
the same. Each case is one JSON object a line, in seconds by the clock, some also in seconds of this
process's own CPU time, and in MB by which a process of its own grows that asks. Where upstream has
no answer, there is no peer.

--folder keeps the registries and finds them again. --only runs the cases whose names hold a word.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_contents import RUNS, fill, visits_for

from lenticular.butler import (
    Repository,
    count,
    create_repository,
    explain_empty,
    find_dataset,
    read_facets,
    read_page,
)
from lenticular.butler.browse import NEWEST
from lenticular.butler.columns import DatasetQuery, query_datasets
from lenticular.platform.services import FaultProxy, PostgresServer, find_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lsst.daf.butler import Butler

__all__ = ["Case", "Comparison", "cases", "compare"]

SIZES = (200_000, 2_000_000)
_ROUNDS = 3
_LONG = 10.0
_PAGE = 100
_TARGET_LINE = 0.030
"""Seconds there and back."""


@dataclass(frozen=True)
class Comparison:
    """One case, ours beside its peer."""

    benchmark: str
    case: str
    ours: float
    peer: float | None
    ratio: float | None
    unit: str
    peer_name: str
    equal: bool | None


@dataclass(frozen=True)
class Case:
    """A question, asked both ways."""

    name: str
    ours: Callable[[Repository], Any]
    peer: Callable[[Butler], Any] | None
    peer_name: str = ""
    same: Callable[[Any], Any] = lambda answer: answer
    """Makes what can be compared of our answer."""

    peer_same: Callable[[Any], Any] = lambda answer: answer
    """The same of the peer's."""

    bulky: bool = False
    """Whether CPU time and memory matter as well."""


def cases(size: int) -> Sequence[Case]:
    """Return the questions.

    Parameters
    ----------
    size
        Number of datasets in the registry.
    """
    visits = visits_for(size)
    image = DatasetQuery(dataset_type="image", collections=("one",))
    source = DatasetQuery(dataset_type="source", collections=("weekly",))
    data_id = {"instrument": "Cam", "visit": visits // 2, "detector": 50}
    return (
        Case("tree", lambda r: r.collections(), _tree, "collections.query_info", _our_tree, _peer_tree),
        Case(
            f"first {_PAGE} by visit, one run",
            lambda r: read_page(r, "image", ["one"], order_by=("visit", "detector"), limit=_PAGE),
            lambda b: b.query_datasets("image", "one", order_by=("visit", "detector"), limit=_PAGE),
            "query_datasets", _our_page, _peer_page,
        ),
        Case(
            f"first {_PAGE} by visit, chain of {RUNS} runs",
            lambda r: read_page(r, "source", ["weekly"], order_by=("visit", "detector"), limit=_PAGE),
            lambda b: b.query_datasets("source", "weekly", order_by=("visit", "detector"), limit=_PAGE),
            "query_datasets", _our_page, _peer_page,
        ),
        Case(
            f"newest {_PAGE}, one run",
            lambda r: read_page(r, "image", ["one"], order_by=NEWEST, limit=_PAGE),
            lambda b: b.query_datasets("image", "one", order_by="-image.ingest_date", limit=_PAGE),
            "query_datasets", _our_page, _peer_page,
        ),
        Case(
            f"newest {_PAGE}, chain of {RUNS} runs",
            lambda r: read_page(r, "source", ["weekly"], order_by=NEWEST, limit=_PAGE),
            lambda b: b.query_datasets("source", "weekly", order_by="-source.ingest_date", limit=_PAGE),
            "query_datasets", _our_page, _peer_page,
        ),
        Case(
            "facets of all dimensions, one run", lambda r: read_facets(r, image, most=visits),
            lambda b: _facets(b, "image", "one"), "Counter of query_datasets", _our_facets,
        ),
        Case(
            f"facets of all dimensions, chain of {RUNS} runs", lambda r: read_facets(r, source, most=visits),
            lambda b: _facets(b, "source", "weekly"), "Counter of query_datasets", _our_facets,
        ),
        Case("capped count", lambda r: count(r, image), None),
        Case(
            "exact count", lambda r: count(r, image, "exact").value,
            lambda b: _count(b, "image", "one"), "query.datasets().count",
        ),
        Case(
            f"find one in a chain of {RUNS} runs",
            lambda r: find_dataset(r, "source", "weekly", data_id).id,
            lambda b: str(b.find_dataset("source", data_id, collections="weekly").id), "find_dataset",
        ),
        Case(
            "refs to columns, one run", lambda r: query_datasets(r, "image", "one"),
            lambda b: b.query_datasets("image", "one", limit=None), "query_datasets",
            _our_rows, _peer_rows, bulky=True,
        ),
        Case(
            f"refs to columns, chain of {RUNS} runs, each hides half of the next",
            lambda r: query_datasets(r, "source", "weekly"),
            lambda b: b.query_datasets("source", "weekly", limit=None), "query_datasets",
            _our_rows, _peer_rows, bulky=True,
        ),
        Case(
            "why empty: a visit that does not exist",
            lambda r: explain_empty(r, _wrong(f"instrument = 'Cam' AND visit = {visits + 7}")), None,
        ),
        Case(
            "why empty: a band and a night without each other",
            lambda r: explain_empty(r, _wrong("instrument = 'Cam' AND visit = 6 AND band = 'y'")), None,
        ),
    )  # fmt: skip


def _wrong(where: str) -> DatasetQuery:
    return DatasetQuery(dataset_type="source", collections=("weekly",), where=where)


def _tree(butler: Butler) -> Any:
    return butler.collections.query_info("*", include_summary=True)


def _our_tree(infos: Any) -> Any:
    return {one.name: (str(one.kind), one.children, frozenset(one.dataset_types)) for one in infos}


def _peer_tree(infos: Any) -> Any:
    return {one.name: (one.type.name, tuple(one.children), one.dataset_types) for one in infos}


def _our_page(page: Any) -> Any:
    return [(row.id, row.run) for row in page.rows]


def _peer_page(refs: Any) -> Any:
    return [(str(ref.id), ref.run) for ref in refs]


def _facets(butler: Butler, kind: str, collection: str) -> Any:
    counts: dict[str, Counter[Any]] = {}
    for ref in butler.query_datasets(kind, collection, limit=None):
        for name, value in ref.dataId.mapping.items():
            counts.setdefault(name, Counter())[value] += 1
    return counts


def _our_facets(facets: Any) -> Any:
    return {facet.dimension: dict(facet.values) for facet in facets}


def _count(butler: Butler, kind: str, collection: str) -> int:
    with butler.query() as query:
        return query.datasets(kind, collection).count()


def _our_rows(table: Any) -> Any:
    names = ("dataset_id", "run", "instrument", "detector", "visit", "band", "day_obs", "physical_filter")
    return {
        tuple(row[name] for name in names)
        for batch in table.to_batches(max_chunksize=20_000)
        for row in batch.to_pylist()
    }


def _peer_rows(refs: Any) -> Any:
    names = ("instrument", "detector", "visit", "band", "day_obs", "physical_filter")
    return {(ref.id.bytes, ref.run, *(ref.dataId[name] for name in names)) for ref in refs}


def compare(case: Case, repository: Repository, title: str) -> Iterator[Comparison]:
    """Ask both sides, and compare.

    Parameters
    ----------
    case
        The question.
    repository
        A filled repository.
    title
        Name and circumstances, to be shown.
    """
    butler = repository.butler
    answer, *ours = _best(lambda: case.ours(repository))
    if case.peer is None:
        yield Comparison("registry", title, round(ours[0], 4), None, None, "s", "", None)
        return
    ask = case.peer
    other, *theirs = _best(lambda: ask(butler))
    equal = bool(case.same(answer) == case.peer_same(other))
    del answer, other
    for unit, one, peer in zip(("s", "CPU s"), ours, theirs, strict=True):
        if unit == "s" or case.bulky:
            yield _compared(title, one, peer, unit, case.peer_name, equal)
    if case.bulky:
        grown = [_growth(repository.uri, case.name, side) for side in ("ours", "peer")]
        yield _compared(title, *grown, "MB", case.peer_name, equal)


def _compared(title: str, ours: float, peer: float, unit: str, name: str, equal: bool) -> Comparison:  # noqa: FBT001 - a row
    return Comparison(
        "registry", title, round(ours, 4), round(peer, 4), round(peer / ours, 1), unit, name, equal
    )


def _best[T](act: Callable[[], T]) -> tuple[T, float, float]:
    """Return what a function returns, and its best times by the clock and of the CPU [s]."""
    clocks, processors = [], []
    for _ in range(_ROUNDS):
        clock, processor = time.perf_counter(), time.process_time()
        result = act()
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
        if clocks[-1] > _LONG:
            break
    return result, min(clocks), min(processors)


def _growth(folder: str, name: str, side: str) -> float:
    """Return by how much a new process grows that asks, after a small question [MB]."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_grow, args=(folder, name, side, sender))
    process.start()
    grown: float = receiver.recv()
    process.join()
    return grown


def _grow(folder: str, name: str, side: str, sender: Any) -> None:
    with Repository.open(folder) as repository:
        case = next(case for case in cases(0) if case.name == name)
        query_datasets(repository, "image", "one", limit=10)
        repository.butler.query_datasets("image", "one", limit=10)
        before = _memory("VmRSS")
        kept = case.ours(repository) if side == "ours" else case.peer and case.peer(repository.butler)
        sender.send(_memory("VmHWM") - before)
        del kept


def _memory(field: str) -> float:
    """Return the memory of this process, or its highest (``VmHWM``) [MB]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def opening(folder: Path) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Give what happens before anything is seen: opening, and the first list of collections."""

    def ours() -> Any:
        with Repository.open(folder, timeout=30.0) as repository:
            return repository.collections()

    def peer() -> Any:
        from lsst.daf.butler import Butler

        with Butler.from_config(str(folder)) as butler:
            return _tree(butler)

    yield "open and list collections", ours, peer


@contextmanager
def _far(folder: Path, server: PostgresServer, url: str) -> Iterator[Path]:
    """Give a folder with the same repository, whose database is 30 ms away."""
    with FaultProxy(server.socket) as proxy, tempfile.TemporaryDirectory() as other:
        host, port = proxy.address
        configuration = (folder / "butler.yaml").read_text()
        name = url.partition("?")[0].rpartition("/")[2]
        (Path(other) / "butler.yaml").write_text(
            configuration.replace(url, server.url(name, host=host, port=port))
        )
        proxy.faults.rtt = _TARGET_LINE
        yield Path(other)


def _measure(folder: Path, size: int, where: str, only: str, *, far: bool) -> Iterator[Comparison]:
    title = f"{{}}, {size} datasets, {where}"
    for name, ours, peer in opening(folder):
        if only in name:
            answer, *one = _best(ours)
            other, *two = _best(peer)
            equal = _our_tree(answer) == _peer_tree(other)
            yield _compared(title.format(name), one[0], two[0], "s", "Butler.from_config, query_info", equal)
    with Repository.open(folder, timeout=30.0) as repository:
        for case in cases(size):
            near = not far or case.name == "tree" or case.name.startswith("first")
            if only in case.name and near:
                yield from compare(case, repository, title.format(case.name))


def _databases(stack: ExitStack, folder: Path) -> Iterator[tuple[str, PostgresServer | None]]:
    yield "SQLite", None
    newest = {found.major: found for found in find_postgresql()}
    for major, binaries in sorted(newest.items()):
        settings = ["shared_buffers=256MB", "work_mem=64MB"]
        server = PostgresServer(folder / f"pg{major}", binaries=binaries, durable=False, settings=settings)
        yield f"PostgreSQL {major}", stack.enter_context(server)


def _made(folder: Path, server: PostgresServer | None, size: int, name: str) -> tuple[Path, str | None]:
    """Return a filled repository, made if it is not there, and its database."""
    place = folder / f"{name.replace(' ', '')}-{size}"
    database = f"registry{size}"
    if place.is_dir():
        return place, server and server.url(database)
    url = server and server.create_database(database)
    with create_repository(place, database=url) as repository:
        fill(repository, size)
    return place, url


def main() -> int:
    """Run the comparison and print one JSON object per line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="only 200 000 datasets")
    parser.add_argument("--folder", type=Path, help="where the registries are kept")
    parser.add_argument("--only", default="", help="word in the names of cases")
    arguments = parser.parse_args()
    equal = True
    with ExitStack() as stack:
        if arguments.folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lenticular-")))
        else:
            folder = arguments.folder.absolute()
            folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)  # as root, PostgreSQL is another user
        for name, server in _databases(stack, folder):
            for size in SIZES[:1] if arguments.small else SIZES:
                place, url = _made(folder, server, size, name)
                found = [_measure(place, size, name, arguments.only, far=False)]
                if server is not None and url is not None:
                    distant = stack.enter_context(_far(place, server, url))
                    found.append(_measure(distant, size, f"{name} 30 ms away", arguments.only, far=True))
                for one in (line for lines in found for line in lines):
                    equal = equal and one.equal is not False
                    print(json.dumps(asdict(one)), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
