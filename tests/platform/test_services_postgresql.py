"""A PostgreSQL of one's own, of every major version on this machine."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import psutil
import pytest
import sqlalchemy

from lenticular.butler.errors import ServiceError
from lenticular.platform.services import (
    FaultProxy,
    PostgresBinaries,
    PostgresServer,
    find_postgresql,
    postgresql,
)

NEWEST_LAST = sorted(find_postgresql(), key=lambda binaries: binaries.major)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        result = connection.execute(sqlalchemy.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture
def folder(open_folder: Path, request: pytest.FixtureRequest) -> Path:
    return open_folder / str(abs(hash(request.node.nodeid)))


@pytest.fixture(params=NEWEST_LAST, ids=[f"pg{binaries.major}" for binaries in NEWEST_LAST])
def binaries(request: pytest.FixtureRequest) -> PostgresBinaries:
    found: PostgresBinaries = request.param
    return found


@pytest.fixture(scope="module")
def cluster(open_folder: Path) -> Path:
    """Return a folder with data that were made once for all."""
    made = open_folder / "cluster"
    with PostgresServer(made, durable=False):
        pass
    return made


def test_there_is_at_least_one_postgresql() -> None:
    found = find_postgresql()
    assert found
    assert all(binaries.major >= 13 for binaries in found)
    assert all((binaries.bin_dir / "initdb").exists() for binaries in found)


def test_the_server_is_of_the_version_that_was_asked_for(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    version = (postgres_server.folder / "data" / "PG_VERSION").read_text().strip()
    assert ask(postgres_database, "SHOW server_version")[0][0].split(".")[0] == version  # type: ignore[attr-defined]


def test_a_clone_has_the_extension_and_is_alone(
    postgres_server: PostgresServer, postgres_database: str, postgres_template: str
) -> None:
    assert ("btree_gist",) in ask(postgres_database, "SELECT extname FROM pg_extension")
    ask(postgres_database, "CREATE TABLE visit (id integer)")
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert ask(postgres_database, tables) == [("visit",)]
    assert ask(postgres_server.url(postgres_template), tables) == []


def test_text_is_utf8_and_sorted_by_its_bytes(postgres_database: str) -> None:
    rows = ask(
        postgres_database, "SELECT name FROM (VALUES ('b'), ('B'), ('é'), ('a')) AS t(name) ORDER BY 1"
    )
    assert rows == [("B",), ("a",), ("b",), ("é",)]


def test_it_listens_on_no_network_address(postgres_server: PostgresServer) -> None:
    assert ask(postgres_server.url(), "SHOW listen_addresses") == [("",)]
    assert postgres_server.socket.is_socket()
    assert postgres_server.socket_folder.stat().st_mode & 0o077 == 0


def test_it_never_runs_as_root(postgres_server: PostgresServer) -> None:
    pid = int((postgres_server.folder / "data" / "postmaster.pid").read_text().split()[0])
    assert psutil.Process(pid).uids().effective != 0


def test_a_database_is_dropped_with_its_clients(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database("doomed")
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        postgres_server.drop_database("doomed")
        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.execute(sqlalchemy.text("SELECT 1"))
        connection.invalidate()
    engine.dispose()
    postgres_server.drop_database("doomed")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="does not exist"):
        ask(url, "SELECT 1")


def test_a_name_is_a_name_and_not_sql(postgres_server: PostgresServer) -> None:
    name = 'x"; DROP DATABASE postgres; --'
    assert ask(postgres_server.create_database(name), "SELECT current_database()") == [(name,)]
    postgres_server.drop_database(name)


def test_a_name_that_is_taken_is_refused(postgres_server: PostgresServer, postgres_template: str) -> None:
    with pytest.raises(ServiceError, match=f'database "{postgres_template}" already exists'):
        postgres_server.create_database(postgres_template)


def test_an_extension_that_is_not_installed_is_explained(postgres_server: PostgresServer) -> None:
    with pytest.raises(ServiceError, match="contrib"):
        postgres_server.create_database("without", extensions=["no_such_extension"])
    postgres_server.drop_database("without")


def test_a_killed_server_recovers_its_data(binaries: PostgresBinaries, folder: Path) -> None:
    server = PostgresServer(folder, binaries=binaries)
    with server:
        url = server.create_database("survey")
        ask(url, "CREATE TABLE visit AS SELECT 42 AS id")
        server.kill()
        assert not server.running
    with PostgresServer(folder) as again:  # which finds the version that fits
        assert ask(again.url("survey"), "SELECT id FROM visit") == [(42,)]


def test_half_made_data_are_made_again(folder: Path) -> None:
    half = folder / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    with PostgresServer(folder, durable=False) as server:
        assert ask(server.url(), "SELECT 1") == [(1,)]
    assert not half.exists()


def test_a_data_folder_without_data_is_put_aside(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "precious").write_text("mine")
    with PostgresServer(folder, durable=False) as server:
        assert ask(server.url(), "SELECT 1") == [(1,)]
    assert [path.read_text() for path in folder.glob("data.incomplete-*/data/precious")] == ["mine"]


def test_data_of_another_version_are_refused(cluster: Path) -> None:
    other = PostgresBinaries("99.1", Path("/nowhere"))
    with pytest.raises(ServiceError, match=r"the data are of PostgreSQL \d+, there is 99\.1"):
        PostgresServer(cluster, binaries=other).start()


def test_a_second_server_on_the_data_is_refused(cluster: Path) -> None:
    with PostgresServer(cluster, durable=False) as server:
        with pytest.raises(ServiceError, match=r"(?s)PostgreSQL ended before it was ready.*postmaster\.pid"):
            PostgresServer(cluster).start()
        assert ask(server.url(), "SELECT 1") == [(1,)]


def test_a_failed_start_shows_the_log(cluster: Path) -> None:
    with pytest.raises(ServiceError, match="unrecognized configuration parameter") as caught:
        PostgresServer(cluster, settings=["no_such_thing=1"]).start()
    assert caught.value.where == str(cluster / "postgresql.log")


def test_settings_are_passed_on(cluster: Path) -> None:
    with PostgresServer(cluster, durable=False, settings=["work_mem=7MB"]) as server:
        assert ask(server.url(), "SHOW work_mem") == [("7MB",)]
        assert ask(server.url(), "SHOW fsync") == [("off",)]


@pytest.mark.parametrize("name", ["x" * 100, "with:colon", "with,comma", "with 'quotes' and %20 é"])
def test_awkward_folders_work(cluster: Path, folder: Path, name: str) -> None:
    awkward = folder / name
    awkward.mkdir(parents=True)
    (cluster / "data").rename(awkward / "data")
    try:
        with PostgresServer(awkward, durable=False) as server:
            place = server.socket_folder
            assert len(os.fsencode(server.socket)) <= 107
            assert ask(server.url(), "SELECT 1") == [(1,)]
        assert place.exists() == place.is_relative_to(folder)
    finally:
        (awkward / "data").rename(cluster / "data")


def test_a_server_that_does_not_run_has_no_url(folder: Path) -> None:
    with pytest.raises(ServiceError, match=r"not running.*start\(\)"):
        PostgresServer(folder).url()


def test_without_postgresql_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "find_postgresql", list)
    with pytest.raises(ServiceError, match=r"no PostgreSQL.*apt install postgresql.*lenticular\[demo\]"):
        PostgresServer(folder).start()


def test_as_root_a_closed_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for parent in (tmp_path, *tmp_path.parents):
        if not parent.stat().st_mode & 0o001:
            closed = parent  # the first that is closed, seen from the root
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgresql, "_unprivileged", lambda _: pwd.getpwnam("nobody"))
    with pytest.raises(
        ServiceError, match=r"refuses to run as root.*'nobody' cannot enter.*chmod o\+x"
    ) as caught:
        PostgresServer(tmp_path / "closed" / "pg").start()
    assert caught.value.where == str(closed)


def test_faults_can_be_put_before_it(postgres_server: PostgresServer, postgres_database: str) -> None:
    name = sqlalchemy.make_url(postgres_database).database
    assert name is not None
    with FaultProxy(postgres_server.socket) as proxy:
        url = postgres_server.url(name, host="127.0.0.1", port=proxy.port)
        assert ask(url, "SELECT 42") == [(42,)]
        proxy.faults.reset_after = 5000
        with pytest.raises(sqlalchemy.exc.OperationalError):
            ask(url, "SELECT repeat('x', 100000)")
    assert proxy.counters.resets == 1
