"""Copies of registries: row by row the same, from wherever and however often cut short."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, Phase, given, settings
from lsst.daf.butler import CollectionType, DatasetType, Timespan

from lenticular.butler import Repository, create_repository
from lenticular.butler.copying import CopyReport, Difference, copy_registry
from lenticular.butler.copying.journal import JOURNAL
from lenticular.butler.errors import (
    ConfigurationError,
    DataError,
    QueryCancelledError,
    RepositoryExistsError,
)
from tests.butler.conftest import DATABASES
from tests.butler.generated import Content, build, contents
from tests.butler.registration_support import run_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lenticular.platform.services import PostgresServer

    type MakeDatabase = Callable[[str], str]

# From SQLite to every PostgreSQL, which is what it is for, and back.
_PAIRS = [("sqlite", kind) for kind in DATABASES] + [(DATABASES[-1], kind) for kind in DATABASES[:2]]
_AWKWARD = "tab\there, line\nthere, back\\slash, \\N, quote ' \" and Ω"


@pytest.fixture(scope="session")
def make_database(
    postgres_servers: Callable[[int], PostgresServer], tmp_path_factory: pytest.TempPathFactory
) -> MakeDatabase:
    """Return a function that makes an empty database of a kind."""
    number = iter(range(1000))

    def make(kind: str) -> str:
        name = f"copy{next(number)}x{os.getpid()}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp(name)}/copy.sqlite3"
        return postgres_servers(int(kind.removeprefix("postgresql"))).create_database(name)

    return make


def fill(repository: Repository) -> None:
    """Give a repository something of every kind."""

    @given(content=contents())
    @settings(
        max_examples=1,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def write(content: Content) -> None:
        build(content, repository)

    write()
    butler = repository.butler
    butler.collections.register("awkward", CollectionType.TAGGED, doc=_AWKWARD)
    butler.collections.register("r/run")
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "class_name": "x.Cam", "detector_max": 9, "visit_max": 9})
    insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(4)))
    kind = DatasetType(
        "plain",
        ("instrument", "detector"),
        "StructuredDataDict",
        universe=butler.dimensions,
        isCalibration=True,
    )
    butler.registry.registerDatasetType(kind)
    refs = [butler.put({"detector": i}, kind, instrument="Cam", detector=i, run="r/run") for i in range(4)]
    butler.registry.associate("awkward", refs[:2])
    butler.collections.register("calibs", CollectionType.CALIBRATION)
    butler.registry.certify("calibs", refs[:1], Timespan(None, None))
    (day,) = butler.query_dimension_records("day_obs", limit=1)
    butler.registry.certify("calibs", refs[1:2], Timespan(None, day.timespan.begin))
    butler.registry.certify("calibs", refs[1:2], Timespan(day.timespan.begin, None))
    butler.registry.certify("calibs", refs[2:3], day.timespan)


@pytest.fixture(scope="session")
def sources(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Repository]]:
    """Return a function that gives a filled repository on a kind of database, made once."""
    made: dict[str, Repository] = {}

    def give(kind: str) -> Repository:
        if kind not in made:
            database = None if kind == "sqlite" else make_database(kind)
            root = tmp_path_factory.mktemp("source") / "repository"
            made[kind] = create_repository(root, database=database)
            fill(made[kind])
        return made[kind]

    yield give
    for repository in made.values():
        repository.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Repository]:
    """Return a small repository of the test's own."""
    with create_repository(tmp_path / "small") as made:
        butler = made.butler
        butler.registry.insertDimensionData("instrument", {"name": "Cam", "class_name": "x.Cam"})
        for i in range(30):
            butler.collections.register(f"run{i:02d}", doc=f"number {i}")
        yield made


def tables_of(url: str) -> set[str]:
    """Return the tables of a database."""
    engine = sqlalchemy.create_engine(url)
    try:
        return set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def change(url: str, statement: str) -> None:
    """Change a database behind everybody's back."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.text(statement)).rowcount > 0
    engine.dispose()


# ---- good copies


@pytest.mark.parametrize(("origin", "kind"), _PAIRS)
def test_a_copy_has_every_row_and_can_be_used(
    sources: Callable[[str], Repository],
    origin: str,
    kind: str,
    make_database: MakeDatabase,
    tmp_path: Path,
) -> None:
    source, url = sources(origin), make_database(kind)
    told: list[tuple[str, int, int]] = []
    report = copy_registry(
        source, url, root=tmp_path / "copy", block=40, progress=lambda *step: told.append(step)
    )
    assert report.differences == ()
    assert report.good
    assert report.rows == report.copied > 200
    assert report.left == ()
    assert JOURNAL not in tables_of(url)
    assert told[-1][1] == told[-1][2] == report.rows
    with Repository.open(tmp_path / "copy", writeable=True) as copied:
        check_content(copied, source)
        check_writes(copied)
        again = copy_registry(source, url, verify_only=True)
        assert not again.good
        assert {difference.kind for difference in again.differences} == {"extra"}


def check_content(copied: Repository, source: Repository) -> None:
    """Check through upstream that a copy answers as its source does."""
    ours, theirs = copied.butler, source.butler
    names = sorted(theirs.collections.query("*"))
    assert sorted(ours.collections.query("*")) == names
    assert ours.collections.get_info("awkward").doc == _AWKWARD
    searched = [
        name for name in names if theirs.collections.get_info(name).type is not CollectionType.CHAINED
    ]
    query: dict[str, Any] = {"find_first": False, "explain": False, "limit": None}
    for kind in theirs.registry.queryDatasetTypes():
        found = set(ours.query_datasets(kind, searched, **query))
        assert found == set(theirs.query_datasets(kind, searched, **query))
    for name in set(names) - set(searched):
        assert ours.collections.get_info(name).children == theirs.collections.get_info(name).children
    for element in ("visit", "patch", "exposure", "visit_detector_region"):
        assert set(ours.query_dimension_records(element, explain=False)) == set(
            theirs.query_dimension_records(element, explain=False)
        )
    spans = [
        sorted(
            (str(found.timespan), found.ref.id)
            for found in butler.registry.queryDatasetAssociations("plain", "calibs")
        )
        for butler in (ours, theirs)
    ]
    assert spans[0] == spans[1]
    assert len(spans[0]) == 4
    assert ours.get("plain", instrument="Cam", detector=2, collections="r/run") == {"detector": 2}


def check_writes(copied: Repository) -> None:
    """Check that something of every kind can be added to a copy through upstream."""
    butler = copied.butler
    kind = DatasetType(
        "later", ("detector",), "StructuredDataDict", universe=butler.dimensions, isCalibration=True
    )
    butler.registry.registerDatasetType(kind)
    butler.collections.register("later/run")
    butler.registry.insertDimensionData("detector", {"instrument": "Cam", "id": 8, "full_name": "D8"})
    ref = butler.put({"late": True}, kind, instrument="Cam", detector=8, run="later/run")
    butler.collections.register("later/calibs", CollectionType.CALIBRATION)
    butler.registry.certify("later/calibs", [ref], Timespan(None, None))
    butler.registry.certify("calibs", [ref], Timespan(None, None))
    assert butler.get(ref) == {"late": True}
    other = DatasetType("elsewhere", ("skymap",), "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(other)


def test_a_copy_may_have_a_namespace_of_its_own(small: Repository, make_database: MakeDatabase) -> None:
    url = make_database(DATABASES[-1])
    report = copy_registry(small, url, namespace="deep")
    assert report.good
    assert tables_of(url) == set()
    assert copy_registry(small, url, namespace="deep", verify_only=True).good


def test_an_empty_registry_may_be_filled(small: Repository, tmp_path: Path) -> None:
    with create_repository(tmp_path / "empty") as empty:
        url = f"sqlite:///{tmp_path}/empty/gen3.sqlite3"
        assert copy_registry(small, url).good
        assert set(empty.butler.collections.query("run*")) == set(small.butler.collections.query("run*"))


# ---- cut short


def test_a_cancelled_copy_goes_on_where_it_stopped(small: Repository, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/copy.sqlite3"
    stop = threading.Event()

    def tell(what: str, done: int, total: int) -> None:
        del total
        if what == "copy collection" and done > 25:
            stop.set()

    with pytest.raises(QueryCancelledError) as caught:
        copy_registry(small, url, block=10, progress=tell, cancel=stop)
    assert "goes on" in str(caught.value.hint)
    with pytest.raises(RepositoryExistsError, match="unfinished copy"):
        copy_registry(small, url, resume=False)
    report = copy_registry(small, url, block=10)
    assert report.good
    (collections,) = [table for table in report.tables if table.name == "collection"]
    assert (collections.rows, 0 < collections.copied < 30) == (30, True)


def test_an_unfinished_copy_is_no_place_for_another(small: Repository, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/copy.sqlite3"
    stop = threading.Event()
    stop.set()
    with pytest.raises(QueryCancelledError):
        copy_registry(small, url, cancel=stop)
    with (
        create_repository(tmp_path / "other") as other,
        pytest.raises(RepositoryExistsError, match=r"unfinished copy of sqlite.*small"),
    ):
        copy_registry(other, url)


def die_while_copying(root: str, url: str, step: int, barrier: Any, results: Any) -> None:
    """Copy a registry until some rows are told of, and be killed there."""
    del barrier, results

    def tell(what: str, done: int, total: int) -> None:
        del total
        if what.startswith("copy") and done >= step:
            os.kill(os.getpid(), signal.SIGKILL)

    with Repository.open(root) as repository:
        copy_registry(repository, url, block=7, progress=tell)


@pytest.mark.parametrize("kind", [DATABASES[0], DATABASES[-1]])
@pytest.mark.parametrize("step", [0, 40])
def test_a_killed_copy_is_completed_by_the_next(
    small: Repository, kind: str, step: int, make_database: MakeDatabase
) -> None:
    url = make_database(kind)
    run_together(die_while_copying, [(small.uri, url, step)], killed=True)
    report = copy_registry(small, url, block=7)
    assert report.good
    assert 0 < report.copied <= report.rows - step


# ---- copies that are not good


@pytest.mark.parametrize(
    ("statement", "kind", "said"),
    [
        ("UPDATE collection SET doc = 'other' WHERE name = 'run07'", "changed", "is changed in doc"),
        ("DELETE FROM run WHERE collection_id = 9", "missing", "collection_id=9 is missing"),
        ("INSERT INTO opaque_meta VALUES ('new')", "extra", "table_name='new' is extra"),
    ],
)
@pytest.mark.parametrize("database", [DATABASES[0], DATABASES[-1]])
def test_a_row_that_is_not_the_same_is_named(
    small: Repository, make_database: MakeDatabase, statement: str, kind: str, said: str, database: str
) -> None:
    url = make_database(database)
    copy_registry(small, url)
    change(url, statement)
    report = copy_registry(small, url, verify_only=True)
    assert (report.good, report.different) == (False, 1)
    (difference,) = report.differences
    assert difference.kind == kind
    assert said in str(difference)
    with pytest.raises(DataError, match=said):
        report.raise_for_differences()
    assert said.replace("'", "&#x27;") in report._repr_html_()


def test_a_writer_on_the_source_is_noticed(small: Repository, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/copy.sqlite3"
    written: list[bool] = []

    def tell(what: str, done: int, total: int) -> None:
        del done, total
        if what == "compare collection" and not written:
            written.append(True)
            with Repository.open(small.uri, writeable=True) as other:
                other.butler.collections.register("meanwhile")

    report = copy_registry(small, url, root=tmp_path / "new", progress=tell)
    assert report.written_meanwhile
    assert not report.good
    assert report.configuration is None
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match=r"rows of the copy|written to"):
        report.raise_for_differences()
    again = copy_registry(small, url)
    assert any(difference.kind == "missing" for difference in again.differences)


# ---- what is refused


def test_a_registry_is_not_copied_onto_itself(small: Repository) -> None:
    assert small.configuration.database is not None
    with pytest.raises(ConfigurationError, match="onto itself"):
        copy_registry(small, small.configuration.database)


def test_an_address_with_a_password_is_refused(small: Repository) -> None:
    with pytest.raises(ConfigurationError) as caught:
        copy_registry(small, "postgresql://ana:s3cret@localhost/x")
    assert "s3cret" not in str(caught.value)


def test_a_database_that_holds_something_is_left_alone(small: Repository, tmp_path: Path) -> None:
    with create_repository(tmp_path / "other") as other:
        other.butler.collections.register("mine")
        with pytest.raises(RepositoryExistsError, match="not empty"):
            copy_registry(small, f"sqlite:///{tmp_path}/other/gen3.sqlite3")
        assert list(other.butler.collections.query("*")) == ["mine"]
    change_empty = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/else.sqlite3")
    with change_empty.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE x (y INTEGER)"))
    change_empty.dispose()
    with pytest.raises(RepositoryExistsError, match="something else"):
        copy_registry(small, f"sqlite:///{tmp_path}/else.sqlite3")


def test_a_repository_in_the_way_is_noticed_first(small: Repository, tmp_path: Path) -> None:
    with pytest.raises(RepositoryExistsError, match="at this place already"):
        copy_registry(small, f"sqlite:///{tmp_path}/copy.sqlite3", root=small.uri)
    assert not (tmp_path / "copy.sqlite3").exists()


def test_reports_tell_what_was_done() -> None:
    report = CopyReport("a", "b", (), (Difference("t", "changed", {"id": 1}, ("x", "y")),))
    assert str(report.differences[0]) == "t: id=1 is changed in x, y"
    assert "row by row the same" in str(CopyReport("a", "b", ()))
