# ruff: noqa: S608  the statements that damage a database are put together here, of nothing from outside
"""Repositories with faults of every kind, and what is said of them."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

from lenticular.butler import Repository, create_repository
from lenticular.butler.errors import DataError, QueryCancelledError
from lenticular.butler.health import Severity, check_health
from lenticular.butler.health.memberships import read_kinds
from lenticular.butler.health.records import file_datastores
from lenticular.platform.services import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lenticular.butler.health import Finding, HealthReport
    from lenticular.platform.services import ObjectStore
    from tests.butler.conftest import Backend

RUN = "u/one"


def fill(repository: Repository) -> None:
    """Put six notes of three detectors each into two runs, and a calibration."""
    from lsst.daf.butler import CollectionType, DatasetType, Timespan

    butler = repository.butler
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "class_name": "x.Cam", "detector_max": 9})
    insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(4)))
    make: dict[str, Any] = {"universe": butler.dimensions, "storageClass": "StructuredDataDict"}
    note = DatasetType("note", ("instrument", "detector"), **make)
    dark = DatasetType("dark", ("instrument", "detector"), isCalibration=True, **make)
    for kind in (note, dark):
        butler.registry.registerDatasetType(kind)
    for run in (RUN, "u/two"):
        butler.collections.register(run)
        for detector in range(3):
            butler.put({"n": [detector] * 50}, note, instrument="Cam", detector=detector, run=run)
    darks = [butler.put({"d": i}, dark, instrument="Cam", detector=i, run=RUN) for i in range(2)]
    butler.collections.register("calib", CollectionType.CALIBRATION)
    butler.registry.certify("calib", darks, Timespan(None, None))
    butler.collections.register("all", CollectionType.CHAINED)
    butler.collections.redefine_chain("all", [RUN, "u/two"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a repository without a fault, to be copied."""
    root = tmp_path_factory.mktemp("whole") / "repository"
    with create_repository(root) as repository:
        fill(repository)
    return root


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Iterator[Repository]:
    """Return a copy of it, open for writing, that a test may damage."""
    root = tmp_path / "repository"
    shutil.copytree(whole, root)
    with Repository.open(root, writeable=True) as repository:
        yield repository


def execute(repository: Repository, statement: str) -> None:
    """Change the database past all checks."""
    raw = repository.engine.raw_connection()
    try:
        raw.cursor().execute(statement)
        raw.commit()
    finally:
        raw.close()


def files_of(repository: Repository) -> list[Path]:
    """Return the files of the first run's notes."""
    refs = repository.butler.query_datasets("note", RUN)
    found = (repository.butler.getURI(ref).ospath for ref in sorted(refs))
    return [Path(path) for path in found]


def by_check(report: HealthReport) -> dict[str, Finding]:
    assert len({finding.check for finding in report.findings}) == len(report.findings)
    return {finding.check: finding for finding in report.findings}


def test_nothing_is_wrong_with_a_whole_repository(copy: Repository) -> None:
    report = check_health(copy)
    assert report.findings == ()
    assert report.is_healthy
    assert str(report) == f"{copy.name}: nothing to report"
    assert report.artifacts.looked_at == report.artifacts.records == report.files == 8
    assert report.artifacts.listed
    assert "Nothing to report" in report._repr_html_()


def test_sizes_are_those_of_the_files(copy: Repository) -> None:
    report = check_health(copy, artifacts="none")
    root = Path(copy.configuration.datastores[0].path)
    files = [path for path in root.rglob("*") if path.is_file()]
    assert report.bytes == sum(path.stat().st_size for path in files)
    used = {(one.dataset_type, one.run): one for one in report.usage}
    notes = used["note", RUN]
    assert notes.bytes == sum(path.stat().st_size for path in files_of(copy))
    assert (notes.datasets, notes.stored, notes.files) == (3, 3, 3)
    assert {one.dataset_type: one.files for one in report.by_dataset_type()} == {"note": 6, "dark": 2}
    assert str(report.artifacts) == "No file was looked at"


def test_missing_short_and_foreign_files_are_found(copy: Repository) -> None:
    first, second, _ = files_of(copy)
    first.unlink()
    second.write_bytes(b"{}")
    stray = first.with_name("what.is.this.yaml")
    stray.write_bytes(b"12345")
    leftover = first.with_name("ab01_ef23456789z.yaml")
    leftover.write_bytes(b"")
    report = check_health(copy, artifacts="all")
    found = by_check(report)
    assert set(found) == {"missing-artifacts", "mismatched-artifacts", "orphans", "leftovers"}
    assert report.paths["missing"] == (str(first),)
    assert report.paths["mismatched"] == (str(second),)
    assert report.paths["orphans"] == (str(stray),)
    assert report.paths["leftovers"] == (str(leftover),)
    assert "2 bytes instead of" in found["mismatched-artifacts"].examples[0]
    assert "5 B" in found["orphans"].what
    assert found["missing-artifacts"].severity is Severity.ERROR
    assert not report.is_healthy
    assert stray.exists()
    assert leftover.exists()


def test_a_sample_states_what_it_is_worth(copy: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from lenticular.butler.health import stores

    monkeypatch.setattr(stores, "_PAGE_OF_FOLDER", 1)  # asking is cheaper than listing
    report = check_health(copy, sample=3)
    assert (report.artifacts.looked_at, report.artifacts.records) == (3, 8)
    assert not report.artifacts.listed
    assert report.artifacts.missing_fraction == pytest.approx((0, 1 - 0.05 ** (1 / 3)))
    assert "at most 63.2 % are missing (95 % confidence)" in str(report.artifacts)
    shutil.rmtree(copy.configuration.datastores[0].path)
    lost = check_health(copy, sample=3)
    assert lost.artifacts.missing == 3
    assert lost.artifacts.missing_fraction == pytest.approx((0.05 ** (1 / 3), 1))


def test_a_file_of_several_datasets_counts_once(copy: Repository, tmp_path: Path) -> None:
    from lsst.daf.butler import DataCoordinate, DatasetRef, FileDataset

    butler = copy.butler
    kind = butler.get_dataset_type("note")
    butler.collections.register("shared")
    ids = [
        DataCoordinate.standardize(instrument="Cam", detector=i, universe=butler.dimensions) for i in range(3)
    ]
    refs = [DatasetRef(kind, one, run="shared") for one in ids]
    inside, outside = tmp_path / "two.yaml", tmp_path / "left.yaml"
    inside.write_text("a: 1")
    outside.write_text("b: 22")
    formatter = "lsst.daf.butler.formatters.yaml.YamlFormatter"
    butler.ingest(FileDataset(path=str(inside), refs=refs[:2], formatter=formatter), transfer="copy")
    butler.ingest(FileDataset(path=str(outside), refs=refs[2:], formatter=formatter), transfer="direct")
    before = check_health(copy, artifacts="all")
    assert before.findings == ()
    (used,) = [one for one in before.usage if one.run == "shared"]
    assert (used.datasets, used.stored, used.files, used.bytes) == (3, 3, 2, 9)
    assert before.files == 10
    assert before.bytes == sum(one.bytes for one in before.usage)
    outside.unlink()
    after = check_health(copy, artifacts="all")
    assert [Path(path.removeprefix("file://")) for path in after.paths["missing"]] == [outside]


def test_the_parts_of_a_composite_count_as_files_of_one_dataset(copy: Repository) -> None:
    path = files_of(copy)[0]
    execute(
        copy,
        "INSERT INTO file_datastore_records SELECT dataset_id, path || '.b', formatter, storage_class, 'b', "
        f"checksum, 7 FROM file_datastore_records WHERE path LIKE '%{path.name}'",
    )
    path.with_name(f"{path.name}.b").write_bytes(b"1234567")
    report = check_health(copy, artifacts="all")
    assert report.findings == ()
    (used,) = [one for one in report.usage if one.dataset_type == "note" and one.run == RUN]
    assert (used.datasets, used.stored, used.files) == (3, 3, 4)


def test_datasets_in_an_archive_are_found_in_it(copy: Repository, tmp_path: Path) -> None:
    butler = copy.butler
    refs = butler.query_datasets("note", RUN)
    archive = butler.retrieve_artifacts_zip(refs, destination=tmp_path / "zip")
    butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
    butler.ingest_zip(archive, transfer="copy")
    report = check_health(copy, artifacts="all")
    assert report.findings == ()
    (used,) = [one for one in report.usage if one.dataset_type == "note" and one.run == RUN]
    assert (used.datasets, used.stored, used.files) == (3, 3, 1)
    assert report.files == 6
    assert report.artifacts.records == 6
    assert check_health(copy, artifacts="sample", sample=1).artifacts.records == 6


def test_a_datastore_in_the_repository_s_own_folder_has_no_orphans_there(tmp_path: Path) -> None:
    with create_repository(tmp_path / "r", datastore="<butlerRoot>") as repository:
        fill(repository)
        assert check_health(repository, artifacts="all").findings == ()


def test_chained_datastores_are_looked_at_each(tmp_path: Path) -> None:
    from lsst.daf.butler import Butler, Config

    kind = "lsst.daf.butler.datastores.fileDatastore.FileDatastore"
    stores = [
        {"datastore": {"cls": kind, "root": f"<butlerRoot>/{name}", "records": {"table": f"records_{name}"}}}
        for name in ("fast", "slow")
    ]
    chained = "lsst.daf.butler.datastores.chainedDatastore.ChainedDatastore"
    root = tmp_path / "r"
    Butler.makeRepo(
        root, Config({"datastore": {"cls": chained, "datastores": stores}}), forceConfigRoot=False
    )
    with Repository.open(root, writeable=True) as repository:
        fill(repository)
        names = [datastore.name for datastore in file_datastores(repository)]
        assert names == list(repository.butler._datastore.names)
        report = check_health(repository, artifacts="all")
        assert report.findings == ()
        assert report.files == 16
        (root / "slow" / "lost").write_bytes(b"")
        assert check_health(repository, artifacts="all").paths["orphans"] == (str(root / "slow" / "lost"),)


def test_datasets_without_a_file_are_told_from_those_that_never_had_one(copy: Repository) -> None:
    butler = copy.butler
    notes = butler.query_datasets("note", RUN)
    butler.pruneDatasets(notes[:1], disassociate=False, unstore=True, purge=False)
    butler.pruneDatasets(butler.query_datasets("dark", RUN), disassociate=False, unstore=True, purge=False)
    found = by_check(check_health(copy, artifacts="all"))
    assert set(found) == {"unstored-datasets", "virtual-datasets"}
    assert found["unstored-datasets"].examples == (f"1 of 3 note in {RUN}",)
    assert found["virtual-datasets"].count == 2
    assert found["virtual-datasets"].severity is Severity.NOTE


def test_records_and_registry_are_compared(copy: Repository) -> None:
    by_name = "dataset_id IN (SELECT dataset_id FROM file_datastore_records WHERE path LIKE '%two%' LIMIT 1)"
    execute(copy, "PRAGMA foreign_keys = OFF")
    execute(copy, f"DELETE FROM dataset_location WHERE {by_name}")
    last = "SELECT dataset_id FROM file_datastore_records WHERE path LIKE '%two%' ORDER BY path DESC LIMIT 1"
    execute(copy, f"DELETE FROM dataset WHERE id IN ({last})")
    first = "SELECT dataset_id FROM file_datastore_records WHERE path LIKE '%one/note%' ORDER BY path"
    execute(copy, f"DELETE FROM file_datastore_records WHERE dataset_id IN ({first} LIMIT 1)")
    execute(
        copy,
        "INSERT INTO dataset_location_trash SELECT dataset_id, datastore_name FROM dataset_location"
        f" WHERE dataset_id IN ({first} LIMIT 1)",
    )
    execute(copy, f"DELETE FROM dataset_location WHERE dataset_id IN ({first} LIMIT 1)")
    found = by_check(check_health(copy))
    assert found["records-without-location"].count == 1
    assert found["unknown-records"].count == 1
    assert found["locations-without-record"].severity is Severity.ERROR
    assert found["trashed-datasets"].count == 1
    assert found["orphans"].count == 1


def test_chains_and_collections_without_anything_are_told(copy: Repository) -> None:
    from lsst.daf.butler import CollectionType, DatasetType

    butler = copy.butler
    butler.collections.register("nothing", CollectionType.CHAINED)
    butler.collections.register("outer", CollectionType.CHAINED)
    butler.collections.redefine_chain("outer", ["all", "u/two"])
    butler.collections.register("u/three")
    butler.collections.register("tags", CollectionType.TAGGED)
    kind = DatasetType("unused", (), "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    butler.registry.insertDimensionData("instrument", {"name": "Other", "class_name": "x.Other"})
    found = by_check(check_health(copy))
    assert {check: finding.examples for check, finding in found.items()} == {
        "empty-chains": ("nothing",),
        "repeated-members": ("outer: u/two",),
        "empty-runs": ("u/three",),
        "empty-collections": ("tags",),
        "unused-dataset-types": ("unused",),
        "unused-instruments": ("Other",),
    }
    assert found["empty-chains"].severity is Severity.WARNING
    assert found["empty-runs"].severity is Severity.NOTE
    assert all(finding.hint for finding in found.values())


def test_summaries_are_compared_with_what_is_there(copy: Repository) -> None:
    butler = copy.butler
    notes = butler.query_datasets("note", "u/two")
    butler.pruneDatasets(notes, disassociate=True, unstore=True, purge=True)
    stale = by_check(check_health(copy))["stale-summaries"]
    assert stale.examples == ("note in u/two", "Cam in u/two")
    execute(copy, "PRAGMA foreign_keys = OFF")
    execute(copy, "DELETE FROM collection_summary_dataset_type")
    execute(copy, "DELETE FROM collection_summary_instrument")
    missing = by_check(check_health(copy))["missing-summaries"]
    assert missing.severity is Severity.ERROR
    assert set(missing.examples) == {
        f"note in {RUN}", f"dark in {RUN}", "dark in calib", f"Cam in {RUN}", "Cam in calib",
    }  # fmt: skip


def test_members_that_do_not_exist_are_found(copy: Repository) -> None:
    execute(copy, "PRAGMA foreign_keys = OFF")
    execute(copy, "UPDATE collection_chain SET child = 999 WHERE position = 1")
    assert "number 999" in by_check(check_health(copy))["lost-members"].examples[0]


def test_ranges_of_validity_that_overlap_are_found(copy: Repository) -> None:
    key = "dataset_type_id, dataset_id, collection_id, detector, instrument"
    (table,) = {kind.calibrations for kind in read_kinds(copy).values() if kind.calibrations}
    execute(
        copy,
        f"INSERT INTO {table} ({key}, timespan_begin, timespan_end)"
        f" SELECT {key}, 1000, 2000 FROM {table} WHERE detector = 1",
    )
    overlap = by_check(check_health(copy))["overlapping-validity"]
    assert overlap.count == 1
    assert overlap.examples == ("dark of Cam, 1 in calib",)


@pytest.mark.parametrize("artifacts", ["sample", "all", "none"])
def test_a_check_can_be_given_up(copy: Repository, artifacts: Any) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(QueryCancelledError):
        check_health(copy, artifacts=artifacts, cancel=event)
    told: list[str] = []
    with pytest.raises(QueryCancelledError):
        check_health(copy, progress=lambda what, *_: told.append(what), cancel=lambda: len(told) > 1)
    assert len(told) == 2


def test_a_sample_has_at_least_one_file(copy: Repository) -> None:
    with pytest.raises(DataError, match="at least one"):
        check_health(copy, sample=0)


def test_progress_ends_with_all_files(copy: Repository) -> None:
    told: list[tuple[int, int]] = []
    check_health(copy, artifacts="sample", progress=lambda _, done, total: told.append((done, total)))
    assert told


def test_an_empty_repository_is_healthy(tmp_path: Path) -> None:
    with create_repository(tmp_path / "r") as repository:
        report = check_health(repository, artifacts="all")
    assert report.is_healthy
    assert str(report.artifacts) == "There are no files to look for"
    assert report.as_dict()["bytes"] == 0


@pytest.fixture(scope="module", params=["postgresql15-moto", "postgresql18-seaweedfs", "sqlite-moto"])
def remote(
    request: pytest.FixtureRequest, make_backend: Callable[[str], Backend]
) -> Iterator[tuple[Backend, Any]]:
    """Return a filled repository in each object store, and a client of the store."""
    made = make_backend(request.param)
    name = {"moto": "object_store", "seaweedfs": "seaweed_server"}[request.param.partition("-")[2]]
    server: ObjectStore = request.getfixturevalue(name)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in made.environment.items():
            patch.setenv(variable, value)
        with made.create() as repository:
            fill(repository)
    client = server.client()
    yield made, client
    client.close()


def test_faults_in_object_stores_are_found(
    remote: tuple[Backend, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, client = remote
    for variable, value in made.environment.items():
        monkeypatch.setenv(variable, value)
    bucket, _, prefix = (made.datastore or "").removeprefix("s3://").partition("/")
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    with Repository.open(made.root) as repository:
        assert check_health(repository, artifacts="all").findings == ()
        client.delete_object(Bucket=bucket, Key=keys[0])
        client.put_object(Bucket=bucket, Key=keys[1], Body=b"x")
        client.put_object(Bucket=bucket, Key=f"{prefix}/stray/a b.fits", Body=b"123")
        report = check_health(repository, artifacts="all")
        assert set(by_check(report)) == {"missing-artifacts", "mismatched-artifacts", "orphans"}
        assert report.paths["missing"] == (f"s3://{bucket}/{keys[0]}",)
        assert report.paths["mismatched"] == (f"s3://{bucket}/{keys[1]}",)
        assert report.paths["orphans"] == (f"s3://{bucket}/{prefix}/stray/a b.fits",)
        # Few enough files are listed rather than sampled.
        assert check_health(repository, sample=4).paths == report.paths
        monkeypatch.setattr("lenticular.butler.health.stores._PAGE_OF_BUCKET", 1)
        asked = check_health(repository, sample=8)
        assert asked.artifacts.looked_at == 8


def test_a_store_that_does_not_answer_is_a_finding(
    remote: tuple[Backend, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = remote
    for variable, value in made.environment.items():
        gone = value if "ENDPOINT" not in variable else f"http://127.0.0.1:{free_port()}"
        monkeypatch.setenv(variable, gone)
    with Repository.open(made.root) as repository:
        report = check_health(repository, artifacts="all", timeout=1)
    found = by_check(report)
    assert found["store-unreachable"].severity is Severity.ERROR
    assert "does not accept connections" in found["store-unreachable"].what
    assert report.files == 8
    assert "missing-artifacts" not in found


def test_a_healthy_report_is_plain_values(copy: Repository) -> None:
    import json

    files_of(copy)[0].unlink()
    report = check_health(copy, artifacts="all")
    values = json.loads(json.dumps(report.as_dict()))
    assert values["healthy"] is False
    assert values["findings"][0]["severity"] == "error"
    assert str(report) == f"{copy.name}: 1 error"
    assert "1 file is missing" in report._repr_html_()


def test_nothing_is_changed(copy: Repository) -> None:
    """Only statements that read are sent."""
    with Repository.open(copy.uri) as reading:
        sent: list[str] = []
        sqlalchemy.event.listen(reading.engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
        check_health(reading, artifacts="all")
    assert sent
    assert all(text.lstrip().upper().startswith(("SELECT", "WITH", "PRAGMA")) for text in sent)
