"""Making a repository: what is refused, and what is left behind when it fails."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from lenticular.butler import Repository, create_repository, upstream
from lenticular.butler.errors import (
    ConfigurationError,
    LenticularError,
    RepositoryExistsError,
    StoreUnreachableError,
)

if TYPE_CHECKING:
    from lsst.daf.butler import Config

    from lenticular.platform.services import PostgresServer


class BrokenError(Exception):
    """A fault that is injected."""


def break_(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Let one step of the creation fail."""

    def fail(*_: object) -> None:
        raise BrokenError

    monkeypatch.setattr(upstream, step, fail)


def test_nothing_is_left_of_a_creation_that_fails_after_the_tables_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = upstream.make_registry

    def make_and_fail(configuration: Config, root: str) -> None:
        make(configuration, root)
        assert (tmp_path / "gen3.sqlite3").exists()
        raise BrokenError

    with monkeypatch.context() as patched:
        patched.setattr(upstream, "make_registry", make_and_fail)
        with pytest.raises(BrokenError):
            create_repository(tmp_path)
    assert list(tmp_path.iterdir()) == []
    create_repository(tmp_path).close()


def test_a_failure_before_anything_is_written_keeps_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_(monkeypatch, "write_configuration")
    with pytest.raises(BrokenError):
        create_repository(tmp_path)


def test_the_slower_of_two_creations_leaves_the_other_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = upstream.write_configuration

    def be_late(root: str, settings: dict[str, object]) -> Config:
        monkeypatch.undo()
        create_repository(tmp_path).close()
        return write(root, settings)

    monkeypatch.setattr(upstream, "write_configuration", be_late)
    with pytest.raises(RepositoryExistsError):
        create_repository(tmp_path)
    Repository.open(tmp_path).close()


def test_a_database_that_holds_a_registry_already_is_refused_and_kept(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/shared.sqlite3"
    create_repository(tmp_path / "first", database=database).close()
    with pytest.raises(RepositoryExistsError, match="holds the registry"):
        create_repository(tmp_path / "second", database=database)
    assert not (tmp_path / "second" / "butler.yaml").exists()
    Repository.open(tmp_path / "first").close()


def test_a_database_file_of_somebody_else_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gen3.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    break_(monkeypatch, "make_registry")
    with pytest.raises(BrokenError):
        create_repository(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["gen3.sqlite3"]


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_file_in_the_way_is_told(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(RepositoryExistsError, match="A file is in the way"):
        create_repository(tmp_path / place)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("root", "database", "message"),
    [
        ("{}", "postgresql://h:abc/x", "cannot be understood"),
        ("{}", "oracle://h/x", "'oracle'"),
        ("{}", "postgresql+nosuch://h/x", "'nosuch'"),
        ("s3://nosuch@bucket/r", "sqlite:////r", "No profile is called 'nosuch'"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_clear_error(
    root: str, database: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        create_repository(root.format(tmp_path), database=database)
    assert raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_web_server_is_no_place_for_a_new_repository() -> None:
    with pytest.raises((ConfigurationError, StoreUnreachableError)) as raised:
        create_repository("http://127.0.0.1:1/r", timeout=0.5)
    assert raised.value.hint


def test_a_database_without_its_extension_is_told(postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = postgres_server.create_database("plain", extensions=())
    try:
        with pytest.raises(ConfigurationError, match="btree_gist"):
            create_repository(tmp_path, database=url)
    finally:
        postgres_server.drop_database("plain")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_label_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(LenticularError, match="cannot be a label"):
        create_repository(tmp_path / "r", label="a b", label_file=tmp_path / "index.yaml")
    assert list(tmp_path.iterdir()) == []


def test_relative_places_are_written_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create_repository("r", datastore="files", label="mine", label_file=Path("index.yaml")).close()
    assert yaml.safe_load(Path("index.yaml").read_text()) == {"mine": f"{tmp_path}/r"}
    with Repository.open("r") as repository:
        assert [str(root) for root in repository.configuration.datastores] == [f"{tmp_path}/files"]
