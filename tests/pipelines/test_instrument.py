"""The instruments: what they register, how their headers and raws are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import pytest
from astro_metadata_translator import MetadataTranslator, ObservationInfo
from astropy.io import fits
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.images import Box
from lsst.pipe.base import Instrument
from lsst.resources import ResourcePath
from lsst.resources.s3 import S3ResourcePath

from lenticular.butler.errors import DataError
from lenticular.pipelines.cerro.camera import DETECTOR_COUNT
from lenticular.pipelines.cerro.exposures import raw_header, simulate_exposure
from lenticular.pipelines.cerro.formatter import CerroRawFormatter
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.cerro.translator import CerroTranslator, translators
from lenticular.pipelines.ingest import DECam, HyperSuprimeCam, ingest_raws
from tests.pipelines.ingest_support import DECAM, RUN, make_template, open_copy, small_plan, write_fits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lsst.daf.butler import Butler, DatasetRef

PLAN = small_plan()
SCIENCE, BIAS = PLAN.science[0], PLAN.exposures[0]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("instrument"))


@pytest.fixture
def butler(template: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(template, tmp_path / "repository") as opened:
        yield opened


@pytest.fixture(scope="module")
def raw_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_exposure(PLAN, SCIENCE, 1, tmp_path_factory.mktemp("raws"))


@pytest.fixture
def raw(butler: Butler, raw_file: Path) -> DatasetRef:
    ingest_raws(butler, [raw_file]).raise_for_failures()
    (ref,) = butler.query_datasets("raw", collections=RUN)
    return ref


def pixels(path: Path) -> Any:
    with fits.open(path) as hdus:
        return hdus[1].data


# ---- registration


@pytest.mark.parametrize("kind", [CerroCam, DECam, HyperSuprimeCam])
def test_registering_again_changes_nothing(butler: Butler, kind: type[Instrument]) -> None:
    before = butler.query_dimension_records("detector", instrument=kind.getName())
    kind().register(butler.registry)
    assert butler.query_dimension_records("detector", instrument=kind.getName()) == before


@pytest.mark.parametrize("kind", [CerroCam, DECam, HyperSuprimeCam])
def test_the_registry_leads_back_to_the_class(butler: Butler, kind: type[Instrument]) -> None:
    assert type(Instrument.fromName(kind.getName(), butler.registry)) is kind


@pytest.mark.parametrize(
    ("name", "count", "greatest"), [("CerroCam", DETECTOR_COUNT, 15), ("DECam", 61, 62), ("HSC", 112, 111)]
)
def test_instruments_have_their_detectors(butler: Butler, name: str, count: int, greatest: int) -> None:
    detectors = [record.id for record in butler.query_dimension_records("detector", instrument=name)]
    assert (len(detectors), max(detectors)) == (count, greatest)


@pytest.mark.parametrize(
    ("name", "physical_filter", "band"),
    [
        ("CerroCam", "i_01", "i"),
        ("DECam", "z DECam SDSS c0004 9260.0 1520.0", "z"),
        ("HSC", "HSC-R2", "r"),
    ],
)
def test_filters_belong_to_bands(butler: Butler, name: str, physical_filter: str, band: str) -> None:
    (record,) = butler.query_dimension_records(
        "physical_filter", instrument=name, physical_filter=physical_filter
    )
    assert record.band == band


def test_names_of_detectors_are_those_of_the_observatories(butler: Butler) -> None:
    (decam,) = butler.query_dimension_records("detector", instrument="DECam", detector=25)
    (hsc,) = butler.query_dimension_records("detector", instrument="HSC", detector=50)
    assert (decam.full_name, decam.raft, decam.name_in_raft) == ("S1", "S", "1")
    assert (hsc.full_name, hsc.raft, hsc.purpose) == ("1_12", "1", "SCIENCE")


def test_a_record_that_differs_is_not_replaced_unawares(butler: Butler) -> None:
    butler.registry.syncDimensionData(
        "physical_filter", {"instrument": "CerroCam", "name": "g_01", "band": "u"}, update=True
    )
    with pytest.raises(ConflictingDefinitionError):
        CerroCam().register(butler.registry)
    CerroCam().register(butler.registry, update=True)
    (record,) = butler.query_dimension_records(
        "physical_filter", instrument="CerroCam", physical_filter="g_01"
    )
    assert record.band == "g"


# ---- headers


def test_importing_the_instrument_registers_its_translator() -> None:
    assert [MetadataTranslator.translators[name] for name in translators()] == [CerroTranslator]


def test_a_science_header_is_understood_in_full() -> None:
    info = ObservationInfo(raw_header(PLAN, SCIENCE, 1), pedantic=True)
    assert info.instrument == "CerroCam"
    assert (info.exposure_id, info.visit_id, info.observation_id) == (SCIENCE.id, SCIENCE.id, SCIENCE.obs_id)
    assert (info.detector_num, info.detector_name, info.detector_exposure_id) == (
        1,
        "S01",
        SCIENCE.id * 1000 + 1,
    )
    assert (info.physical_filter, info.observation_type) == (SCIENCE.physical_filter, "science")
    assert (info.observing_day, info.observation_counter) == (SCIENCE.day_obs, SCIENCE.seq_num)
    assert info.exposure_time == SCIENCE.exposure_time * u.s
    assert info.dark_time == SCIENCE.dark_time * u.s
    assert info.has_simulated_content
    assert info.can_see_sky


def test_times_in_a_header_are_tai() -> None:
    info = ObservationInfo(raw_header(PLAN, SCIENCE, 0), pedantic=True)
    assert info.datetime_begin is not None
    assert info.datetime_end is not None
    assert info.datetime_begin.scale == "tai"
    assert info.datetime_begin.mjd == pytest.approx(SCIENCE.mjd, abs=1e-8)
    assert (info.datetime_end - info.datetime_begin).to_value("s") == pytest.approx(SCIENCE.exposure_time)


def test_the_pointing_in_a_header_is_the_nominal_one() -> None:
    info = ObservationInfo(raw_header(PLAN, SCIENCE, 0), pedantic=True)
    assert SCIENCE.sky is not None
    assert info.tracking_radec is not None
    assert info.tracking_radec.ra.deg == pytest.approx(SCIENCE.sky.nominal_pointing.ra)
    assert info.tracking_radec.dec.deg == pytest.approx(SCIENCE.sky.nominal_pointing.dec)
    assert info.boresight_rotation_angle is not None
    assert info.boresight_rotation_angle.deg == pytest.approx(SCIENCE.sky.nominal_pointing.rotation)
    assert info.boresight_rotation_coord == "sky"


def test_a_bias_header_has_no_pointing() -> None:
    info = ObservationInfo(raw_header(PLAN, BIAS, 0), pedantic=True)
    assert info.tracking_radec is None
    assert info.boresight_rotation_angle is None
    assert info.can_see_sky is False
    assert info.exposure_time == 0 * u.s


def test_the_translator_leaves_other_instruments_alone() -> None:
    assert not CerroTranslator.can_translate({"INSTRUME": "DECam"})
    assert not CerroTranslator.can_translate({})


# ---- raws


def test_a_raw_has_the_pixels_of_its_file(butler: Butler, raw: DatasetRef, raw_file: Path) -> None:
    image = butler.get(raw)
    assert image.array.dtype == np.dtype(np.uint16)
    assert image.array.dtype.isnative
    assert image.unit == u.adu
    np.testing.assert_array_equal(image.array, pixels(raw_file))


def test_a_raw_carries_its_header_without_the_layout_of_the_file(butler: Butler, raw: DatasetRef) -> None:
    metadata = butler.get(raw).metadata
    assert metadata["EXPID"] == SCIENCE.id
    assert metadata["DETNAME"] == "S01"
    assert "CRVAL1" in metadata
    assert not {"NAXIS1", "XTENSION", "BZERO", "SIMPLE"} & set(metadata)


def test_components_of_a_raw(butler: Butler, raw: DatasetRef) -> None:
    shape = PLAN.camera.detector(1).raw_shape
    assert butler.get(raw.makeComponentRef("bbox")) == Box.from_shape(shape)
    assert butler.get(raw.makeComponentRef("metadata")) == butler.get(raw).metadata


def test_part_of_a_raw(butler: Butler, raw: DatasetRef, raw_file: Path) -> None:
    box = Box.factory[17:200, 5:131]
    part = butler.get(raw, parameters={"bbox": box})
    assert part.bbox == box
    np.testing.assert_array_equal(part.array, pixels(raw_file)[17:200, 5:131])


def test_a_box_beyond_the_raw_is_refused(butler: Butler, raw: DatasetRef) -> None:
    with pytest.raises(Exception, match="not within the raw") as caught:
        butler.get(raw, parameters={"bbox": Box.factory[0:9999, 0:10]})
    assert isinstance(caught.value.__cause__, DataError)


def test_the_unit_of_a_raw_is_that_of_its_header(butler: Butler, tmp_path: Path) -> None:
    file = simulate_exposure(PLAN, SCIENCE, 0, tmp_path / "raws")
    with fits.open(file, mode="update") as hdus:
        hdus[1].header["BUNIT"] = "electron"
    ingest_raws(butler, [file]).raise_for_failures()
    (ref,) = butler.query_datasets("raw", collections=RUN)
    assert butler.get(ref).unit == u.electron


def test_a_file_with_many_detectors_is_read_detector_by_detector(butler: Butler, tmp_path: Path) -> None:
    second = DECAM | {"CCDNUM": 26, "DETPOS": "S2"}
    file = write_fits(tmp_path / "DECam_00229388.fits.fz", DECAM, more=[second])
    report = ingest_raws(butler, [file])
    report.raise_for_failures()
    refs = butler.query_datasets("raw", collections="DECam/raw/all", order_by="detector")
    assert [ref.dataId["detector"] for ref in refs] == [25, 26]
    assert [butler.get(ref).metadata["DETPOS"] for ref in refs] == ["S1", "S2"]
    assert str(ingest_raws(butler, [file])) == "0 ingested, 1 skipped, 0 failed"


def test_a_detector_that_a_file_lacks_is_an_error(butler: Butler, tmp_path: Path) -> None:
    file = write_fits(tmp_path / "DECam_00229388.fits.fz", DECAM)
    ingest_raws(butler, [file], transfer="direct").raise_for_failures()
    (ref,) = butler.query_datasets("raw", collections="DECam/raw/all")
    size = file.stat().st_size
    write_fits(file, DECAM | {"CCDNUM": 26})
    assert file.stat().st_size == size
    with pytest.raises(Exception, match="no image for this dataset") as caught:
        butler.get(ref)
    assert isinstance(caught.value.__cause__, DataError)


def test_raws_in_a_store_are_read_without_temporary_files(
    butler: Butler,
    raw_file: Path,
    bucket: str,
    s3_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert s3_environment
    remote = ResourcePath(f"s3://{bucket}/raws/").join(raw_file.name)
    remote.write(raw_file.read_bytes())
    ingest_raws(butler, [remote], transfer="direct").raise_for_failures()
    (ref,) = butler.query_datasets("raw", collections=RUN)

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the file was downloaded")

    monkeypatch.setattr(S3ResourcePath, "_as_local", refuse)
    monkeypatch.setattr(S3ResourcePath, "as_local", refuse)
    np.testing.assert_array_equal(butler.get(ref).array, pixels(raw_file))
    part = butler.get(ref, parameters={"bbox": Box.factory[3:30, 4:50]})
    np.testing.assert_array_equal(part.array, pixels(raw_file)[3:30, 4:50])
    assert butler.get(ref.makeComponentRef("metadata"))["EXPID"] == SCIENCE.id


def test_raws_are_read_by_the_instruments_own_formatter() -> None:
    assert CerroCam().getRawFormatter({}) is CerroRawFormatter
