"""Repositories behave alike on every database and every datastore."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

from lenticular.butler import CollectionKind, Repository, create_repository
from lenticular.butler.errors import (
    ConfigurationError,
    DatabaseUnreachableError,
    DataError,
    NotFoundError,
    ReadOnlyRepositoryError,
    RepositoryExistsError,
    RepositoryNotFoundError,
    SchemaVersionError,
    StoreUnreachableError,
)
from lenticular.platform.services import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lenticular.platform.services import ObjectStoreProcess, PostgresServer
    from tests.butler.conftest import Backend


def test_a_new_repository_is_empty_and_writeable(backend: Backend) -> None:
    with backend.create() as repository:
        assert repository.writeable
        assert repository.collections() == ()
        assert repository.butler.isWriteable()


def test_what_is_put_comes_back_from_where_it_was_meant_to_be(backend: Backend) -> None:
    from lsst.daf.butler import DatasetType

    with backend.create() as repository:
        butler = repository.butler
        kind = DatasetType("note", (), "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        butler.collections.register("run")
        butler.put({"a": 1}, kind, run="run")
        assert butler.get("note", collections="run") == {"a": 1}
        uri = str(butler.getURI("note", collections="run"))
        assert uri.startswith(backend.datastore or backend.root.as_uri())


def test_a_second_repository_at_the_same_place_is_refused_and_the_first_kept(backend: Backend) -> None:
    backend.create().close()
    with pytest.raises(RepositoryExistsError):
        backend.create()
    with Repository.open(backend.root) as repository:
        assert repository.collections() == ()


def test_collections_are_listed_with_what_they_hold(repository: Repository) -> None:
    listed = {info.name: info for info in repository.collections()}
    assert list(listed) == ["u/all", "u/ana", "u/ana/new", "u/ana/old", "u/tags"]
    assert listed["u/ana"].kind is CollectionKind.CHAINED
    assert listed["u/ana"].children == ("u/ana/new", "u/ana/old")
    assert listed["u/ana"].dataset_types == ("note", "remark")
    assert listed["u/ana/new"].dataset_types == ("note",)
    assert listed["u/all"].documentation == "everything of everybody"


def test_collections_agree_with_upstream(repository: Repository) -> None:
    theirs = repository.butler.collections.query_info("*", include_summary=True)
    expected = {
        info.name: (info.type.name, info.children, frozenset(info.dataset_types or ())) for info in theirs
    }
    ours = {
        info.name: (info.kind.value, info.children, frozenset(info.dataset_types))
        for info in repository.collections()
    }
    assert ours == expected


def test_collections_are_filtered_by_name_and_kind(repository: Repository) -> None:
    runs = repository.collections("u/ana/*", kinds=[CollectionKind.RUN])
    assert [info.name for info in runs] == ["u/ana/new", "u/ana/old"]
    assert [info.name for info in repository.collections(kinds=[CollectionKind.TAGGED])] == ["u/tags"]


def test_a_search_visits_each_collection_once_in_order(repository: Repository) -> None:
    assert repository.search_order("u/all") == ("u/ana/new", "u/ana/old")


def test_dataset_types_agree_with_upstream(repository: Repository) -> None:
    for info in repository.dataset_types():
        theirs = repository.butler.get_dataset_type(info.name)
        assert set(info.dimensions) == set(theirs.dimensions.names)
        assert info.storage_class == theirs.storageClass_name
        assert info.is_calibration == theirs.isCalibration()


def test_counts_are_exact(repository: Repository) -> None:
    assert repository.counts(["u/ana/new", "u/ana/old"]) == {
        "u/ana/new": {"note": 2},
        "u/ana/old": {"note": 3, "remark": 1},
    }


def test_datasets_come_as_columns_the_first_found_of_each(repository: Repository) -> None:
    table = repository.datasets("note", "u/ana", order_by=["detector"])
    assert table.column("detector").to_pylist() == [0, 1, 2, 3]
    assert table.column("run").to_pylist() == ["u/ana/new", "u/ana/new", "u/ana/old", "u/ana/old"]
    everything = repository.datasets("note", "u/ana", find_first=False)
    assert everything.num_rows == 5


def test_datasets_are_restricted_by_an_expression(repository: Repository) -> None:
    table = repository.datasets("note", "u/ana", where="detector > 1 AND instrument = 'Cam'")
    assert sorted(table.column("detector").to_pylist()) == [2, 3]


def test_no_datasets_are_an_empty_table_with_its_columns(repository: Repository) -> None:
    table = repository.datasets("note", "u/ana", where="instrument = 'Cam' AND detector = 0", limit=0)
    assert table.num_rows == 0
    assert {"dataset_id", "run", "instrument", "detector"} <= set(table.column_names)


def test_dimension_records_come_as_columns(repository: Repository) -> None:
    table = repository.dimension_records("detector", order_by=["-detector"], limit=2)
    assert table.column("full_name").to_pylist() == ["D3", "D2"]


@pytest.mark.parametrize(
    ("where", "advice"),
    [
        ("detector >", "Write a value after >"),
        ('instrument = "Cam"', "single quotes"),
        ("instrument = Cam", "single quotes"),
        ("detektor = 1", "Did you mean detector"),
        ("visit.exposure_tim > 3", "Did you mean exposure_time"),
        ("visit = 'a'", "numbers with numbers"),
        ("detector = 1", "Write instrument = 'Cam' AND"),
    ],
)
def test_a_wrong_expression_is_a_clear_error(where: str, advice: str, repository: Repository) -> None:
    with pytest.raises(DataError, match=advice):
        repository.datasets("note", "u/ana", where=where)


def test_an_unknown_name_to_sort_or_select_by_tells_those_nearest(repository: Repository) -> None:
    questions: tuple[Callable[[], object], ...] = (
        lambda: repository.datasets("note", "u/ana", order_by=["-detektor"]),
        lambda: repository.dimension_records("detektor"),
        lambda: repository.dimension_records("visit", detektor=1),
    )
    for ask in questions:
        with pytest.raises(DataError, match="Did you mean detector") as raised:
            ask()
        assert "single quotes" not in str(raised.value)


def test_unknown_names_tell_those_nearest(repository: Repository) -> None:
    with pytest.raises(NotFoundError, match=r"Did you mean u/ana"):
        repository.collection("u/anna")
    with pytest.raises(NotFoundError, match=r"Did you mean note"):
        repository.datasets("notes", "u/ana")
    with pytest.raises(NotFoundError, match=r"Did you mean u/ana"):
        repository.datasets("note", "u/anna")
    with pytest.raises(NotFoundError):
        repository.search_order("nowhere")


def test_what_is_open_for_reading_cannot_be_changed(repository: Repository) -> None:
    with pytest.raises(ReadOnlyRepositoryError, match="writeable=True"):
        repository.analyze()
    assert not repository.butler.isWriteable()
    insert = sqlalchemy.text("INSERT INTO butler_attributes VALUES ('a', 'b')")
    with (
        pytest.raises(sqlalchemy.exc.DBAPIError, match=r"(?i)read-?only"),
        repository.engine.begin() as connection,
    ):
        connection.execute(insert)


def test_neither_text_nor_html_shows_more_than_it_should(repository: Repository) -> None:
    shown = repr(repository) + repository._repr_html_()
    assert "read-only" in shown
    assert repository.uri in shown
    assert "SECRET" not in shown.upper()


def test_statistics_exist_after_analyze(repository: Repository) -> None:
    question = {
        "sqlite": "SELECT count(*) FROM sqlite_stat1",
        "postgresql": "SELECT count(*) FROM pg_stats WHERE tablename = 'collection'",
    }[repository.engine.dialect.name]
    with repository.engine.connect() as connection:
        assert (connection.execute(sqlalchemy.text(question)).scalar() or 0) > 0


def test_an_unknown_schema_version_is_refused_before_any_answer(backend: Backend) -> None:
    with backend.create() as repository, repository.engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "UPDATE butler_attributes SET value = '7.0.0' WHERE name LIKE 'version:%StaticDimension%'"
            )
        )
    with pytest.raises(SchemaVersionError, match=r"StaticDimensionRecordStorageManager 7\.0\.0"):
        Repository.open(backend.root)


def test_a_database_that_is_no_registry_is_told(tmp_path: Path) -> None:
    create_repository(tmp_path).close()
    (tmp_path / "gen3.sqlite3").write_bytes(b"")
    with pytest.raises(DatabaseUnreachableError, match="not a Butler registry"):
        Repository.open(tmp_path)
    (tmp_path / "gen3.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseUnreachableError, match="not a SQLite database"):
        Repository.open(tmp_path)


def test_a_missing_database_file_is_told_and_not_made(tmp_path: Path) -> None:
    create_repository(tmp_path).close()
    (tmp_path / "gen3.sqlite3").unlink()
    with pytest.raises(RepositoryNotFoundError, match="database file"):
        Repository.open(tmp_path)
    assert not (tmp_path / "gen3.sqlite3").exists()


def test_a_repository_that_was_moved_still_opens(tmp_path: Path) -> None:
    create_repository(tmp_path / "here").close()
    shutil.move(tmp_path / "here", tmp_path / "there")
    with Repository.open(tmp_path / "there") as repository:
        assert repository.uri == f"{tmp_path}/there/"


def test_a_configuration_in_s3_is_found(bucket: str, s3_environment: dict[str, str], tmp_path: Path) -> None:
    assert s3_environment
    root = f"s3://{bucket}/repository"
    database = f"sqlite:///{tmp_path}/registry.sqlite3"
    create_repository(root, database=database, datastore=f"s3://{bucket}/files").close()
    with Repository.open(root) as repository:
        assert repository.uri == root + "/"
        assert not repository.butler.isWriteable()
    with pytest.raises(RepositoryExistsError):
        create_repository(root, database=database)


def test_a_configuration_in_s3_needs_a_database_elsewhere(
    bucket: str, s3_environment: dict[str, str]
) -> None:
    assert s3_environment
    with pytest.raises(ConfigurationError, match="needs a database elsewhere"):
        create_repository(f"s3://{bucket}/repository")


def test_a_missing_bucket_is_told_before_anything_is_made(
    s3_environment: dict[str, str], tmp_path: Path
) -> None:
    assert s3_environment
    with pytest.raises(StoreUnreachableError, match="no-such-bucket"):
        create_repository(tmp_path / "r", datastore="s3://no-such-bucket/files")
    assert not (tmp_path / "r").exists()


def test_a_bucket_that_has_gone_is_told_when_pixels_are_wanted(
    object_store: ObjectStoreProcess, bucket: str, s3_environment: dict[str, str], tmp_path: Path
) -> None:
    assert s3_environment
    create_repository(tmp_path, datastore=f"s3://{bucket}/files").close()
    client = object_store.client()
    client.delete_bucket(Bucket=bucket)
    client.close()
    with Repository.open(tmp_path) as repository:
        assert repository.collections() == ()  # the registry answers all the same
        with pytest.raises(StoreUnreachableError, match="bucket"):
            _ = repository.butler


@pytest.mark.parametrize("fault", ["stall", "refuse", "reset"])
def test_a_dead_object_store_is_told_within_the_time_stated(
    fault: str,
    object_store: ObjectStoreProcess,
    bucket: str,
    s3_environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert s3_environment
    create_repository(tmp_path, datastore=f"s3://{bucket}/files").close()
    with FaultProxy(object_store.endpoint) as proxy:
        endpoint = proxy.endpoint
        for name in ("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL"):
            monkeypatch.setenv(name, endpoint)
        match fault:
            case "stall":
                proxy.faults.stall_after = 0
            case "refuse":
                proxy.faults.refuse = True
            case "reset":
                proxy.faults.reset_after = 0
        with (
            Repository.open(tmp_path, timeout=0.5) as repository,
            pytest.raises(StoreUnreachableError) as raised,
        ):
            _ = repository.butler
    assert {
        "stall": "did not answer within 0.5 s",
        "refuse": "does not accept connections",
        "reset": "failed",
    }[fault] in raised.value.what
    assert endpoint in (raised.value.hint or "")


def test_a_database_that_stalls_after_the_login_is_told_within_the_time_stated(
    postgres_server: PostgresServer, tmp_path: Path, postgres_database: str
) -> None:
    create_repository(tmp_path, database=postgres_database).close()
    with FaultProxy(postgres_server.socket) as proxy:
        host, port = proxy.address
        name = str(sqlalchemy.make_url(postgres_database).database)
        url = postgres_server.url(name, host=host, port=port)
        configuration = (tmp_path / "butler.yaml").read_text()
        (tmp_path / "butler.yaml").write_text(configuration.replace(postgres_database, url))
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        before = proxy.counters.bytes_down
        engine.raw_connection().close()  # a login alone
        proxy.faults.stall_after = proxy.counters.bytes_down - before
        with pytest.raises(DatabaseUnreachableError, match="did not answer within 1 s"):
            Repository.open(tmp_path, timeout=1)
        with pytest.raises(DatabaseUnreachableError, match="did not answer within 1 s"):
            create_repository(tmp_path / "second", database=url, timeout=1)
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("fault", ["stall", "refuse", "reset"])
def test_a_dead_database_is_told_within_the_time_stated(
    fault: str, postgres_server: PostgresServer, tmp_path: Path, postgres_database: str
) -> None:
    create_repository(tmp_path, database=postgres_database).close()
    with FaultProxy(postgres_server.socket) as proxy:
        host, port = proxy.address
        name = str(sqlalchemy.make_url(postgres_database).database)
        url = postgres_server.url(name, host=host, port=port)
        configuration = (tmp_path / "butler.yaml").read_text()
        assert postgres_database in configuration
        (tmp_path / "butler.yaml").write_text(configuration.replace(postgres_database, url))
        match fault:
            case "stall":
                proxy.faults.stall_after = 0
            case "refuse":
                proxy.faults.refuse = True
            case "reset":
                proxy.faults.reset_after = 0
        with pytest.raises(DatabaseUnreachableError) as raised:
            Repository.open(tmp_path, timeout=1)
    assert raised.value.hint


def test_a_database_that_refuses_us_says_why(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.url("no_such_database")
    with pytest.raises(DatabaseUnreachableError, match="no such database"):
        create_repository(tmp_path, database=url)
    assert not (tmp_path / "butler.yaml").exists()  # a second attempt starts clean


def test_a_password_in_the_database_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        create_repository(tmp_path, database="postgresql://ana:pa55word@127.0.0.1/registry")
    assert "pa55word" not in str(raised.value)
    assert not list(tmp_path.iterdir())
