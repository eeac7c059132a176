"""The reference catalogue: its errors, its shards, its place in a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.sphgeom import HtmPixelization, LonLat, UnitVector3d

from lenticular.butler.errors import DataError
from lenticular.pipelines.cerro.repository import REFERENCE_LIMIT, reference_shard
from lenticular.pipelines.cerro.sky import FIELD_DEC, FIELD_RA, Kind, Sky
from lenticular.pipelines.ingest.regions import polygon
from lenticular.pipelines.refcat import (
    LEVEL,
    measured_references,
    overlapping_trixels,
    register_references,
    within_trixel,
)
from tests.pipelines.ingest_support import make_template, open_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lsst.daf.butler import Butler

RUN, KIND = "refcats/test", "test_refcat"
BANDS = ("g", "r")
PIXELS = HtmPixelization(LEVEL)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("refcat"))


@pytest.fixture
def butler(template: Path, tmp_path: Path) -> Iterator[Butler]:
    with open_copy(template, tmp_path / "repository") as opened:
        yield opened


@pytest.fixture(scope="module")
def field_trixel() -> int:
    return int(PIXELS.index(UnitVector3d(LonLat.fromDegrees(FIELD_RA, FIELD_DEC))))


def truth(n: int, *, dec: float = -28.1) -> Table:
    rng = np.random.default_rng(5)
    return Table(
        {
            "id": rng.permutation(n) + 100,
            "ra": 53.1 + rng.uniform(-0.2, 0.2, n),
            "dec": np.full(n, dec),
            "g_mag": rng.uniform(15, 21, n),
            "r_mag": rng.uniform(15, 21, n),
        }
    )


@pytest.mark.parametrize("dec", [0.0, -28.1, 80.0])
def test_positions_err_by_a_milliarcsecond_on_the_sky(dec: float) -> None:
    true = truth(20_000, dec=dec)
    true.sort("id")
    measured = measured_references(true, BANDS, np.random.default_rng(1))
    east = (measured["ra"].value - true["ra"]) * np.cos(np.radians(dec)) * 3.6e6
    north = (measured["dec"].value - true["dec"]) * 3.6e6
    for error in (east, north):
        assert np.std(error) == pytest.approx(1.0, rel=0.03)
        assert abs(np.mean(error)) < 0.03


def test_fluxes_err_by_five_millimagnitudes() -> None:
    true = truth(20_000)
    true.sort("id")
    measured = measured_references(true, BANDS, np.random.default_rng(1))
    for band in BANDS:
        flux, error = measured[f"{band}_flux"], measured[f"{band}_fluxErr"]
        assert flux.unit == error.unit == "nJy"
        off = -2.5 * np.log10(flux.value) + 31.4 - true[f"{band}_mag"]
        assert np.std(off) == pytest.approx(0.005, rel=0.03)
        np.testing.assert_allclose(error / flux, 0.005 * np.log(10) / 2.5)


def test_references_are_sorted_and_have_units() -> None:
    measured = measured_references(truth(50), BANDS, np.random.default_rng(1))
    assert measured.colnames == ["id", "ra", "dec", "g_flux", "g_fluxErr", "r_flux", "r_fluxErr"]
    assert (np.diff(measured["id"]) > 0).all()
    assert measured["ra"].unit == measured["dec"].unit == "deg"


def test_truth_without_a_band_is_refused() -> None:
    with pytest.raises(DataError, match="z_mag"):
        measured_references(truth(3), ("z",), np.random.default_rng(1))


@given(ra=st.floats(0, 359.9), dec=st.floats(-89, 89))
@settings(deadline=None)
def test_the_trixel_of_a_place_is_among_those_of_a_region_around_it(ra: float, dec: float) -> None:
    step = 0.01
    around = polygon(
        ra + np.array([-step, step, 0]) / np.cos(np.radians(dec)), dec + np.array([-step, -step, step])
    )
    assert PIXELS.index(UnitVector3d(LonLat.fromDegrees(ra, dec))) in overlapping_trixels([around])


def test_trixels_of_several_regions_are_sorted_and_distinct() -> None:
    region = polygon([53.0, 53.2, 53.1], [-28.2, -28.2, -28.0])
    once = overlapping_trixels([region])
    assert once == overlapping_trixels([region, region]) == sorted(set(once))


def test_every_star_is_in_one_trixel() -> None:
    table = truth(3000)
    region = polygon([52.85, 53.35, 53.1], [-28.2, -28.2, -27.9])
    parts = [within_trixel(trixel, table) for trixel in overlapping_trixels([region])]
    ids = np.concatenate([part["id"] for part in parts])
    assert len(ids) == len(set(ids)) == 3000


def test_shards_are_stored_once(butler: Butler) -> None:
    made: list[int] = []
    told: list[tuple[str, int, int]] = []

    def shard(trixel: int) -> Table:
        made.append(trixel)
        return measured_references(truth(10), BANDS, np.random.default_rng(trixel))

    trixels = [147175, 147172, 147175]
    first = register_references(
        butler, trixels, shard, dataset_type=KIND, run=RUN, progress=lambda *step: told.append(step)
    )
    again = register_references(butler, trixels, shard, dataset_type=KIND, run=RUN)
    assert first == again
    assert made == [147172, 147175]
    assert [ref.dataId["htm7"] for ref in first] == made
    assert told == [("store references", 1, 2), ("store references", 2, 2)]


def test_an_interrupted_catalogue_is_completed(butler: Butler) -> None:
    def shard(trixel: int) -> Table:
        if trixel == 147175 and not repaired:
            message = "disk full"
            raise OSError(message)
        return truth(trixel % 10)

    repaired: list[bool] = []
    with pytest.raises(OSError, match="disk full"):
        register_references(butler, [147172, 147175], shard, dataset_type=KIND, run=RUN)
    repaired.append(True)
    assert len(register_references(butler, [147172, 147175], shard, dataset_type=KIND, run=RUN)) == 2


def test_a_shard_comes_back_with_its_units_and_by_columns(butler: Butler) -> None:
    table = measured_references(truth(20), BANDS, np.random.default_rng(2))
    (ref,) = register_references(butler, [147172], lambda _: table, dataset_type=KIND, run=RUN)
    back = butler.get(ref)
    assert back.colnames == table.colnames
    assert back["g_flux"].unit == "nJy"
    np.testing.assert_array_equal(back["ra"].value, table["ra"].value)
    assert butler.get(ref, parameters={"columns": ["id", "ra"]}).colnames == ["id", "ra"]


def test_the_surveys_shards_hold_its_bright_stars(field_trixel: int) -> None:
    shard = reference_shard(7, field_trixel)
    sky = Sky.around(7, FIELD_RA, FIELD_DEC, 0.05).table
    bright = sky[np.isin(sky["kind"], (Kind.STAR, Kind.VARIABLE)) & (sky["r_mag"] < REFERENCE_LIMIT)]
    near = within_trixel(field_trixel, Table(bright))
    assert len(near) > 100
    assert set(near["id"]) <= set(shard["id"])
    order = np.searchsorted(shard["id"], near["id"])
    np.testing.assert_allclose(shard["dec"].value[order], near["dec"], atol=6 / 3.6e6)
    assert (-2.5 * np.log10(shard["r_flux"].value) + 31.4 < REFERENCE_LIMIT + 0.05).all()
    assert set(shard.colnames) >= {"g_flux", "r_fluxErr", "i_flux"}


def test_a_shard_depends_on_the_seed_alone(field_trixel: int) -> None:
    one, two = reference_shard(7, field_trixel), reference_shard(7, field_trixel)
    assert all((one[name] == two[name]).all() for name in one.colnames)
    other = reference_shard(8, field_trixel)
    assert not set(one["ra"].value) & set(other["ra"].value)
