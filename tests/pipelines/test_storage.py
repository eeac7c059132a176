"""How datasets are stored: tiles of 256 pixels, and a formatter for every storage class we use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import pytest
from astro_metadata_translator import ObservationInfo
from astropy.io import fits
from lsst.daf.butler import Butler, Config, DatasetType
from lsst.images import (
    BackgroundMap,
    Box,
    DetectorFrame,
    Image,
    Mask,
    MaskedImage,
    MaskPlane,
    MaskSchema,
    ObservationSummaryStats,
    SkyProjection,
    VisitImage,
)
from lsst.images.fields import ChebyshevField
from lsst.images.psfs import GaussianPointSpreadFunction

from lenticular.pipelines.cerro.camera import cerro_camera
from lenticular.pipelines.cerro.exposures import raw_header
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.skymap import DiscreteSkyMap
from lenticular.pipelines.storage import VIEW_RECIPE, repository_config
from tests.pipelines.ingest_support import make_template, open_copy, small_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lsst.daf.butler import DatasetRef

BOX = Box.factory[0:600, 0:700]
PLAN = small_plan()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("storage"))


@pytest.fixture
def butler(template: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(template, tmp_path / "repository") as opened:
        opened.collections.register("run")
        yield opened


def put(butler: Butler, storage_class: str, thing: object) -> DatasetRef:
    """Store a dataset without dimensions."""
    kind = DatasetType(f"a_{storage_class.lower()}", (), storage_class, universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    return butler.put(thing, kind, run="run")


def an_image(unit: u.UnitBase = u.nJy) -> Image:
    rng = np.random.default_rng(2)
    return Image(rng.normal(100, 10, BOX.shape).astype(np.float32), bbox=BOX, unit=unit)


def a_masked_image() -> MaskedImage:
    mask = Mask(
        0, bbox=BOX, schema=MaskSchema([MaskPlane("BAD", "bad pixel"), MaskPlane("CR", "cosmic ray")])
    )
    bad = np.zeros(BOX.shape, bool)
    bad[100:120, 300:310] = True
    mask.set("BAD", bad)
    variance = Image(an_image().array, bbox=BOX, unit=u.nJy**2)
    return MaskedImage(an_image(), mask=mask, variance=variance)


def a_visit_image() -> VisitImage:
    parts = a_masked_image()
    camera = cerro_camera()
    model = camera.detector(0)
    exposure = PLAN.science[0]
    assert exposure.sky is not None
    frame = DetectorFrame(instrument="CerroCam", visit=exposure.id, detector=0, bbox=BOX)
    wcs = exposure.sky.nominal_pointing.wcs(model)
    return VisitImage(
        parts.image,
        mask=parts.mask,
        variance=parts.variance,
        sky_projection=SkyProjection.from_fits_wcs(wcs, frame),
        psf=GaussianPointSpreadFunction(2.0, stamp_size=25, bounds=BOX),
        obs_info=ObservationInfo(raw_header(PLAN, exposure, 0)),
        detector=camera.to_detector(0, visit=exposure.id),
        band=exposure.band,
        summary_stats=ObservationSummaryStats.model_validate({}),
        backgrounds=BackgroundMap(),
    )


def hdus(butler: Butler, ref: DatasetRef) -> dict[str, dict[str, Any]]:
    """Return the compression cards of each plane of a stored dataset."""
    with fits.open(butler.getURI(ref).ospath, disable_image_compression=True) as file:
        return {
            hdu.name: {name: hdu.header[name] for name in hdu.header if name.startswith("Z")}
            for hdu in file
            if hdu.header.get("ZIMAGE")
        }


def check_tiles(planes: dict[str, dict[str, Any]], names: set[str]) -> None:
    """Check that each plane is written as the recipe says."""
    assert set(planes) == names
    for name, cards in planes.items():
        assert (cards["ZTILE1"], cards["ZTILE2"]) == (256, 256)
        if name.startswith("MASK"):
            assert cards["ZCMPTYPE"] == "GZIP_2"
            assert "ZQUANTIZ" not in cards
        else:
            assert cards["ZCMPTYPE"] == "RICE_1"
            assert cards["ZQUANTIZ"] == "SUBTRACTIVE_DITHER_2"
            level = {cards[f"ZNAME{n}"]: cards[f"ZVAL{n}"] for n in (1, 2, 3)}
            assert level["NOISEBIT"] == 16


# ---- write recipe


def test_a_masked_image_is_written_in_tiles(butler: Butler) -> None:
    ref = put(butler, "MaskedImageV2", a_masked_image())
    check_tiles(hdus(butler, ref), {"IMAGE", "MASK", "VARIANCE"})


def test_a_visit_image_is_written_in_tiles(butler: Butler) -> None:
    ref = put(butler, "VisitImage", a_visit_image())
    check_tiles(hdus(butler, ref), {"IMAGE", "MASK", "VARIANCE"})


@pytest.mark.parametrize(("storage_class", "plane"), [("ImageV2", "IMAGE"), ("MaskV2", "MASK")])
def test_single_planes_are_written_in_tiles(butler: Butler, storage_class: str, plane: str) -> None:
    thing = an_image() if plane == "IMAGE" else a_masked_image().mask
    check_tiles(hdus(butler, put(butler, storage_class, thing)), {plane})


def test_quantization_keeps_far_below_the_noise(butler: Butler) -> None:
    image = an_image()
    back = butler.get(put(butler, "ImageV2", image))
    error = back.array - image.array
    assert 0 < np.std(error) < 10 / 16 / np.sqrt(12) * 1.3
    assert abs(np.mean(error)) < 0.01


def test_masks_survive_bit_for_bit(butler: Butler) -> None:
    stored = a_masked_image()
    back = butler.get(put(butler, "MaskedImageV2", stored))
    np.testing.assert_array_equal(back.mask.array, stored.mask.array)


def test_zeros_and_missing_values_survive(butler: Butler) -> None:
    image = an_image()
    image.array[:10] = 0
    image.array[20:30] = np.nan
    back = butler.get(put(butler, "ImageV2", image))
    assert (back.array[:10] == 0).all()
    assert np.isnan(back.array[20:30]).all()


@pytest.mark.parametrize("storage_class", ["MaskedImageV2", "VisitImage"])
def test_part_of_an_image_can_be_read(butler: Butler, storage_class: str) -> None:
    stored = a_masked_image() if storage_class == "MaskedImageV2" else a_visit_image()
    ref = put(butler, storage_class, stored)
    whole = butler.get(ref)
    box = Box.factory[90:301, 250:513]
    part = butler.get(ref, parameters={"bbox": box})
    assert part.bbox == box
    for plane in ("image", "mask", "variance"):
        np.testing.assert_array_equal(getattr(part, plane).array, getattr(whole[box], plane).array)


def test_components_of_a_visit_image_can_be_read(butler: Butler) -> None:
    visit_image = a_visit_image()
    ref = put(butler, "VisitImage", visit_image)
    assert butler.get(ref.makeComponentRef("bbox")) == BOX
    assert butler.get(ref.makeComponentRef("detector")).name == "S00"
    assert butler.get(ref.makeComponentRef("obs_info")).exposure_id == PLAN.science[0].id
    assert butler.get(ref.makeComponentRef("image")).bbox == BOX


# ---- storage classes


@pytest.mark.parametrize(
    ("storage_class", "thing", "ending"),
    [
        ("PointSpreadFunction", GaussianPointSpreadFunction(2.0, stamp_size=25, bounds=BOX), ".fits"),
        ("BackgroundMap", BackgroundMap(), ".fits"),
        ("ObservationSummaryStats", ObservationSummaryStats.model_validate({}), ".json"),
        ("ImageField", ChebyshevField(BOX, np.ones((2, 2))), ".fits"),
        ("CameraModel", cerro_camera(2), ".json"),
        ("DiscreteSkyMap", DiscreteSkyMap(name="m", ra=1.0, dec=2.0), ".json"),
        ("StructuredDataList", [1, "two", 3.0], ".yaml"),
        ("ObservationInfo", ObservationInfo(raw_header(PLAN, PLAN.science[0], 0)), ".json"),
    ],
)
def test_every_storage_class_comes_back(
    butler: Butler, storage_class: str, thing: object, ending: str
) -> None:
    ref = put(butler, storage_class, thing)
    assert butler.getURI(ref).getExtension() == ending
    back = butler.get(ref)
    assert type(back) is type(thing)
    if storage_class not in {"PointSpreadFunction", "BackgroundMap", "ImageField"}:
        assert back == thing


def test_a_detector_comes_back(butler: Butler) -> None:
    detector = cerro_camera().to_detector(3)
    assert butler.get(put(butler, "DetectorV2", detector)).name == detector.name


def test_a_raw_image_can_be_stored_too(butler: Butler) -> None:
    raw = Image(np.arange(600, dtype=np.uint16).reshape(20, 30), unit=u.adu, metadata={"EXPID": 7})
    back = butler.get(put(butler, "RawImage", raw))
    np.testing.assert_array_equal(back.array, raw.array)
    assert back.metadata == raw.metadata


@pytest.mark.parametrize("name", sorted(repository_config()["storageClasses"]))
def test_every_storage_class_of_ours_has_a_type_and_a_formatter(name: str) -> None:
    config = repository_config()
    module, _, kind = config["storageClasses"][name]["pytype"].rpartition(".")
    assert isinstance(getattr(import_module(module), kind), type)
    assert name in config["datastore"]["formatters"]


def test_the_recipe_that_formatters_name_exists() -> None:
    formatters = repository_config()["datastore"]["formatters"]
    recipes = formatters["write_recipes"]["lsst.images.formatters.GenericFormatter"]
    named = {
        entry["parameters"]["recipe"]
        for entry in formatters.values()
        if isinstance(entry, dict) and "recipe" in entry.get("parameters", {})
    }
    assert named == {VIEW_RECIPE} == set(recipes)


def test_the_configuration_is_a_new_one_each_time() -> None:
    repository_config()["datastore"].clear()
    assert repository_config()["datastore"]


def test_any_butler_finds_the_configuration_in_the_repository(tmp_path: Path) -> None:
    Butler.makeRepo(str(tmp_path), config=Config(repository_config()))
    written = Config(str(tmp_path / "butler.yaml"))
    assert written["storageClasses", "RawImage", "pytype"] == "lsst.images.Image"
    assert written["datastore", "formatters", "VisitImage", "parameters", "recipe"] == VIEW_RECIPE
    with Butler.from_config(str(tmp_path), writeable=True) as opened:
        CerroCam().register(opened.registry)
