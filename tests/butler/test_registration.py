"""Registering files: the rows that upstream would write, once, however often it is done."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from astropy.time import Time, TimeDelta
from lsst.daf.butler import (
    Butler,
    DataCoordinate,
    DatasetIdGenEnum,
    DatasetRef,
    FileDataset,
)
from lsst.daf.butler.formatters.json import JsonFormatter
from lsst.resources import ResourcePath
from lsst.resources.file import FileResourcePath
from sqlalchemy.exc import OperationalError

from lenticular.butler import Repository, create_repository
from lenticular.butler.errors import (
    ConfigError,
    DatabaseUnreachableError,
    IngestError,
    ReadOnlyRepositoryError,
)
from lenticular.butler.registration import FileToRegister, RegistrationReport, register, register_files
from lenticular.butler.registration.linked import LinkedFiles
from tests.butler.conftest import DATABASES
from tests.butler.registration_support import (
    DETECTORS,
    EXPOSURES,
    RUN,
    artifacts,
    die_while_registering,
    fill,
    make_files,
    register_in_process,
    rows_of,
    run_together,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.butler.conftest import Backend

ALL = EXPOSURES * DETECTORS
_TWO = (DATABASES[0], DATABASES[-1])


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with create_repository(tmp_path / "repository") as made:
        fill(made.butler)
        yield made


@pytest.fixture
def files(tmp_path: Path) -> list[FileToRegister]:
    return make_files(tmp_path / "incoming")


@pytest.fixture(params=DATABASES)
def make_repository(
    request: pytest.FixtureRequest, make_backend: Callable[[str], Backend], tmp_path: Path
) -> Iterator[Callable[[], Repository]]:
    """Return a function that makes a repository on each database in turn."""
    made: list[Repository] = []

    def make() -> Repository:
        backend = make_backend(f"{request.param}-folder")
        repository = create_repository(tmp_path / f"repository{len(made)}", database=backend.database)
        made.append(repository)
        fill(repository.butler)
        return repository

    yield make
    for repository in made:
        repository.close()


def only_failure(report: RegistrationReport) -> IngestError:
    """Return the error of a report with one failure."""
    ((_, error),) = report.failed
    assert error.hint
    return error


def upstream_ingest(butler: Butler, files: list[FileToRegister], ids: DatasetIdGenEnum) -> None:
    """Register files as upstream does it."""
    butler.collections.register(RUN)
    datasets = []
    for file in files:
        kind = butler.get_dataset_type(str(file.dataset_type))
        refs = [
            DatasetRef(
                kind,
                DataCoordinate.standardize(given, dimensions=kind.dimensions),
                RUN,
                id_generation_mode=ids,
            )
            for given in file.data_ids
        ]
        datasets.append(FileDataset(path=file.path, refs=refs, formatter=file.formatter))
    butler.ingest(*datasets, transfer="direct")


# ---- the same as upstream


@pytest.mark.parametrize("ids", ["run", "type"])
def test_every_row_is_what_upstream_writes(
    make_repository: Callable[[], Repository], tmp_path: Path, ids: Any
) -> None:
    folder = tmp_path / "incoming"
    given = make_files(folder) + [
        replace(file, formatter=JsonFormatter) for file in make_files(folder, of="notes")[2:]
    ]
    # One file with several datasets, and one for each of two types.
    several = replace(given[0], data_ids=tuple(file.data_ids[0] for file in given[:3]))
    given = [several, *given[3:]]
    theirs, ours = make_repository(), make_repository()
    mode = {"run": DatasetIdGenEnum.DATAID_TYPE_RUN, "type": DatasetIdGenEnum.DATAID_TYPE}[ids]
    upstream_ingest(theirs.butler, given, mode)
    report = register_files(ours, given, run=RUN, transfer="direct", ids=ids)
    assert str(report) == f"{len(given)} registered, 0 skipped, 0 failed"
    without = ("ingest_date",)
    assert rows_of(ours, without=without) == rows_of(theirs, without=without)
    # The one value that differs is the time, which upstream reads as one.
    begun = Time.now() - TimeDelta(1, format="jd")
    recent = ours.butler.query_datasets(
        "raw", RUN, where="raw.ingest_date > (begun)", bind={"begun": begun}, limit=None
    )
    assert len(recent) == ALL


def test_upstream_reads_what_was_registered(
    make_repository: Callable[[], Repository], tmp_path: Path
) -> None:
    repository = make_repository()
    files = make_files(tmp_path / "incoming")
    register_files(repository, files, run=RUN, transfer="direct")
    with Repository.open(repository.configuration.location.uri) as opened:
        got = opened.butler.get("raw", instrument="Cam", exposure=3, detector=2, collections=RUN)
        assert got == {"exposure": 3, "detector": 2}
        (info,) = opened.collections(RUN)
        assert info.dataset_types == ("raw",)


def test_unique_identifiers_are_of_version_7(repository: Repository, files: list[FileToRegister]) -> None:
    register_files(repository, files, run=RUN, transfer="direct", ids="unique")
    refs = repository.butler.query_datasets("raw", collections=RUN)
    assert {ref.id.version for ref in refs} == {7}
    assert str(register_files(repository, files, run=RUN, transfer="direct", ids="unique")).startswith(
        f"0 registered, {ALL} skipped"
    )


def test_what_only_upstream_may_write_goes_through_its_ingest(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("rows of a kind that is not known here")

    monkeypatch.setattr(LinkedFiles, "write", refuse)
    path = tmp_path / "sky.yaml"
    path.write_text("{}")
    file = FileToRegister(str(path), "sky", ({"htm7": 200000},))
    report = register_files(repository, [file], run=RUN, transfer="direct")
    assert (report.registered, report.failed) == (1, ())


# ---- again, and again


@pytest.mark.parametrize("transfer", ["direct", "copy", "hardlink"])
def test_registering_again_skips_everything(
    repository: Repository, files: list[FileToRegister], transfer: str
) -> None:
    first = register_files(repository, files[:5], run=RUN, transfer=transfer)
    before = rows_of(repository)
    assert str(first) == "5 registered, 0 skipped, 0 failed"
    again = register_files(repository, files[:5], run=RUN, transfer=transfer)
    assert str(again) == "0 registered, 5 skipped, 0 failed"
    assert rows_of(repository) == before
    rest = register_files(repository, files, run=RUN, transfer=transfer)
    assert str(rest) == f"{ALL - 5} registered, 5 skipped, 0 failed"


def test_moved_files_are_gone_and_there(repository: Repository, files: list[FileToRegister]) -> None:
    report = register_files(repository, files, run=RUN, transfer="move")
    assert report.registered == ALL
    assert not any(Path(str(file.path)).exists() for file in files)
    again = register_files(repository, files, run=RUN, transfer="move")
    assert str(again) == f"0 registered, {ALL} skipped, 0 failed"
    assert repository.butler.get("raw", instrument="Cam", exposure=1, detector=1, collections=RUN)


def test_a_file_that_another_device_keeps_is_copied_to_be_moved(
    repository: Repository, files: list[FileToRegister], tmp_path: Path
) -> None:
    path = Path(str(files[0].path))
    link = tmp_path / "link.yaml"
    link.symlink_to(path)  # which cannot be given a second name either
    register_files(repository, [replace(files[0], path=str(link))], run=RUN, transfer="move")
    assert not link.is_symlink()
    assert repository.butler.get("raw", instrument="Cam", exposure=0, detector=0, collections=RUN)
    assert path.exists()


# ---- what is wrong with a file


@pytest.mark.parametrize("transfer", ["direct", "copy"])
def test_a_file_that_differs_from_what_is_registered_is_a_conflict(
    repository: Repository, files: list[FileToRegister], transfer: str
) -> None:
    register_files(repository, files[:2], run=RUN, transfer=transfer)
    path = Path(str(files[0].path))
    path.write_text(path.read_text() + "   ")
    report = register_files(repository, files[:4], run=RUN, transfer=transfer)
    assert str(report) == "2 registered, 1 skipped, 1 failed"
    error = only_failure(report)
    assert "raw of instrument Cam, detector 0, exposure 0 is registered with" in error.what
    assert "Prune" in str(error.hint)


def test_another_file_for_the_same_data_id_is_a_conflict(
    repository: Repository, files: list[FileToRegister], tmp_path: Path
) -> None:
    register_files(repository, files, run=RUN, transfer="direct")
    copy = tmp_path / "copy.yaml"
    copy.write_bytes(Path(str(files[0].path)).read_bytes())
    report = register_files(repository, [replace(files[0], path=str(copy))], run=RUN, transfer="direct")
    assert "with another file" in only_failure(report).what


def test_another_content_of_the_same_length_is_a_conflict_where_checksums_are_kept(
    tmp_path: Path,
) -> None:
    root = tmp_path / "repository"
    with create_repository(root, config={"datastore": {"checksum": True}}) as repository:
        fill(repository.butler)
        (file, *_) = make_files(tmp_path / "incoming")
        register_files(repository, [file], run=RUN, transfer="direct")
        assert register_files(repository, [file], run=RUN, transfer="direct").skipped == 1
        path = Path(str(file.path))
        path.write_text(path.read_text().replace("0", "1"))
        report = register_files(repository, [file], run=RUN, transfer="direct")
        assert "another checksum" in only_failure(report).what


@pytest.mark.parametrize("transfer", ["direct", "copy"])
def test_files_that_cannot_be_registered_do_not_hold_up_the_others(
    repository: Repository, files: list[FileToRegister], transfer: str
) -> None:
    Path(str(files[3].path)).unlink()
    wrong = [
        replace(files[5], data_ids=({"instrument": "Cam", "exposure": 1},)),
        replace(files[6], data_ids=({"instrument": "Cam", "exposure": "one", "detector": 1},)),
        replace(files[7], dataset_type="nothing"),
        replace(files[8], data_ids=({"instrument": "Cam", "exposure": 2, "detector": 77},)),
        replace(files[9], data_ids=()),
        replace(files[10], data_ids=files[0].data_ids),
        replace(files[11], formatter="builtins.dict"),
    ]
    good = [*files[:3], *files[12:]]
    report = register_files(repository, [*good, files[3], *wrong], run=RUN, transfer=transfer)
    assert report.registered == len(good)
    reasons = {Path(file).name: error.what for file, error in report.failed}
    assert len(reasons) == 8
    named = [reasons[Path(str(file.path)).name] for file in (files[3], *wrong)]
    for reason, said in zip(
        named, ("exist", "is none of raw", "is none of raw", "no dataset type 'nothing'", "", "no dataset",
                "is also in", ""), strict=True,
    ):  # fmt: skip
        assert said in reason
    assert all(error.hint for _, error in report.failed)
    with pytest.raises(IngestError):
        report.raise_for_failures()
    locations = rows_of(repository)["dataset_location"]
    assert len(locations) == len(rows_of(repository)["dataset"]) == len(good)


def test_a_detector_that_is_not_known_is_named(repository: Repository, files: list[FileToRegister]) -> None:
    wrong = replace(files[0], data_ids=({"instrument": "Cam", "exposure": 2, "detector": 77},))
    error = only_failure(register_files(repository, [wrong], run=RUN, transfer="direct"))
    assert error.what == "The repository knows no detector of this kind: instrument Cam, detector 77"


def test_a_store_that_does_not_answer_is_not_called_empty(
    repository: Repository, files: list[FileToRegister], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(uri: FileResourcePath) -> int:
        message = f"no answer about {uri}"
        raise ConnectionError(message)

    monkeypatch.setattr(FileResourcePath, "size", fail)
    error = only_failure(register_files(repository, files[:1], run=RUN, transfer="direct"))
    assert "cannot be looked at: ConnectionError" in error.what


# ---- what is wrong with the call, or the repository


def test_a_repository_opened_for_reading_is_refused(
    repository: Repository, files: list[FileToRegister]
) -> None:
    with Repository.open(repository.uri) as reading, pytest.raises(ReadOnlyRepositoryError):
        register_files(reading, files, run=RUN)


def test_an_unknown_mode_of_transfer_is_refused(repository: Repository, files: list[FileToRegister]) -> None:
    with pytest.raises(ConfigError, match="teleport"):
        register_files(repository, files, run=RUN, transfer="teleport")


@pytest.mark.parametrize("message", ["server closed the connection", "database is locked"])
def test_a_database_that_fails_is_not_blamed_on_a_file(
    repository: Repository, files: list[FileToRegister], monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("INSERT", {}, RuntimeError(message))

    monkeypatch.setattr(LinkedFiles, "write", fail)
    with pytest.raises(DatabaseUnreachableError, match=message):
        register_files(repository, files, run=RUN, transfer="direct")
    monkeypatch.undo()
    assert register_files(repository, files, run=RUN, transfer="direct").registered == ALL


# ---- batches


def test_batches_are_told_of_and_can_be_stopped(
    repository: Repository, files: list[FileToRegister], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "_LINKED", 5)
    stop, told = threading.Event(), []

    def tell(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if done == 10:
            stop.set()

    given = iter(files)
    report = register_files(
        repository, given, run=RUN, transfer="direct", total=ALL, progress=tell, cancel=stop
    )
    assert told == [("register files", 5, ALL), ("register files", 10, ALL)]
    assert str(report) == "10 registered, 0 skipped, 0 failed; stopped before the end"
    assert len(list(given)) == ALL - 10  # no more are held in memory than are at work
    rest = register_files(repository, files, run=RUN, transfer="direct")
    assert str(rest) == f"{ALL - 10} registered, 10 skipped, 0 failed"


@pytest.mark.parametrize(("enough", "analyzed"), [(ALL, [True]), (ALL + 1, [])])
def test_statistics_are_refreshed_when_enough_is_new(
    repository: Repository,
    files: list[FileToRegister],
    monkeypatch: pytest.MonkeyPatch,
    enough: int,
    analyzed: list[bool],
) -> None:
    done: list[bool] = []
    monkeypatch.setattr(register, "_ENOUGH", enough)
    monkeypatch.setattr(Repository, "analyze", lambda _: done.append(True))
    register_files(repository, files, run=RUN, transfer="direct")
    assert done == analyzed


def test_reports_show_failures_with_what_to_do() -> None:
    error = IngestError("It <b>broke</b>", where="a.fits", hint="Mend it.")
    report = RegistrationReport(1, 2, tuple((f"f{n}", error) for n in range(12)))
    shown = report._repr_html_()
    assert "1 registered, 2 skipped, 12 failed" in shown
    assert "It &lt;b&gt;broke&lt;/b&gt;" in shown
    assert "Mend it." in shown
    assert "2 more" in shown
    assert "2 skipped" in RegistrationReport(1, 2)._repr_html_()


# ---- killed, and in company


def check_whole(repository: Repository, root: Path, transfer: str) -> None:
    """Check that every dataset is there once, with its file, and nothing else."""
    rows = rows_of(repository)
    names = ("dataset", "dataset_location", "file_datastore_records")
    assert [len(rows[name]) for name in names] == [ALL] * 3
    refs = repository.butler.query_datasets("raw", collections=RUN)
    assert len(refs) == ALL
    for ref in refs:
        assert yaml.safe_load(repository.butler.getURI(ref).read())["detector"] == ref.dataId["detector"]
    stored = {ResourcePath(path) for path in artifacts(root)}
    expected = set() if transfer == "direct" else {repository.butler.getURI(ref) for ref in refs}
    assert stored == expected


@pytest.mark.parametrize("make_repository", _TWO, indirect=True)
@pytest.mark.parametrize(("transfer", "step"), [("direct", 12), ("direct", 30), ("copy", 25), ("move", 70)])
def test_a_killed_registration_is_completed_by_the_next(
    make_repository: Callable[[], Repository], tmp_path: Path, transfer: str, step: int
) -> None:
    repository = make_repository()
    root = Path(repository.configuration.location.path).parent
    files = make_files(tmp_path / "incoming")
    run_together(die_while_registering, [(str(root), files, transfer, step)], killed=True)
    report = register_files(repository, files, run=RUN, transfer=transfer)
    assert report.failed == ()
    assert report.registered + report.skipped == ALL
    check_whole(repository, root, transfer)


@pytest.mark.parametrize("make_repository", _TWO, indirect=True)
@pytest.mark.parametrize("transfer", ["direct", "copy"])
def test_four_writers_of_the_same_files_leave_one_of_each(
    make_repository: Callable[[], Repository], tmp_path: Path, transfer: str
) -> None:
    repository = make_repository()
    root = Path(repository.configuration.location.path).parent
    files = make_files(tmp_path / "incoming")
    orders = [files, files[::-1], files[ALL // 2 :] + files[: ALL // 2], files]
    reports = run_together(register_in_process, [(str(root), order, transfer) for order in orders])
    assert [failures for _, _, failures in reports] == [[]] * 4
    assert sum(registered for registered, _, _ in reports) == ALL
    assert sum(skipped for _, skipped, _ in reports) == 3 * ALL
    check_whole(repository, root, transfer)
