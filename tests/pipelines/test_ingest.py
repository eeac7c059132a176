"""Raws into a repository: every file is accounted for, whatever is wrong with it."""

from __future__ import annotations

import multiprocessing
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.daf.butler import Butler, Config, DatasetType, DimensionUniverse
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.resources import ResourcePath
from lsst.resources.file import FileResourcePath
from sqlalchemy.exc import OperationalError

from lenticular.butler.errors import (
    ConfigError,
    DatabaseUnreachableError,
    IngestError,
    ReadOnlyRepositoryError,
)
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.ingest import IngestReport, ingest_raws, known, observe, read_header
from lenticular.pipelines.ingest.known import KNOWN_INSTRUMENTS, known_instrument, load_translators
from lenticular.pipelines.storage import repository_config
from tests.pipelines.ingest_support import (
    DECAM,
    HSC,
    RUN,
    ingest_in_process,
    make_template,
    open_copy,
    write_fits,
    write_raw,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNIVERSE = DimensionUniverse()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("ingest"))


@pytest.fixture
def butler(template: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(template, tmp_path / "repository") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "incoming"


def pair(folder: Path) -> list[Path]:
    """Write both detectors of an exposure."""
    return [write_raw(folder / f"{n}.fits.fz", DETNUM=n, DETNAME=f"S{n:02d}") for n in (0, 1)]


def stored(butler: Butler, run: str = RUN) -> list[tuple[int, int]]:
    """Return exposure and detector of every raw in a repository whose file is there."""
    refs = butler.query_datasets("raw", collections=run, find_first=False, explain=False)
    assert all(butler.getURI(ref).exists() for ref in refs)
    return sorted((int(ref.dataId["exposure"]), int(ref.dataId["detector"])) for ref in refs)


def only_failure(report: IngestReport) -> IngestError:
    """Return the error of a report with one failure."""
    ((_, error),) = report.failed
    assert error.hint
    return error


# ---- what is good


def test_files_become_datasets_and_exposures(butler: Butler, folder: Path) -> None:
    files = pair(folder)
    report = ingest_raws(butler, files)
    assert report.ingested == tuple(path.as_uri() for path in files)
    assert (report.skipped, report.failed) == ((), ())
    assert report.exposures == (("CerroCam", 61101401),)
    assert stored(butler) == [(61101401, 0), (61101401, 1)]
    (record,) = butler.query_dimension_records("exposure", instrument="CerroCam")
    assert (record.obs_id, record.physical_filter, record.day_obs) == (
        "CC_O_20261101_000401",
        "r_01",
        20261101,
    )
    assert (record.exposure_time, record.dark_time) == (30.0, 32.0)
    assert (record.tracking_ra, record.tracking_dec, record.sky_angle) == (53.1, -28.1, 10.0)
    assert (record.seq_num, record.target_name, record.science_program) == (401, "cerro00", "cerro")
    assert record.has_simulated
    assert record.can_see_sky
    assert record.timespan.end.tai.strftime("%Y-%m-%dT%H:%M:%S") == "2026-11-02T02:24:30"


def test_ingesting_again_skips_everything(butler: Butler, folder: Path) -> None:
    files = pair(folder)
    ingest_raws(butler, files)
    again = ingest_raws(butler, files)
    assert str(again) == "0 ingested, 2 skipped, 0 failed"
    assert again.exposures == (("CerroCam", 61101401),)
    assert len(stored(butler)) == 2


def test_more_detectors_of_a_known_exposure_may_follow(butler: Butler, folder: Path) -> None:
    first, second = pair(folder)
    ingest_raws(butler, [first])
    assert str(ingest_raws(butler, [first, second])) == "1 ingested, 1 skipped, 0 failed"


def test_a_file_given_twice_counts_once(butler: Butler, folder: Path) -> None:
    file = write_raw(folder / "a.fits.fz")
    assert str(ingest_raws(butler, [file, str(file), file.as_uri()])) == "1 ingested, 0 skipped, 0 failed"


def test_datasets_have_the_same_identity_in_every_repository(template: Path, tmp_path: Path) -> None:
    file = write_raw(tmp_path / "a.fits.fz")
    ids = set()
    for name in ("one", "two"):
        with open_copy(template, tmp_path / name) as butler:
            ingest_raws(butler, [file])
            ids |= {ref.id for ref in butler.query_datasets("raw", collections=RUN)}
    assert len(ids) == 1


def test_another_run_may_be_chosen(butler: Butler, folder: Path) -> None:
    ingest_raws(butler, pair(folder), run="u/ana/raws")
    assert len(stored(butler, "u/ana/raws")) == 2


@pytest.mark.parametrize(("transfer", "kept"), [("copy", True), ("direct", True), ("move", False)])
def test_modes_of_transfer(butler: Butler, folder: Path, transfer: str, kept: bool) -> None:  # noqa: FBT001 - a parameter
    file = write_raw(folder / "a.fits.fz")
    ingest_raws(butler, [file], transfer=transfer).raise_for_failures()
    assert file.exists() is kept
    assert len(stored(butler)) == 1


def test_the_size_of_each_file_is_recorded(butler: Butler, folder: Path) -> None:
    file = write_raw(folder / "a.fits.fz")
    ingest_raws(butler, [file])
    (ref,) = butler.query_datasets("raw", collections=RUN)
    butler.getURI(ref).write(file.read_bytes() + b" " * 2880)
    with pytest.raises(Exception, match="Integrity failure"):
        butler.get(ref)


def test_progress_and_the_hook_are_called(butler: Butler, folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    written: list[bool] = []
    files = pair(folder)
    for _ in range(2):
        ingest_raws(
            butler, files, progress=lambda *step: told.append(step), on_written=lambda: written.append(True)
        )
    assert told[:3] == [("read headers", 1, 2), ("read headers", 2, 2), ("ingest raws", 2, 2)]
    assert written == [True]


def test_only_headers_are_read(butler: Butler, folder: Path) -> None:
    # Pixels that cannot be decompressed: nobody looks at them here.
    file = write_raw(folder / "a.fits.fz", shape=(400, 500))
    content = bytearray(file.read_bytes())
    content[-20000:-100] = bytes(19900)
    file.write_bytes(content)
    assert len(ingest_raws(butler, [file]).ingested) == 1


# ---- real instruments


def test_a_decam_exposure_makes_a_valid_record(butler: Butler, folder: Path) -> None:
    file = write_fits(folder / "DECam_00229388.fits.fz", DECAM)
    ingest_raws(butler, [file], instrument="DECam").raise_for_failures()
    (record,) = butler.query_dimension_records("exposure", instrument="DECam")
    assert (record.id, record.obs_id, record.day_obs) == (229388, "ct4m20130901t060255", 20130831)
    assert record.physical_filter == "z DECam SDSS c0004 9260.0 1520.0"
    assert (record.observation_type, record.target_name) == ("science", "DES supernova hex SN-S1 tiling 22")
    assert (record.exposure_time, record.dark_time) == (200.0, 201.15662)
    assert record.tracking_ra == pytest.approx(42.81996, abs=1e-4)
    assert record.tracking_dec == pytest.approx(-0.001583, abs=1e-4)
    assert (record.zenith_angle, record.azimuth) == (pytest.approx(50.46), pytest.approx(61.24))
    assert record.timespan.begin.utc.strftime("%Y-%m-%dT%H:%M:%S") == "2013-09-01T06:02:55"
    assert stored(butler, "DECam/raw/all") == [(229388, 25)]


def test_an_hsc_exposure_makes_a_valid_record(butler: Butler, folder: Path) -> None:
    file = write_fits(folder / "HSCA90402512.fits.fz", HSC)
    ingest_raws(butler, [file], instrument="HSC").raise_for_failures()
    (record,) = butler.query_dimension_records("exposure", instrument="HSC")
    assert (record.id, record.obs_id, record.day_obs) == (904024, "HSCA90402400", 20131102)
    assert (record.physical_filter, record.observation_type) == ("HSC-I", "science")
    assert (record.tracking_ra, record.tracking_dec) == (
        pytest.approx(320.749925),
        pytest.approx(0.50001944),
    )
    assert (record.sky_angle, record.zenith_angle) == (pytest.approx(270.0), pytest.approx(26.95640767))
    assert stored(butler, "HSC/raw/all") == [(904024, 50)]


def test_several_instruments_may_come_together(butler: Butler, folder: Path) -> None:
    files = [
        *pair(folder),
        write_fits(folder / "decam.fits.fz", DECAM),
        write_fits(folder / "hsc.fits.fz", HSC),
    ]
    report = ingest_raws(butler, files)
    assert str(report) == "4 ingested, 0 skipped, 0 failed"
    assert report.exposures == (("CerroCam", 61101401), ("DECam", 229388), ("HSC", 904024))


def test_an_instrument_whose_package_is_missing_has_a_stand_in(butler: Butler, folder: Path) -> None:
    row = butler.query_dimension_records("instrument", instrument="DECam")[0].toDict()
    butler.registry.syncDimensionData(
        "instrument", row | {"class_name": "lsst.obs.decam.DarkEnergyCamera"}, update=True
    )
    assert len(ingest_raws(butler, [write_fits(folder / "decam.fits.fz", DECAM)]).ingested) == 1


# ---- what is wrong with a file


def spoil(folder: Path, how: str) -> Path:
    """Return a file that cannot be ingested."""
    path = write_raw(folder / "bad.fits.fz", DETNUM=2, DETNAME="S02", shape=(300, 300))
    content = path.read_bytes()
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no FITS at all\n" * 500)
        case "truncated header":
            path.write_bytes(content[:3000])
        case "truncated data":
            path.write_bytes(content[: len(content) - 2880])
        case "folder":
            path.unlink()
            path.mkdir()
        case "no image":
            path.write_bytes(content[:2880])
        case _:
            pytest.fail(f"no such fault: {how}")
    return path


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("missing", "does not exist"),
        ("empty", "not readable as FITS"),
        ("text", "not readable as FITS"),
        ("truncated header", "not readable as FITS|holds no image|truncated"),
        ("truncated data", "truncated"),
        ("folder", "folder"),
        ("no image", "holds no image"),
    ],
)
def test_an_unreadable_file_does_not_hold_up_the_others(
    butler: Butler, folder: Path, how: str, what: str
) -> None:
    good, bad = pair(folder), spoil(folder, how)
    report = ingest_raws(butler, [good[0], bad, good[1]])
    assert len(report.ingested) == 2
    error = only_failure(report)
    assert report.failed[0][0].rstrip("/") == bad.as_uri()
    assert error.where is not None
    assert "bad.fits.fz" in error.where
    with pytest.raises(IngestError, match=what):
        report.raise_for_failures()
    assert len(stored(butler)) == 2


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"INSTRUME": "Kodak"}, "No translator .*Kodak"),
        ({"INSTRUME": None}, "No translator .*no INSTRUME"),
        ({"EXPID": None}, "lacks .*exposure_id.*EXPID"),
        ({"DETNUM": None}, "lacks .*detector_num.*DETNUM"),
        ({"FILTER": None}, "lacks .*physical_filter.*FILTER"),
        ({"DATE_OBS": None}, "lacks .*datetime.*DATE-OBS"),
        ({"DATE_OBS": "yesterday"}, "datetime.* cannot be made of.*yesterday"),
        ({"EXPTIME": "long"}, "(exposure_time|datetime_end) cannot be made of"),
        ({"DETNUM": 16}, "no detector 16"),
        ({"FILTER": "u_01"}, "no physical filter 'u_01'"),
        ({"EXPID": 2**31}, "not below 2147483648"),
        ({"OBJECT": "x" * 65}, "target_name has 65 characters"),
        ({"OBSID": "x" * 65}, "65 characters"),
    ],
)
def test_a_header_that_makes_no_record_is_reported(
    butler: Butler, folder: Path, changes: dict[str, Any], what: str
) -> None:
    good = write_raw(folder / "good.fits.fz", EXPID=61101500, OBSID="CC_O_20261101_000500")
    report = ingest_raws(butler, [good, write_raw(folder / "bad.fits.fz", **changes)])
    only_failure(report)
    with pytest.raises(IngestError, match=what):
        report.raise_for_failures()
    assert stored(butler) == [(61101500, 0)]


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Butler]:
    """Return a repository without any instrument."""
    Butler.makeRepo(str(tmp_path / "bare"), config=Config(repository_config()))
    with Butler.from_config(str(tmp_path / "bare"), writeable=True) as opened:
        yield opened


def instruments(butler: Butler) -> list[str]:
    """Return the instruments that are registered, sorted."""
    return sorted(str(r.name) for r in butler.query_dimension_records("instrument", explain=False))


def test_known_instruments_are_registered_by_their_first_file(bare: Butler, folder: Path) -> None:
    first = ingest_raws(bare, [write_raw(folder / "a.fits.fz"), write_fits(folder / "hsc.fits.fz", HSC)])
    assert str(first) == "2 ingested, 0 skipped, 0 failed"
    assert instruments(bare) == ["CerroCam", "HSC"]
    assert str(ingest_raws(bare, [write_fits(folder / "decam.fits.fz", DECAM)])).startswith("1 ingested")
    assert instruments(bare) == ["CerroCam", "DECam", "HSC"]


def test_files_that_are_not_wanted_register_nothing(bare: Butler, folder: Path) -> None:
    report = ingest_raws(bare, [write_raw(folder / "a.fits.fz")], instrument="HSC")
    assert "from CerroCam, not from HSC" in only_failure(report).what
    assert instruments(bare) == []


def test_an_instrument_neither_registered_nor_known_is_reported(
    bare: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(KNOWN_INSTRUMENTS, "CerroCam")
    error = only_failure(ingest_raws(bare, [write_raw(folder / "a.fits.fz")]))
    assert "not registered" in error.what
    assert "butler register-instrument" in str(error.hint)
    assert instruments(bare) == []


@pytest.mark.parametrize("name", sorted(KNOWN_INSTRUMENTS))
def test_known_instruments_have_the_names_they_are_known_by(name: str) -> None:
    instrument = known_instrument(name)
    assert instrument is not None
    assert instrument.getName() == name


def test_a_broken_package_of_translators_is_logged_and_the_others_are_loaded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    points = [
        EntryPoint("absent", "no_such_package:translators", "astro_metadata_translators"),
        EntryPoint(
            "cerro", "lenticular.pipelines.cerro.translator:translators", "astro_metadata_translators"
        ),
    ]
    monkeypatch.setattr(known, "entry_points", lambda *, group: [p for p in points if p.group == group])
    assert load_translators.__wrapped__() == ("cerro",)
    assert "no_such_package" in caplog.text


def test_files_of_another_instrument_are_reported(butler: Butler, folder: Path) -> None:
    files = [write_raw(folder / "a.fits.fz"), write_fits(folder / "decam.fits.fz", DECAM)]
    report = ingest_raws(butler, files, instrument=CerroCam())
    assert len(report.ingested) == 1
    assert "from DECam, not from CerroCam" in only_failure(report).what


def test_two_files_of_one_detector_are_a_conflict(butler: Butler, folder: Path) -> None:
    files = [write_raw(folder / name) for name in ("a.fits.fz", "b.fits.fz")]
    report = ingest_raws(butler, files)
    assert report.ingested == (files[0].as_uri(),)
    assert "is also in" in only_failure(report).what


def test_files_of_an_exposure_have_to_agree(butler: Butler, folder: Path) -> None:
    files = [write_raw(folder / "a.fits.fz"), write_raw(folder / "b.fits.fz", DETNUM=1, EXPTIME=31.0)]
    report = ingest_raws(butler, files)
    assert report.ingested == (files[0].as_uri(),)
    assert "known with other values of exposure_time" in only_failure(report).what


def test_a_known_exposure_is_not_contradicted(butler: Butler, folder: Path) -> None:
    ingest_raws(butler, [write_raw(folder / "a.fits.fz")])
    report = ingest_raws(butler, [write_raw(folder / "b.fits.fz", DETNUM=1, OBJECT="elsewhere")])
    assert "known with other values of target_name" in only_failure(report).what


def test_a_name_of_an_observation_belongs_to_one_exposure(butler: Butler, folder: Path) -> None:
    ingest_raws(butler, [write_raw(folder / "a.fits.fz")])
    report = ingest_raws(butler, [write_raw(folder / "b.fits.fz", EXPID=61101402)])
    assert "already exposure 61101401" in only_failure(report).what
    within = ingest_raws(
        butler,
        [
            write_raw(folder / f"{n}.fits.fz", EXPID=n, OBSID="twice", DAYOBS=20261103)
            for n in (61103401, 61103402)
        ],
    )
    assert "already exposure 61103401" in only_failure(within).what


def test_another_file_for_an_ingested_detector_is_a_conflict(butler: Butler, folder: Path) -> None:
    ingest_raws(butler, [write_raw(folder / "a.fits.fz")])
    before = stored(butler)
    report = ingest_raws(butler, [write_raw(folder / "b.fits.fz", shape=(400, 500))])
    assert "registered with another file" in only_failure(report).what
    assert stored(butler) == before


def test_a_dataset_whose_file_is_gone_is_reported(butler: Butler, folder: Path) -> None:
    file = write_raw(folder / "a.fits.fz")
    ingest_raws(butler, [file])
    (ref,) = butler.query_datasets("raw", collections=RUN)
    butler.getURI(ref).remove()
    error = only_failure(ingest_raws(butler, [file]))
    assert "its file is gone" in error.what
    butler.pruneDatasets([ref], unstore=True, purge=True, disassociate=True)
    assert len(ingest_raws(butler, [file]).ingested) == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ConnectionError("the store hung up"), "cannot be looked at: ConnectionError: the store hung up"),
        (RuntimeError("no endpoint"), "cannot be looked at: RuntimeError: no endpoint"),
        (FileNotFoundError("404"), "its file is gone"),
    ],
)
def test_a_store_that_does_not_answer_is_not_called_empty(
    butler: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: Exception, told: str
) -> None:
    file = write_raw(folder / "a.fits.fz")
    ingest_raws(butler, [file])
    (ref,) = butler.query_datasets("raw", collections=RUN)
    stored_at = butler.getURI(ref)
    size = FileResourcePath.size

    def fail(uri: FileResourcePath) -> int:
        if uri == stored_at:
            raise answer
        return size(uri)

    monkeypatch.setattr(FileResourcePath, "size", fail)
    error = only_failure(ingest_raws(butler, [file]))
    assert told in error.what
    assert ("Prune" in str(error.hint)) is isinstance(answer, FileNotFoundError)
    monkeypatch.undo()
    assert str(ingest_raws(butler, [file])) == "0 ingested, 1 skipped, 0 failed"


def test_part_of_a_file_with_many_detectors_may_not_be_there_already(butler: Butler, folder: Path) -> None:
    ingest_raws(butler, [write_fits(folder / "a.fits.fz", DECAM)])
    both = write_fits(folder / "b.fits.fz", DECAM, more=[DECAM | {"CCDNUM": 26}])
    assert "registered with another file" in only_failure(ingest_raws(butler, [both])).what


# ---- what is wrong with the repository


def test_a_repository_opened_for_reading_is_refused(template: Path, folder: Path) -> None:
    with (
        Butler.from_config(str(template)) as butler,
        pytest.raises(ReadOnlyRepositoryError, match="for reading"),
    ):
        ingest_raws(butler, [write_raw(folder / "a.fits.fz")])


def test_an_unknown_mode_of_transfer_is_refused(butler: Butler) -> None:
    with pytest.raises(ConfigError, match="teleport"):
        ingest_raws(butler, [], transfer="teleport")


def test_another_definition_of_raw_is_refused(butler: Butler, folder: Path) -> None:
    butler.registry.registerDatasetType(
        DatasetType("raw", ("instrument", "exposure", "detector"), "Exposure", universe=butler.dimensions)
    )
    with pytest.raises(IngestError, match="defines the dataset type 'raw' otherwise"):
        ingest_raws(butler, [write_raw(folder / "a.fits.fz")])


def test_a_file_that_fails_late_leaves_nothing_and_takes_nobody_along(
    butler: Butler, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write_raw(folder / f"{n}.fits.fz", DETNUM=n) for n in range(5)]
    ingest = butler.ingest

    def fail_on_third(*datasets: Any, **options: Any) -> None:
        ingest(*datasets, **options)
        if any(ref.dataId["detector"] == 3 for dataset in datasets for ref in dataset.refs):
            message = "no space left on device"
            raise OSError(message)

    monkeypatch.setattr(butler, "ingest", fail_on_third)
    report = ingest_raws(butler, files)
    assert report.failed[0][0] == files[3].as_uri()
    assert "no space left" in only_failure(report).what
    assert [detector for _, detector in stored(butler)] == [0, 1, 2, 4]
    assert len(list((tmp_path / "repository" / "CerroCam").rglob("*.fz"))) == 4
    monkeypatch.undo()
    assert str(ingest_raws(butler, files)) == "1 ingested, 4 skipped, 0 failed"


def test_a_database_that_fails_is_not_blamed_on_a_file(
    butler: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, RuntimeError("server closed the connection"))

    monkeypatch.setattr(butler, "ingest", fail)
    with pytest.raises(DatabaseUnreachableError, match="server closed the connection"):
        ingest_raws(butler, [write_raw(folder / "a.fits.fz")])
    monkeypatch.undo()
    assert stored(butler) == []


def test_another_writer_in_between_is_noticed(
    butler: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pair(folder)
    ingest = butler.ingest
    calls: list[int] = []

    def overtaken(*datasets: Any, **options: Any) -> None:
        calls.append(len(datasets))
        if len(calls) == 1:
            message = "claimed by another writer"
            raise ConflictingDefinitionError(message)
        ingest(*datasets, **options)

    monkeypatch.setattr(butler, "ingest", overtaken)
    assert str(ingest_raws(butler, files)) == "2 ingested, 0 skipped, 0 failed"
    assert calls == [2, 2]
    assert len(stored(butler)) == 2


def test_files_are_touched_only_after_their_datasets_are_claimed(
    butler: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file that is transferred first and refused afterwards is removed, and
    # with it, under the same name, the file of the writer who came first.
    def refuse(*_: object, **__: object) -> None:
        message = "claimed by another writer"
        raise ConflictingDefinitionError(message)

    transfers: list[object] = []
    monkeypatch.setattr(type(butler.registry), "insertDatasets", refuse)
    monkeypatch.setattr(butler, "ingest", lambda *datasets, **_: transfers.extend(datasets))
    assert len(ingest_raws(butler, pair(folder)).failed) == 2
    assert not transfers
    assert butler.query_dimension_records("exposure", instrument="CerroCam", explain=False) == []


def test_a_refusal_that_lasts_is_reported(
    butler: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        message = "never"
        raise ConflictingDefinitionError(message)

    monkeypatch.setattr(butler, "ingest", refuse)
    report = ingest_raws(butler, pair(folder))
    assert [error.what for _, error in report.failed] == [
        "The file could not be ingested: ConflictingDefinitionError: never"
    ] * 2


# ---- several writers


def ingest_twice_at_once(root: str, files: list[str]) -> list[tuple[int, int, list[str]]]:
    """Ingest the same files from two processes that begin together, and return their reports."""
    # Fresh processes, as with "spawn", but the imports are paid for once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.pipelines.ingest_support"])
    barrier, results = context.Barrier(2), context.Queue()
    writers = [
        context.Process(target=ingest_in_process, args=(root, files, barrier, results)) for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    reports = [results.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join(timeout=60)
        assert writer.exitcode == 0
    return reports


def check_two_writers(root: Path, butler: Butler, folder: Path) -> None:
    """Check that two writers of the same files leave one copy of each."""
    files = many_raws(folder)
    # With the exposures known, only the datasets can keep the writers apart.
    ingest_raws(butler, files[::4])
    reports = ingest_twice_at_once(str(root), files)
    assert [failures for _, _, failures in reports] == [[], []]
    assert sum(ingested for ingested, _, _ in reports) == 30
    assert sum(skipped for _, skipped, _ in reports) == 50
    assert len(stored(butler)) == 40


def many_raws(folder: Path) -> list[str]:
    return [
        str(
            write_raw(
                folder / f"{exposure}_{detector}.fits.fz",
                EXPID=61101000 + exposure,
                OBSID=f"CC_O_20261101_{exposure:06d}",
                SEQNUM=exposure,
                DETNUM=detector,
            )
        )
        for exposure in range(10)
        for detector in range(4)
    ]


def test_two_writers_of_the_same_files_on_sqlite(template: Path, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    with open_copy(template, root) as butler:
        check_two_writers(root, butler, tmp_path / "incoming")


def test_two_writers_of_the_same_files_on_postgresql(postgres_database: str, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    config = Config(repository_config())
    config["registry", "db"] = postgres_database
    Butler.makeRepo(str(root), config=config, forceConfigRoot=False)
    with Butler.from_config(str(root), writeable=True) as butler:
        CerroCam().register(butler.registry)
        check_two_writers(root, butler, tmp_path / "incoming")


# ---- reports and records


def test_reports_show_failures_with_what_to_do() -> None:
    error = IngestError("It <b>broke</b>", where="a.fits", hint="Mend it.")
    report = IngestReport(ingested=("x",), failed=tuple((f"f{n}", error) for n in range(12)))
    shown = report._repr_html_()
    assert "1 ingested, 0 skipped, 12 failed" in shown
    assert "It &lt;b&gt;broke&lt;/b&gt;" in shown
    assert "Mend it." in shown
    assert "and 2 more" in shown
    with pytest.raises(IngestError, match="broke"):
        report.raise_for_failures()


def test_reports_add_up() -> None:
    one = IngestReport(ingested=("a",), exposures=(("CerroCam", 2),))
    two = IngestReport(skipped=("b",), exposures=(("CerroCam", 1), ("CerroCam", 2)))
    assert (one + two).exposures == (("CerroCam", 1), ("CerroCam", 2))
    assert str(one + two) == "1 ingested, 1 skipped, 0 failed"


@given(
    exposure_time=st.floats(0, 1e4),
    ra=st.floats(0, 359.999),
    dec=st.floats(-90, 90),
    target=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60),
)
@settings(max_examples=40, deadline=None)
def test_records_hold_what_the_header_says(exposure_time: float, ra: float, dec: float, target: str) -> None:
    header = {
        "INSTRUME": "CerroCam",
        "EXPID": 61101401,
        "OBSID": "CC",
        "OBSTYPE": "science",
        "DAYOBS": 20261101,
        "SEQNUM": 1,
        "DATE-OBS": "2026-11-02T02:24:00.000",
        "EXPTIME": exposure_time,
        "DARKTIME": exposure_time,
        "FILTER": "r_01",
        "OBJECT": target,
        "PROGRAM": "p",
        "REASON": "r",
        "DETNUM": 3,
        "DETNAME": "S03",
        "RATEL": ra,
        "DECTEL": dec,
    }
    record = observe(header, UNIVERSE, where="header").exposure
    assert record.exposure_time == exposure_time
    assert record.target_name == target
    assert record.tracking_ra == pytest.approx(ra, abs=1e-9)
    assert record.tracking_dec == pytest.approx(dec, abs=1e-9)
    assert record.sky_angle is None
    assert record.timespan.begin < record.timespan.end or exposure_time < 1e-6


def test_the_header_of_an_uncompressed_primary_image_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plain.fits"
    fits.PrimaryHDU(np.zeros((3, 4), np.int16), fits.Header([("INSTRUME", "CerroCam")])).writeto(path)
    assert read_header(ResourcePath(path))["INSTRUME"] == "CerroCam"
