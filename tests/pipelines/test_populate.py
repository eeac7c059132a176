"""A whole repository of the survey, built once, again, and after an interruption."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
from lsst.daf.butler import Butler, CollectionType

from lenticular.butler.errors import DataError
from lenticular.pipelines.calibrations import CALIBRATIONS
from lenticular.pipelines.cerro import repository
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.cerro.repository import (
    REFCAT,
    SKYMAP,
    SurveyReport,
    populate,
    register_camera,
    survey_skymap,
)
from lenticular.pipelines.cerro.survey import SurveyPlan, SurveySize
from lenticular.pipelines.ingest.regions import polygon
from tests.pipelines.ingest_support import make_template, open_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lsst.sphgeom import ConvexPolygon

    from lenticular.pipelines.camera import CameraModel

DEFAULTS = "CerroCam/defaults"


def plan_of(n_visits: int) -> SurveyPlan:
    size = SurveySize(
        "test",
        n_detectors=1,
        n_visits=n_visits,
        bands=("r",),
        n_bias=3,
        n_dark=2,
        n_flat=2,
        detector_size=256,
    )
    return SurveyPlan.make(size, 11)


PLAN = plan_of(1)


@pytest.fixture(scope="module", autouse=True)
def _shards_are_made_once() -> Iterator[None]:
    """Make each shard of the reference catalogue once: it is always the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "reference_shard", cache(repository.reference_shard))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an empty repository, a full one, and the raws of the latter."""
    made = tmp_path_factory.mktemp("populate")
    template = make_template(made)
    with open_copy(template, made / "full") as butler:
        populate(butler, made / "raws", PLAN)
    return made


@pytest.fixture
def butler(folder: Path, tmp_path: Path) -> Iterator[Butler]:
    """Return a copy of the full repository."""
    with open_copy(folder / "full", tmp_path / "repository") as opened:
        yield opened


@pytest.fixture
def empty(folder: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(folder / "template", tmp_path / "empty") as opened:
        yield opened


def contents(butler: Butler) -> set[str]:
    """Return every dataset of a repository."""
    refs = [
        ref
        for kind in butler.registry.queryDatasetTypes()
        for ref in butler.query_datasets(kind, collections="*", find_first=False, explain=False, limit=None)
    ]
    return {f"{ref.run} {ref.datasetType.name} {sorted(ref.dataId.required.items())}" for ref in refs}


def test_the_chain_has_all_that_a_pipeline_needs(butler: Butler) -> None:
    info = butler.collections.get_info(DEFAULTS)
    assert info.type is CollectionType.CHAINED
    assert info.children == ("CerroCam/raw/all", "CerroCam/calib", "refcats/cerro", "skymaps")
    science = PLAN.science[0].id
    assert butler.get("raw", instrument="CerroCam", exposure=science, detector=0, collections=DEFAULTS)
    assert butler.get("camera", instrument="CerroCam", collections=DEFAULTS) == PLAN.camera
    assert butler.get("skyMap", skymap=SKYMAP, collections=DEFAULTS).name == SKYMAP
    with butler.query() as query:
        visits = query.join_dataset_search("raw", DEFAULTS).join_dataset_search(REFCAT, DEFAULTS)
        assert visits.data_ids(["visit", "detector", "htm7"]).any()


def test_calibrations_are_valid_for_the_visits(butler: Butler) -> None:
    data_id = {"instrument": "CerroCam", "exposure": PLAN.science[0].id, "detector": 0}
    for name in CALIBRATIONS:
        assert butler.get(name, data_id, collections=DEFAULTS) is not None


def test_the_sky_map_covers_the_visits(butler: Butler) -> None:
    (visit,) = butler.query_dimension_records("visit", instrument="CerroCam")
    skymap = butler.get("skyMap", skymap=SKYMAP, collections=DEFAULTS)
    assert skymap.covers([visit.region])
    with butler.query() as query:
        overlaps = query.data_ids(["visit", "patch"]).where(instrument="CerroCam", skymap=SKYMAP)
        assert overlaps.any()


def test_populating_again_changes_nothing(butler: Butler, folder: Path) -> None:
    before = contents(butler)
    written: list[bool] = []
    report = populate(butler, folder / "raws", PLAN, on_written=lambda: written.append(True))
    assert isinstance(report, SurveyReport)
    assert (report.ingest.ingested, report.visits.defined, report.calibrations.built) == ((), (), ())
    assert not written
    assert contents(butler) == before
    assert "0 ingested" in report._repr_html_()
    assert report.collection == DEFAULTS


def test_an_interrupted_build_is_completed(
    folder: Path, butler: Butler, empty: Butler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # Again and again, and each time a little later.
    for step in (
        "register_camera",
        "ingest_raws",
        "define_visits",
        "build_calibrations",
        "register_skymap",
        "register_references",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(repository, step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                populate(empty, folder / "raws", PLAN)
    populate(empty, folder / "raws", PLAN)
    assert contents(empty) == contents(butler)


def test_a_survey_grows(butler: Butler, folder: Path) -> None:
    report = populate(butler, folder / "raws", plan_of(2))
    assert len(report.ingest.ingested) == 1
    assert len(report.visits.defined) == 1
    assert report.calibrations.built == ()


def test_progress_names_each_step(butler: Butler, folder: Path) -> None:
    told: dict[str, tuple[int, int]] = {}
    populate(
        butler,
        folder / "raws",
        PLAN,
        progress=lambda what, done, total: told.__setitem__(what, (done, total)),
    )
    count = len(PLAN.exposures)
    assert told["simulate raws"] == told["read headers"] == told["ingest raws"] == (count, count)
    # Regions are found for visits that are not complete; this repository is.
    assert set(told) >= {"build calibrations", "store references"}


def test_a_raw_that_cannot_be_ingested_stops_the_build(
    empty: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted((folder / "raws").glob("*.fz"))
    monkeypatch.setattr(repository, "simulate_survey", lambda *_, **__: [*files, folder / "missing.fits"])
    with pytest.raises(DataError, match="does not exist"):
        populate(empty, folder / "raws", PLAN)


def test_another_camera_of_the_same_name_is_refused(butler: Butler) -> None:
    other: CameraModel = PLAN.camera.model_copy(update={"pixel_scale": 0.3})
    with pytest.raises(DataError, match="another camera"):
        register_camera(butler, other)
    assert butler.get("camera", instrument="CerroCam", collections=DEFAULTS) == PLAN.camera


def test_a_camera_stored_but_not_certified_is_certified(
    empty: Butler, monkeypatch: pytest.MonkeyPatch
) -> None:
    CerroCam().register(empty.registry)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(empty.registry), "certify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        register_camera(empty, PLAN.camera)
    monkeypatch.undo()
    register_camera(empty, PLAN.camera)
    assert empty.get("camera", instrument="CerroCam", collections="CerroCam/calib") == PLAN.camera


def test_a_sky_map_that_is_too_small_is_an_error(butler: Butler) -> None:
    far = polygon([60.0, 60.1, 60.0], [-28.0, -28.0, -27.9])
    with pytest.raises(DataError, match="does not cover"):
        repository._ensure_skymap(butler, [far])


def test_the_sky_map_of_a_large_field_has_more_patches() -> None:
    def around(half: float) -> list[ConvexPolygon]:
        return [polygon([53.1 - half, 53.1 + half, 53.1], [-28.1 - half, -28.1 - half, -28.1 + half])]

    small, large = survey_skymap(around(0.03)), survey_skymap(around(0.3))
    assert small.n_patches == 2
    assert large.n_patches > 10
    assert 800 <= large.patch_size <= 1200
    assert large.covers(around(0.3))
