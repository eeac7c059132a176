"""Reading butler.yaml: what it says, and what is wrong with it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from lenticular.butler.configuration import read_configuration
from lenticular.butler.errors import ConfigurationError, RepositoryNotFoundError
from lenticular.butler.store import Location

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> Location:
    """Write a configuration and return the repository's location."""
    (folder / "butler.yaml").write_text(text)
    return Location.parse(str(folder))


def test_marks_of_the_root_are_resolved(tmp_path: Path) -> None:
    text = "datastore: {root: <butlerRoot>/files}\nregistry: {db: 'sqlite:///<butlerRoot>/r.sqlite3'}\n"
    configuration = read_configuration(write(tmp_path, text))
    assert configuration.database_url.database == f"{tmp_path}/r.sqlite3"
    assert [str(root) for root in configuration.datastores] == [f"{tmp_path}/files"]


def test_a_root_elsewhere_is_followed(tmp_path: Path) -> None:
    configuration = read_configuration(
        write(tmp_path, "root: s3://bucket/repo\nregistry: {db: 'sqlite:////r'}")
    )
    assert str(configuration.root) == "s3://bucket/repo"
    assert str(configuration.datastores[0]) == "s3://bucket/repo/datastore"


def test_chained_datastores_are_all_found(tmp_path: Path) -> None:
    text = """
datastore:
  cls: lsst.daf.butler.datastores.chainedDatastore.ChainedDatastore
  datastores:
    - datastore: {cls: x.InMemoryDatastore}
    - datastore: {cls: x.FileDatastore, root: s3://one@fast/a}
    - datastore: {cls: x.FileDatastore, root: <butlerRoot>/slow}
"""
    configuration = read_configuration(write(tmp_path, text))
    assert [str(root) for root in configuration.datastores] == ["s3://one@fast/a", f"{tmp_path}/slow"]


def test_what_upstream_includes_does_not_disturb(tmp_path: Path) -> None:
    text = "datastore: {formatters: !include formatters.yaml, root: <butlerRoot>}\nregistry: {db: 'sqlite:////r'}"
    assert read_configuration(write(tmp_path, text)).namespace is None


def test_keys_beside_the_address_complete_it(tmp_path: Path) -> None:
    text = "registry: {db: 'postgresql://db.example.org', database: lsst, username: ana, namespace: dp1}"
    configuration = read_configuration(write(tmp_path, text))
    url = configuration.database_url
    assert (url.database, url.username, configuration.namespace) == ("lsst", "ana", "dp1")


def test_a_password_in_the_file_never_shows(tmp_path: Path) -> None:
    text = "registry: {db: 'postgresql://ana:pa55word@127.0.0.1/lsst'}"
    configuration = read_configuration(write(tmp_path, text))
    assert configuration.database_url.password == "pa55word"  # noqa: S105
    assert "pa55word" not in repr(configuration) + configuration.shown_database


def test_a_password_from_db_auth_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = tmp_path / "db-auth.yaml"
    auth.write_text("- {url: 'postgresql://127.0.0.1/lsst', username: ana, password: from-the-file}")
    auth.chmod(0o600)
    monkeypatch.setenv("LSST_DB_AUTH", str(auth))
    configuration = read_configuration(write(tmp_path, "registry: {db: 'postgresql://ana@127.0.0.1/lsst'}"))
    assert configuration.database_url.password == "from-the-file"  # noqa: S105


def test_a_db_auth_that_others_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = tmp_path / "db-auth.yaml"
    auth.write_text("- {url: 'postgresql://127.0.0.1/lsst', username: ana, password: x}")
    auth.chmod(0o644)
    monkeypatch.setenv("LSST_DB_AUTH", str(auth))
    configuration = read_configuration(write(tmp_path, "registry: {db: 'postgresql://ana@127.0.0.1/lsst'}"))
    with pytest.raises(ConfigurationError, match="chmod 600"):
        _ = configuration.database_url


def test_a_butler_server_has_no_database_to_ask(tmp_path: Path) -> None:
    text = "cls: lsst.daf.butler.remote_butler.RemoteButler\nremote_butler: {url: 'https://data/api/butler'}"
    configuration = read_configuration(write(tmp_path, text))
    with pytest.raises(ConfigurationError, match="Butler server"):
        _ = configuration.database_url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registry: [", "not valid YAML at line 1"),
        ("a: 1", "not the configuration of a Butler repository"),
        ("", "not the configuration of a Butler repository"),
        ("just words", "not the configuration of a Butler repository"),
        ("registry: foo", "registry is not a mapping"),
        ("datastore: [1]", "datastore is not a mapping"),
        ("datastore: {datastores: [foo]}", "chained datastore is not a mapping"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_a_clear_error(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(write(tmp_path, text))


def test_a_password_in_a_malformed_file_never_shows(tmp_path: Path) -> None:
    text = "registry:\n  db: 'postgresql://ana:pa55word@127.0.0.1/lsst\n"
    with pytest.raises(ConfigurationError, match="at line 3") as raised:
        read_configuration(write(tmp_path, text))
    assert "pa55word" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("address", ["no url", "postgresql://ana:pa55word@h:port/x", "oracle://h/x"])
def test_an_address_that_cannot_be_used_is_a_clear_error(address: str, tmp_path: Path) -> None:
    configuration = read_configuration(write(tmp_path, f"registry: {{db: '{address}'}}"))
    with pytest.raises(ConfigurationError, match=r"Write registry\.db as") as raised:
        _ = configuration.database_url
    assert "pa55word" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("uri", ["https://ana:pa55word@host/r", "s3://ana:pa55word@bucket/r"])
def test_a_password_in_a_location_never_shows(uri: str) -> None:
    location = Location.parse(uri)
    assert "pa55word" not in f"{location!r} {location} {location.join('x')!r}"
    assert location.uri == uri


def test_a_missing_configuration_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError, match="There is nothing here"):
        read_configuration(Location.parse(str(tmp_path)))


def test_an_unknown_scheme_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="gopher://"):
        Location.parse("gopher://old/place")
