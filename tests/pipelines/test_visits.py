"""Visits: one for each exposure of the sky, with regions that hold what the detectors saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.daf.butler import Butler, DimensionUniverse
from lsst.sphgeom import LonLat, UnitVector3d

from lenticular.butler.errors import DataError, NotFoundError, ReadOnlyRepositoryError
from lenticular.pipelines.cerro.camera import cerro_camera
from lenticular.pipelines.cerro.exposures import raw_header, simulate_survey
from lenticular.pipelines.cerro.optics import Pointing
from lenticular.pipelines.ingest import VisitReport, define_visits, ingest_raws
from lenticular.pipelines.ingest.regions import CameraRegions, HeaderRegions
from tests.pipelines.ingest_support import (
    DECAM,
    HSC,
    RUN,
    make_template,
    open_copy,
    small_plan,
    write_fits,
    write_raw,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lsst.daf.butler import DimensionRecord
    from lsst.sphgeom import ConvexPolygon, Region

PLAN = small_plan()
UNIVERSE = DimensionUniverse()
USED = PLAN.camera.model_copy(update={"detectors": PLAN.camera.detectors[:2]})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("visits"))


@pytest.fixture(scope="module")
def ingested(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with the raws of a survey, and no visits."""
    folder = tmp_path_factory.mktemp("survey")
    with open_copy(template, folder / "repository") as butler:
        ingest_raws(butler, simulate_survey(PLAN, folder / "raws")).raise_for_failures()
    return folder / "repository"


@pytest.fixture
def survey(ingested: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(ingested, tmp_path / "survey") as opened:
        yield opened


@pytest.fixture
def butler(template: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(template, tmp_path / "repository") as opened:
        yield opened


def place(ra: float, dec: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra, dec))


def records(butler: Butler, element: str, instrument: str = "CerroCam") -> list[DimensionRecord]:
    found = butler.query_dimension_records(element, instrument=instrument, explain=False, limit=None)
    return sorted(found, key=lambda record: str(record.dataId))


def regions_of(butler: Butler, instrument: str) -> dict[int, Region]:
    return {record.detector: record.region for record in records(butler, "visit_detector_region", instrument)}


# ---- what is defined


def test_each_exposure_of_the_sky_is_a_visit(survey: Butler) -> None:
    report = define_visits(survey, instrument="CerroCam", regions=CameraRegions(USED))
    science = tuple(exposure.id for exposure in PLAN.science)
    assert report == VisitReport(defined=science)
    assert tuple(record.id for record in records(survey, "visit")) == science
    assert [(r.exposure, r.visit) for r in records(survey, "visit_definition")] == [(n, n) for n in science]
    assert [(r.visit, r.visit_system) for r in records(survey, "visit_system_membership")] == [
        (n, 0) for n in science
    ]
    assert len(records(survey, "visit_detector_region")) == 2 * len(science)


def test_a_visit_takes_over_what_its_exposure_says(survey: Butler) -> None:
    define_visits(survey, instrument="CerroCam", regions=CameraRegions(USED))
    exposures = {record.id: record for record in records(survey, "exposure")}
    for visit in records(survey, "visit"):
        exposure = exposures[visit.id]
        for field in ("physical_filter", "day_obs", "seq_num", "exposure_time", "target_name", "timespan"):
            assert getattr(visit, field) == getattr(exposure, field)
        assert visit.name == exposure.obs_id


def test_defining_again_changes_nothing(survey: Butler) -> None:
    written: list[bool] = []
    told: list[tuple[str, int, int]] = []
    for _ in range(2):
        report = define_visits(
            survey,
            instrument="CerroCam",
            regions=CameraRegions(USED),
            on_written=lambda: written.append(True),
            progress=lambda *step: told.append(step),
        )
    assert report == VisitReport(skipped=tuple(exposure.id for exposure in PLAN.science))
    assert written == [True]
    assert told == [("find regions", n, 3) for n in (1, 2, 3)]


def test_chosen_exposures_only(survey: Butler) -> None:
    first, bias = PLAN.science[0].id, PLAN.exposures[0].id
    report = define_visits(
        survey, instrument="CerroCam", exposures=[bias, first], regions=CameraRegions(USED)
    )
    assert report == VisitReport(defined=(first,))


def test_an_exposure_that_does_not_exist_is_an_error(survey: Butler) -> None:
    with pytest.raises(NotFoundError, match="do not exist, the first is 77"):
        define_visits(survey, instrument="CerroCam", exposures=[77, 78], regions=CameraRegions(USED))


def test_a_repository_opened_for_reading_is_refused(template: Path) -> None:
    with Butler.from_config(str(template)) as opened, pytest.raises(ReadOnlyRepositoryError):
        define_visits(opened, instrument="CerroCam")


def test_visits_are_joined_with_raws(survey: Butler) -> None:
    define_visits(survey, instrument="CerroCam", regions=CameraRegions(USED))
    with survey.query() as query:
        joined = query.join_dataset_search("raw", RUN).data_ids(["visit", "detector"])
        assert joined.count() == 2 * len(PLAN.science)


# ---- regions


@pytest.mark.parametrize("source", ["camera", "headers"])
def test_regions_hold_their_detectors(survey: Butler, source: str) -> None:
    regions = CameraRegions(USED) if source == "camera" else None
    define_visits(survey, instrument="CerroCam", regions=regions)
    hulls = {record.id: record.region for record in records(survey, "visit")}
    for record in records(survey, "visit_detector_region"):
        exposure = PLAN.exposure(record.visit)
        assert exposure.sky is not None
        detector = PLAN.camera.detector(record.detector)
        # Where it really looked, not where the header says.
        edge = np.array([0.0, 128.0, 255.0])
        x, y = (axis.ravel() for axis in np.meshgrid(edge, edge))
        ra, dec = exposure.sky.pointing.wcs(detector).all_pix2world(x, y, 0)
        assert all(record.region.contains(place(*pair)) for pair in zip(ra, dec, strict=True))
        assert hulls[record.visit].contains(record.region)


def test_regions_of_the_camera_are_those_of_the_headers(survey: Butler) -> None:
    (record,) = survey.query_dimension_records("exposure", instrument="CerroCam", exposure=PLAN.science[1].id)
    camera, headers = CameraRegions(USED)(record), HeaderRegions(survey, RUN)(record)
    assert list(camera) == list(headers) == [0, 1]
    for detector in camera:
        near = camera[detector].getBoundingCircle().getCenter()
        far = headers[detector].getBoundingCircle().getCenter()
        # They differ by what overscan adds to the raw: 80 columns and 32 rows.
        assert near.dot(far) > np.cos(np.radians(12 / 3600))


def test_padding_is_what_it_says() -> None:
    record = UNIVERSE["exposure"].RecordClass(
        instrument="CerroCam", id=1, tracking_ra=53.0, tracking_dec=0.0, sky_angle=0.0
    )
    detector = cerro_camera().detectors[0]
    for padding in (0.0, 30.0):
        region = CameraRegions(cerro_camera(1), padding)(record)[0]
        height = region.getBoundingBox().getHeight().asDegrees() * 3600
        assert height == pytest.approx(detector.n_y * 0.2 + 2 * padding, abs=0.02)


@given(
    ra=st.floats(0, 359.999), dec=st.floats(-89, 89), angle=st.floats(-360, 360), detector=st.integers(0, 15)
)
@settings(max_examples=50, deadline=None)
def test_regions_are_right_all_over_the_sky(ra: float, dec: float, angle: float, detector: int) -> None:
    camera = cerro_camera()
    record = UNIVERSE["exposure"].RecordClass(
        instrument="CerroCam", id=1, tracking_ra=ra, tracking_dec=dec, sky_angle=angle
    )
    region = CameraRegions(camera)(record)[detector]
    model = camera.detector(detector)
    wcs = Pointing(ra, dec, angle, 0.0, 0.2).wcs(model)
    for x in (0, model.n_x - 1):
        for y in (0, model.n_y - 1):
            assert region.contains(place(*(float(c) for c in wcs.all_pix2world(x, y, 0))))
            outside = wcs.all_pix2world(x + 150 * (1 if x else -1), y, 0)
            assert not region.contains(place(*(float(c) for c in outside)))


def test_an_exposure_without_pointing_is_reported(butler: Butler, tmp_path: Path) -> None:
    files = [
        write_raw(tmp_path / "a.fits.fz"),
        write_raw(tmp_path / "b.fits.fz", EXPID=61101402, OBSID="b", RATEL=None, DECTEL=None),
    ]
    ingest_raws(butler, files).raise_for_failures()
    report = define_visits(butler, instrument="CerroCam", regions=CameraRegions(USED))
    assert report.defined == (61101401,)
    ((exposure, error),) = report.failed
    assert exposure == 61101402
    assert "no pointing" in error.what
    assert "no pointing" in report._repr_html_()
    with pytest.raises(DataError, match="no pointing"):
        report.raise_for_failures()


@pytest.mark.parametrize(
    "changes",
    [
        {"CTYPE1": None, "CTYPE2": None},
        {"CTYPE1": "NONSENSE", "CTYPE2": "NONSENSE"},
        {"CD1_1": 0.0, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.0},
        {"CRPIX1": 1e9},
    ],
)
def test_a_header_that_leads_nowhere_is_reported(
    butler: Butler, tmp_path: Path, changes: dict[str, Any]
) -> None:
    cards = {name: value for name, value in HSC.items() if changes.get(name, value) is not None} | {
        name: value for name, value in changes.items() if value is not None
    }
    ingest_raws(butler, [write_fits(tmp_path / "hsc.fits.fz", cards)]).raise_for_failures()
    report = define_visits(butler, instrument="HSC")
    ((_, error),) = report.failed
    assert "world coordinate system" in error.what
    assert records(butler, "visit", "HSC") == []


def test_an_exposure_without_raws_is_reported(butler: Butler, tmp_path: Path) -> None:
    ingest_raws(butler, [write_raw(tmp_path / "a.fits.fz")])
    butler.pruneDatasets(
        butler.query_datasets("raw", collections=RUN), unstore=True, purge=True, disassociate=True
    )
    report = define_visits(butler, instrument="CerroCam", collections=RUN)
    assert "no raw to tell" in report.failed[0][1].what


def test_raws_in_another_run_are_found(butler: Butler, tmp_path: Path) -> None:
    ingest_raws(butler, [write_raw(tmp_path / "a.fits.fz")], run="u/ana/raws")
    assert define_visits(butler, instrument="CerroCam").defined == (61101401,)


def test_a_visit_grows_with_its_detectors(butler: Butler, tmp_path: Path) -> None:
    first = write_raw(tmp_path / "0.fits.fz", shape=(1024, 1024))
    second = write_raw(tmp_path / "1.fits.fz", shape=(1024, 1024), DETNUM=1, CRPIX1=-2000.0)
    ingest_raws(butler, [first])
    define_visits(butler, instrument="CerroCam")
    (before,) = records(butler, "visit")
    ingest_raws(butler, [second]).raise_for_failures()
    assert define_visits(butler, instrument="CerroCam") == VisitReport(extended=(61101401,))
    (after,) = records(butler, "visit")
    assert after.region.contains(before.region)
    assert not before.region.contains(after.region)
    assert sorted(regions_of(butler, "CerroCam")) == [0, 1]
    assert define_visits(butler, instrument="CerroCam").skipped == (61101401,)


def test_only_visits_that_lack_a_detector_cost_a_look_at_headers(
    survey: Butler, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, others = PLAN.science[0].id, [exposure.id for exposure in PLAN.science[1:]]
    define_visits(survey, instrument="CerroCam", exposures=others)
    read: list[int] = []
    look = HeaderRegions.__call__

    def counted(regions: HeaderRegions, exposure: DimensionRecord) -> Mapping[int, ConvexPolygon]:
        read.append(int(exposure.id))
        return look(regions, exposure)

    monkeypatch.setattr(HeaderRegions, "__call__", counted)
    report = define_visits(survey, instrument="CerroCam")
    assert report == VisitReport(defined=(chosen,), skipped=tuple(others))
    assert read == [chosen]


# ---- real instruments


def test_a_decam_exposure_becomes_a_visit(butler: Butler, tmp_path: Path) -> None:
    ingest_raws(butler, [write_fits(tmp_path / "decam.fits.fz", DECAM, shape=(4146, 2160))])
    report = define_visits(butler, instrument="DECam")
    report.raise_for_failures()
    assert report.defined == (229388,)
    region = regions_of(butler, "DECam")[25]
    box = region.getBoundingBox()
    # A detector of 2048 x 4096 pixels of 0.263", one degree from the boresight.
    assert box.getWidth().asDegrees() == pytest.approx(4146 * 0.263 / 3600, abs=0.03)
    assert box.getHeight().asDegrees() == pytest.approx(2160 * 0.263 / 3600, abs=0.03)
    assert region.getBoundingCircle().getCenter().dot(place(42.81996, -0.00158)) > np.cos(np.radians(1.1))
    assert records(butler, "visit", "DECam")[0].name == "ct4m20130901t060255"


def test_an_hsc_exposure_becomes_a_visit(butler: Butler, tmp_path: Path) -> None:
    ingest_raws(butler, [write_fits(tmp_path / "hsc.fits.fz", HSC, shape=(4241, 2144))])
    report = define_visits(butler, instrument="HSC")
    report.raise_for_failures()
    assert report.defined == (904024,)
    box = regions_of(butler, "HSC")[50].getBoundingBox()
    assert box.getWidth().asDegrees() == pytest.approx((4241 * 0.17 + 40) / 3600, rel=0.01)
    assert box.getHeight().asDegrees() == pytest.approx((2144 * 0.17 + 40) / 3600, rel=0.01)


def test_headers_of_the_survey_have_the_cards_that_regions_need() -> None:
    header = raw_header(PLAN, PLAN.science[0], 0)
    assert {"RATEL", "DECTEL", "ROTANG", "CRVAL1", "CD1_1"} <= set(header)
