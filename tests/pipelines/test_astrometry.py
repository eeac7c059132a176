"""Matching with references, and the WCS that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.images import XY, Box, DetectorFrame, SkyProjection

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.astrometry import WcsFit, fit_wcs, tangent_plane
from lenticular.pipelines.algorithms.matching import Matches, match_to_references
from lenticular.pipelines.algorithms.polynomials import exponents, n_terms, powers, predicted_rms
from lenticular.pipelines.cerro.camera import cerro_camera
from lenticular.pipelines.cerro.optics import Pointing

if TYPE_CHECKING:
    from astropy.wcs import WCS

DETECTOR = cerro_camera(2, 1024).detector(1)
SHAPE = DETECTOR.shape
TRUE = Pointing(150.0, 2.0, 10.0, 3e-9, 0.2).wcs(DETECTOR)
NOMINAL = Pointing(150.0 + 2.0 / 3600, 2.0 - 3.0 / 3600, 10.06, 2.7e-9, 0.2).wcs(DETECTOR)


class _Field:
    """Stars of one detector, and their references."""

    def __init__(self, n: int = 60, seed: int = 0, error: float = 0.01, true: WCS = TRUE) -> None:
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0, 1023, (2, n))
        self.ra, self.dec = true.all_pix2world(x, y, 0)
        self.flux = 10 ** rng.uniform(3, 6, n)
        self.x, self.y = x + rng.normal(0, error, n), y + rng.normal(0, error, n)
        self.error = np.full(n, error)

    def match(self, **options: float) -> Matches:
        catalogue = (self.ra, self.dec, self.flux)
        return match_to_references(
            self.x,
            self.y,
            self.flux,
            *catalogue,
            nominal=NOMINAL,
            shape=SHAPE,
            **options,  # type: ignore[arg-type]  # numbers by name
        )

    def fit(self, max_degree: int = 3) -> WcsFit:
        return fit_wcs(
            self.x,
            self.y,
            self.error,
            self.ra,
            self.dec,
            nominal=NOMINAL,
            shape=SHAPE,
            max_degree=max_degree,
        )


def _error_mas(wcs: WCS, true: WCS = TRUE) -> np.ndarray:
    grid = np.linspace(20, 1003, 10)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
    ra, dec = wcs.all_pix2world(x, y, 0)
    true_ra, true_dec = true.all_pix2world(x, y, 0)
    off = np.hypot((ra - true_ra) * np.cos(np.radians(true_dec)), dec - true_dec)
    return np.asarray(3.6e6 * off)


def test_a_field_is_matched_star_by_star() -> None:
    matches = _Field().match()
    assert np.array_equal(matches.source, matches.reference)
    assert len(matches) == 60


@settings(max_examples=15, deadline=None)
@given(extra=st.integers(0, 150), seed=st.integers(0, 50))
def test_false_references_do_not_mislead(extra: int, seed: int) -> None:
    field = _Field(seed=seed)
    rng = np.random.default_rng(seed + 1000)
    ra, dec = TRUE.all_pix2world(*rng.uniform(-50, 1073, (2, extra)), 0)
    matches = match_to_references(
        field.x,
        field.y,
        field.flux,
        np.concatenate([field.ra, ra]),
        np.concatenate([field.dec, dec]),
        np.concatenate([field.flux, 10 ** rng.uniform(3, 6, extra)]),
        nominal=NOMINAL,
        shape=SHAPE,
    )
    right = matches.source == matches.reference
    assert right.mean() > 0.95
    assert right.sum() >= 55


def test_references_far_from_the_detector_do_no_harm() -> None:
    field = _Field()
    for offset in (3.0, 60.0, 179.0):
        field.ra = np.append(field.ra, (150.0 + offset) % 360)
        field.dec = np.append(field.dec, -2.0)
    padded = np.append(field.flux, [1e7, 1e7, 1e7])
    matches = match_to_references(
        field.x, field.y, field.flux, field.ra, field.dec, padded, nominal=NOMINAL, shape=SHAPE
    )
    assert len(matches) == 60


def test_no_reference_is_a_clear_error() -> None:
    field = _Field()
    none = np.empty(0)
    with pytest.raises(MeasurementError, match="0 references"):
        match_to_references(field.x, field.y, field.flux, none, none, none, nominal=NOMINAL, shape=SHAPE)


def test_references_of_another_field_are_a_clear_error() -> None:
    field, other = _Field(), _Field(seed=99)
    field.ra, field.dec = other.ra, other.dec
    with pytest.raises(MeasurementError, match="lie on a reference"):
        field.match(min_matches=20)


def test_a_pointing_that_is_too_far_off_is_a_clear_error() -> None:
    with pytest.raises(MeasurementError):
        _Field().match(max_offset=5.0)


def test_matches_can_be_translated_to_a_longer_list() -> None:
    matches = Matches(np.array([0, 2]), np.array([5, 6]), (0.0, 0.0), 2)
    assert matches.of(np.array([10, 20, 30])).source.tolist() == [10, 30]


def test_the_wcs_is_recovered_to_a_few_milliarcseconds() -> None:
    fit = _Field().fit()
    assert np.median(_error_mas(fit.wcs)) < 2.0
    assert fit.predicted_rms < 6.0


def test_without_noise_the_wcs_is_exact() -> None:
    fit = _Field(error=1e-7).fit()
    assert fit.degree == 3
    assert _error_mas(fit.wcs).max() < 0.05


@pytest.mark.parametrize("dec", [-60.0, 0.0, 85.0])
def test_the_declination_does_not_matter(dec: float) -> None:
    true = Pointing(0.001, dec, 50.0, 3e-9, 0.2).wcs(DETECTOR)
    nominal = Pointing(0.0, dec + 4 / 3600, 50.05, 3e-9, 0.2).wcs(DETECTOR)
    field = _Field(true=true, error=1e-6)
    fit = fit_wcs(field.x, field.y, field.error, field.ra, field.dec, nominal=nominal, shape=SHAPE)
    assert _error_mas(fit.wcs, true).max() < 0.1


def test_few_noisy_stars_do_not_bend_the_wcs() -> None:
    field = _Field(n=9, error=0.5)
    assert field.fit().degree == 1


def test_the_degree_can_be_limited() -> None:
    assert _Field(error=1e-6).fit(max_degree=1).degree == 1


def test_wrong_matches_are_clipped() -> None:
    field = _Field()
    field.x[:4] += 0.6
    fit = field.fit()
    assert not fit.kept[:4].any()
    assert fit.kept[4:].mean() > 0.9
    assert np.median(_error_mas(fit.wcs)) < 2.0


def test_residuals_are_star_minus_reference() -> None:
    field = _Field(error=1e-7)
    ra, dec = field.ra.copy(), field.dec.copy()
    field.ra[0] += 0.05 / 3600 / np.cos(np.radians(dec[0]))
    fit = field.fit()
    assert fit.residual_ra[0] == pytest.approx(-50.0, abs=3.0)
    assert abs(fit.residual_dec[0]) < 3.0
    assert ra[1] == field.ra[1]


def test_too_few_matches_are_a_clear_error() -> None:
    with pytest.raises(MeasurementError, match="matches to fit"):
        _Field(n=5).fit()


def test_the_inverse_distortion_holds_on_the_detector() -> None:
    wcs = _Field().fit().wcs
    box = Box.from_shape(SHAPE)
    frame = DetectorFrame(instrument="CerroCam", visit=1, detector=1, bbox=box)
    projection = SkyProjection.from_fits_wcs(wcs, frame, pixel_bounds=box)
    x, y = np.random.default_rng(0).uniform(0, 1023, (2, 50))
    sky = projection.pixel_to_sky(XY(x=x, y=y))
    back = projection.sky_to_pixel(sky)
    assert np.hypot(back.x - x, back.y - y).max() < 1e-3
    ra, dec = wcs.all_pix2world(x, y, 0)
    assert np.allclose(sky.ra.deg, ra, atol=1e-9)
    assert np.allclose(sky.dec.deg, dec, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(ra=st.floats(0, 359.9), dec=st.floats(-85, 85))
def test_the_tangent_plane_is_flat_near_its_centre(ra: float, dec: float) -> None:
    north = tangent_plane(np.array([ra]), np.array([dec + 1 / 3600]), (ra, dec))
    assert north[0] == pytest.approx([0, 1 / 3600], abs=1e-9)


def test_monomials_come_by_degree() -> None:
    assert exponents(0, 2) == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    assert powers(np.array([1000.0]), np.array([2000.0]), 0, 1).tolist() == [[1.0, 1.0, 2.0]]
    assert powers(np.array([1.0]), np.array([2.0]), 2, 1).shape == (1, 0)
    assert all(len(exponents(0, degree)) == n_terms(degree) for degree in range(6))


def test_predicted_residuals_are_those_of_leaving_one_out() -> None:
    rng = np.random.default_rng(0)
    terms, target, weight = rng.normal(size=(12, 3)), rng.normal(size=12), rng.uniform(0.5, 2, 12)
    total = 0.0
    for k in range(12):
        rest = np.arange(12) != k
        root = weight[rest]
        solution = np.linalg.lstsq(terms[rest] * root[:, None], target[rest] * root, rcond=None)[0]
        total += (weight[k] * (target[k] - terms[k] @ solution)) ** 2
    expected = np.sqrt(total / np.square(weight).sum())
    assert predicted_rms(terms, target, weight) == pytest.approx(expected)
