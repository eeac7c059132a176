"""What the routes show of FITS files."""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lenticular.butler.errors import LenticularError
from lenticular.platform.server.answers import picture
from lenticular.platform.server.answers.fits import describe_fits, draw_picture, list_cards
from lenticular.platform.server.answers.picture import bin_image, grey_levels, limits_of, scale_of
from lenticular.platform.server.files import ServedFolder
from lenticular.platform.server.models.files import HduQuestion, PictureQuestion, Stretch
from lenticular.platform.server.models.graphs import FileQuestion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lenticular.platform.server.access import Access
    from tests.server.conftest import Ask, Site

IMAGE, MASK, VARIANCE, CUBE, TABLE = range(1, 6)


@pytest.fixture
def exposure(site: Site, jp_root_dir: Path) -> str:
    """Return the path of an exposure below the server's root."""
    shutil.copy(site.fits, jp_root_dir / "exposure.fits")
    return "exposure.fits"


def pixels(body: bytes) -> NDArray[np.uint8]:
    """Return grey levels and opacity of a PNG, its lowest row first."""
    with Image.open(io.BytesIO(body)) as image:
        assert image.format == "PNG"
        return np.asarray(image)[::-1]


async def test_a_file_lists_its_hdus(ask: Ask, exposure: str) -> None:
    hdus = (await ask("fits", path=exposure)).content["hdus"]
    assert [hdu["name"] for hdu in hdus] == ["PRIMARY", "IMAGE", "MASK", "VARIANCE", "CUBE", "TABLE"]
    assert [hdu["plane"] for hdu in hdus] == [None, "image", "mask", "variance", None, None]
    assert [hdu["picture"] for hdu in hdus] == [False, True, True, True, False, False]
    assert [hdu["type"] for hdu in hdus] == ["other", "image", "image", "image", "image", "table"]
    assert hdus[IMAGE] == {
        "index": 1,
        "name": "IMAGE",
        "type": "image",
        "shape": [300, 200],
        "bitpix": -32,
        "compression": "GZIP_2",
        "plane": "image",
        "planes": {},
        "picture": True,
    }
    assert hdus[MASK]["planes"] == {"BAD": 1, "SATURATED": 2}
    assert hdus[CUBE]["shape"] == [2, 3, 4]
    assert hdus[TABLE]["shape"] == [9]


async def test_a_mask_of_older_files_names_its_planes_too(ask: Ask, jp_root_dir: Path) -> None:
    hdu = fits.ImageHDU(np.zeros((4, 4), np.int32), name="MASK")
    hdu.header["MP_BAD"] = 0
    hdu.header["MP_SAT"] = 3
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(jp_root_dir / "old.fits")
    hdus = (await ask("fits", path="old.fits")).content["hdus"]
    assert hdus[1]["planes"] == {"BAD": 1, "SAT": 8}


async def test_a_header_is_given_card_by_card(ask: Ask, exposure: str) -> None:
    cards = (await ask("fits/header", path=exposure, hdu=IMAGE)).content["cards"]
    assert ["OBSERVER", "Ana", "who looked"] in cards
    assert next(card for card in cards if card[0] == "BITPIX")[1] == -32


async def test_cards_of_every_kind_can_travel(ask: Ask, jp_root_dir: Path) -> None:
    header = fits.Header()
    header["TEXT"] = "postgresql://ana:geheim@db/registry"
    header["FLAG"] = True
    header["NONE"] = None
    header["RANGE"] = 1 + 2j
    header["COMMENT"] = "so it is"
    fits.PrimaryHDU(header=header).writeto(jp_root_dir / "cards.fits")
    answer = await ask("fits/header", path="cards.fits", hdu=0)
    values = {card[0]: card[1] for card in answer.content["cards"]}
    assert values["TEXT"] == "postgresql://ana:***@db/registry"
    assert values["FLAG"] is True
    assert values["NONE"] is None
    assert values["RANGE"] == "(1+2j)"
    assert values["COMMENT"] == "so it is"


@pytest.mark.parametrize("kind", [fits.CompImageHDU, fits.ImageHDU])
async def test_unsigned_integers_as_cameras_write_them_are_drawn(
    ask: Ask, jp_root_dir: Path, kind: type[fits.ImageHDU]
) -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64) + np.uint16(30_000)
    fits.HDUList([fits.PrimaryHDU(), kind(ramp)]).writeto(jp_root_dir / "raw.fits.fz")
    answer = await ask("fits/picture", path="raw.fits.fz", hdu=1, stretch="linear", limits="100")
    levels = pixels(answer.content)[..., 0]
    assert levels[0, 0] < levels[32, 0] < levels[63, 63]


async def test_a_picture_has_the_size_asked_for_and_tells_its_scale(ask: Ask, exposure: str) -> None:
    answer = await ask("fits/picture", path=exposure, hdu=IMAGE, size=100)
    assert answer.response.headers["Content-Type"] == "image/png"
    assert answer.response.headers["X-Lenticular-Scale"] == "3"
    assert pixels(answer.content).shape == (100, 67, 2)


async def test_pixels_without_a_value_are_transparent(ask: Ask, exposure: str) -> None:
    answer = await ask("fits/picture", path=exposure, hdu=IMAGE)
    opaque = pixels(answer.content)[..., 1]
    assert not opaque[10:20, 30:40].any()
    assert opaque.astype(bool).sum() == 300 * 200 - 100


async def test_a_mask_is_white_where_any_plane_is_set(ask: Ask, exposure: str) -> None:
    answer = await ask("fits/picture", path=exposure, hdu=MASK, size=30)
    assert answer.response.headers["X-Lenticular-Scale"] == "10"
    grey = pixels(answer.content)[..., 0]
    assert (grey[0] == 255).all()
    assert not grey[1:].any()


async def test_a_picture_that_the_browser_has_is_not_drawn_again(
    ask: Ask, jp_fetch: Any, exposure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = {"path": exposure, "hdu": IMAGE}
    first = await ask("fits/picture", **question)
    etag = first.response.headers["Etag"]
    monkeypatch.setattr(picture, "draw_image", lambda *_, **__: pytest.fail("was drawn"))
    with pytest.raises(Exception, match="304"):
        await jp_fetch(
            "lenticular",
            "api",
            "fits",
            "picture",
            params=question,
            headers={"If-None-Match": f'W/"x", {etag}'},
        )


async def test_a_file_that_changed_has_another_tag(ask: Ask, exposure: str, jp_root_dir: Path) -> None:
    first = await ask("fits/picture", path=exposure, hdu=VARIANCE)
    with fits.open(jp_root_dir / exposure) as hdus:
        hdus.append(fits.ImageHDU(np.zeros((2, 2))))
        hdus.writeto(jp_root_dir / "other.fits")
    (jp_root_dir / "other.fits").replace(jp_root_dir / exposure)
    second = await ask("fits/picture", path=exposure, hdu=VARIANCE)
    assert first.response.headers["Etag"] != second.response.headers["Etag"]


@pytest.mark.parametrize("hdu", [0, CUBE, TABLE])
async def test_what_is_no_image_has_no_picture(ask: Ask, exposure: str, hdu: int) -> None:
    answer = await ask("fits/picture", path=exposure, hdu=hdu)
    assert answer.status == 422
    assert "two dimensions" in answer.error["hint"]


@pytest.mark.parametrize("route", ["fits/header", "fits/picture"])
async def test_an_hdu_that_a_file_lacks_is_told(ask: Ask, exposure: str, route: str) -> None:
    answer = await ask(route, path=exposure, hdu=6)
    assert answer.status == 404
    assert "6" in answer.error["hint"]


@pytest.mark.parametrize(
    "wrong",
    [{"stretch": "cubic"}, {"limits": "0"}, {"limits": "101"}, {"size": 8}, {"size": 9000}, {"hdu": -1}],
)
async def test_a_wrong_way_to_draw_is_told(ask: Ask, exposure: str, wrong: dict[str, Any]) -> None:
    answer = await ask("fits/picture", **{"path": exposure, "hdu": IMAGE, **wrong})
    assert answer.status == 400
    assert answer.error["where"] == next(iter(wrong))


@pytest.mark.parametrize("keep", [0, 100, 2880, 6000, -3000])
async def test_a_damaged_file_is_told_or_shown_as_far_as_it_goes(
    ask: Ask, exposure: str, jp_root_dir: Path, keep: int
) -> None:
    file = jp_root_dir / exposure
    file.write_bytes(file.read_bytes()[:keep])
    for route, question in (("fits", {}), ("fits/header", {"hdu": 1}), ("fits/picture", {"hdu": 1})):
        answer = await ask(route, path=exposure, **question)
        assert answer.status in {200, 404, 422}


async def test_a_file_that_is_no_fits_is_told(ask: Ask, jp_root_dir: Path) -> None:
    (jp_root_dir / "text.fits").write_text("not a FITS file")
    answer = await ask("fits", path="text.fits")
    assert answer.status == 422
    assert answer.error["kind"] == "DataError"


@given(data=st.data())
@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_wrong_with_a_file_is_told_as_an_error_of_ours(site: Site, data: st.DataObject) -> None:
    content = bytearray(site.fits.read_bytes())
    places = st.integers(0, len(content) - 1) | st.integers(0, 40_000).map(lambda place: place % len(content))
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255) | st.sampled_from(b"0189-T' "))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "damaged.fits").write_bytes(content)
        access = cast("Access", SimpleNamespace(files=ServedFolder(Path(folder))))
        with suppress(LenticularError):
            describe_fits(access, FileQuestion(path="damaged.fits"))
        for hdu in range(6):
            with suppress(LenticularError):
                list_cards(access, HduQuestion(path="damaged.fits", hdu=hdu))
            with suppress(LenticularError):
                draw_picture(access, PictureQuestion(path="damaged.fits", hdu=hdu, size=64)).draw()


# From pixels to a picture


def plain_bins(image: NDArray[Any], scale: int) -> NDArray[np.float64]:
    """Average in bins in the plainest way."""
    height, width = image.shape
    result = np.full((-(-height // scale), -(-width // scale)), np.nan)
    for y, x in np.ndindex(result.shape):
        part = image[y * scale : (y + 1) * scale, x * scale : (x + 1) * scale]
        good = part[np.isfinite(part)]
        if good.size:
            result[y, x] = good.mean(dtype=np.float64)
    return result


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.integers(1, 12),
    band=st.integers(1, 400),
    seed=st.integers(0, 99),
)
def test_bins_are_means_whatever_the_bands(shape: tuple[int, int], scale: int, band: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape).astype(np.float32)
    image[rng.random(shape) < 0.2] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "_BAND_PIXELS", band)
        binned = bin_image(image, shape, scale)
    np.testing.assert_allclose(binned, plain_bins(image, scale), rtol=1e-5, atol=1e-6)


def test_an_image_is_read_in_bands_and_not_as_a_whole() -> None:
    shape = (4096, 4096)
    read: list[int] = []

    class Section:
        def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.float32]:
            rows = key[0].stop - key[0].start
            read.append(rows * (key[1].stop - key[1].start))
            return np.zeros((rows, shape[1]), np.float32)

    assert bin_image(Section(), shape, 4).shape == (1024, 1024)
    assert sum(read) == shape[0] * shape[1]
    assert max(read) <= 2**21


@pytest.mark.parametrize(
    ("shape", "size", "scale"), [((100, 50), 100, 1), ((101, 50), 100, 2), ((1, 1), 16, 1)]
)
def test_the_scale_is_the_smallest_that_fits(shape: tuple[int, int], size: int, scale: int) -> None:
    assert scale_of(shape, size) == scale


def test_limits_hold_the_central_values() -> None:
    values = np.arange(1000, dtype=np.float32)
    low, high = limits_of(values, "90")
    assert (low, high) == pytest.approx((49.95, 949.05))
    assert limits_of(values, "100") == (0.0, 999.0)
    low, high = limits_of(values, "zscale")
    assert 0 <= low < high <= 999


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0], [0.0]])
@pytest.mark.parametrize("method", ["zscale", "99.5"])
def test_limits_of_next_to_nothing_are_usable(values: list[float], method: str) -> None:
    low, high = limits_of(np.array(values, np.float32), method)
    assert low < high


@pytest.mark.parametrize("stretch", list(Stretch))
def test_every_stretch_goes_from_black_to_white_without_turning_back(stretch: Stretch) -> None:
    values = np.linspace(-1, 2, 301, dtype=np.float32)
    grey = grey_levels(values, 0.0, 1.0, stretch).astype(int)
    assert grey[0] == 0
    assert grey[-1] == 255
    assert (np.diff(grey) >= 0).all()
