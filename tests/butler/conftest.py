"""Repositories on every combination of database and datastore that is supported."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from lenticular.butler import Repository, create_repository
from tests.fixtures_services import POSTGRES_MAJORS, unique_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lenticular.platform.services import ObjectStore, PostgresServer
    from tests.butler.generated import Content

DATABASES = ("sqlite", *(f"postgresql{binaries.major}" for binaries in POSTGRES_MAJORS))
BACKENDS = (
    "sqlite-folder",
    *(f"{database}-{store}" for database in DATABASES for store in ("moto", "seaweedfs")),
)


@dataclass(frozen=True)
class Backend:
    """A place to make repositories in."""

    name: str
    root: Path
    database: str | None
    datastore: str | None
    environment: Mapping[str, str]

    def create(self) -> Repository:
        """Make the repository."""
        return create_repository(self.root, database=self.database, datastore=self.datastore)


@pytest.fixture(scope="session")
def make_backend(
    request: pytest.FixtureRequest,
    postgres_servers: Callable[[int], PostgresServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Backend]:
    """Return a function that makes a fresh back end of a kind."""

    def make(name: str) -> Backend:
        database, store = name.split("-")
        unique = f"r{uuid.uuid4().hex[:12]}"
        environment: Mapping[str, str] = {}
        url = datastore = None
        if database != "sqlite":
            url = postgres_servers(int(database.removeprefix("postgresql"))).create_database(unique)
        if store != "folder":
            server: ObjectStore = request.getfixturevalue(
                {"moto": "object_store", "seaweedfs": "seaweed_server"}[store]
            )
            environment = server.environment()
            datastore = f"{server.make_bucket(unique)}/files"
        return Backend(name, tmp_path_factory.mktemp(unique) / "repository", url, datastore, environment)

    return make


@pytest.fixture(params=BACKENDS)
def backend(
    request: pytest.FixtureRequest, make_backend: Callable[[str], Backend], monkeypatch: pytest.MonkeyPatch
) -> Backend:
    """Return a fresh back end of each kind in turn, reachable from this test."""
    made = make_backend(request.param)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture(scope="session")
def _filled(make_backend: Callable[[str], Backend]) -> Callable[[str], Backend]:
    """Return a function that gives the filled back end of a kind, made once."""
    made: dict[str, Backend] = {}

    def give(name: str) -> Backend:
        if name not in made:
            made[name] = make_backend(name)
            before = dict(os.environ)
            os.environ.update(made[name].environment)
            try:
                _fill(made[name])
            finally:
                os.environ.clear()
                os.environ.update(before)
        return made[name]

    return give


def _fill(backend: Backend) -> None:
    """Put an instrument, detectors, two runs, a chain and some datasets into a repository."""
    from lsst.daf.butler import CollectionType, DatasetType

    with backend.create() as repository:
        butler = repository.butler
        butler.registry.insertDimensionData(
            "instrument", {"name": "Cam", "class_name": "x.Cam", "detector_max": 9}
        )
        detectors = [{"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(4)]
        butler.registry.insertDimensionData("detector", *detectors)
        kind = DatasetType(
            "note", ("instrument", "detector"), "StructuredDataDict", universe=butler.dimensions
        )
        other = DatasetType("remark", ("instrument",), "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        butler.registry.registerDatasetType(other)
        for run, numbers in (("u/ana/new", (0, 1)), ("u/ana/old", (1, 2, 3))):
            butler.collections.register(run)
            for number in numbers:
                butler.put({"from": run}, kind, instrument="Cam", detector=number, run=run)
        butler.put({"a": 1}, other, instrument="Cam", run="u/ana/old")
        butler.collections.register("u/ana", CollectionType.CHAINED)
        butler.collections.redefine_chain("u/ana", ["u/ana/new", "u/ana/old"])
        butler.collections.register("u/all", CollectionType.CHAINED, doc="everything of everybody")
        butler.collections.redefine_chain("u/all", ["u/ana", "u/ana/old"])
        butler.collections.register("u/tags", CollectionType.TAGGED)
        repository.analyze()


@pytest.fixture(params=BACKENDS)
def repository(
    request: pytest.FixtureRequest, _filled: Callable[[str], Backend], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Repository]:
    """Return a repository of each kind in turn, with something in it, open for reading."""
    made = _filled(request.param)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    with Repository.open(made.root) as opened:
        yield opened


@pytest.fixture(scope="session", params=DATABASES)
def shared(
    request: pytest.FixtureRequest,
    postgres_servers: Callable[[int], PostgresServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Repository]:
    """Return a repository on each database in turn, open for writing, for `generated.build`."""
    url = None
    if request.param != "sqlite":
        server = postgres_servers(int(request.param.removeprefix("postgresql")))
        url = server.create_database(unique_name("shared"))
    with create_repository(tmp_path_factory.mktemp("shared") / "repository", database=url) as repository:
        yield repository


@pytest.fixture(scope="session")
def filled(shared: Repository) -> tuple[Repository, Content]:
    """Return the same with a content in it that has something of everything."""
    from tests.butler.generated import build, example

    made = build(example(), shared)
    shared.analyze()
    return shared, made
