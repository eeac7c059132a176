"""Where light falls and how widely, against independent formulae."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from lenticular.pipelines.cerro.camera import cerro_camera
from lenticular.pipelines.cerro.optics import (
    GALAXY_VARIANCES,
    GALAXY_WEIGHTS,
    PSF_VARIANCES,
    PSF_WEIGHTS,
    Pointing,
    PsfField,
    render,
)

WAVES = ((0.1, 0.05, 0.3, 0.01), (-0.08, 0.12, 2.0, 0.008))
PSF = PsfField(4.0, 0.02, -0.01, WAVES)
DETECTOR = cerro_camera(16).detector(9)


def _one(value: float) -> np.ndarray:
    return np.array([value])


def _star(flux: float, x: float = 60.3, y: float = 60.8, psf: PsfField = PSF) -> np.ndarray:
    image = np.zeros((121, 121), np.float32)
    render(image, _one(x), _one(y), _one(flux), psf.second_moments(_one(3.0), _one(-4.0)))
    return image


def test_the_mixtures_hold_all_light() -> None:
    assert PSF_WEIGHTS.sum() == pytest.approx(1, abs=1e-9)
    assert GALAXY_WEIGHTS.sum() == pytest.approx(1, abs=1e-9)


def test_the_psf_has_the_width_it_names() -> None:
    def profile(radius: float) -> float:
        terms = PSF_WEIGHTS / PSF_VARIANCES * np.exp(-0.5 * radius**2 / PSF_VARIANCES)
        return float(terms.sum())

    assert brentq(lambda r: profile(r) - profile(0) / 2, 0.1, 2) == pytest.approx(0.5, abs=2e-4)


def test_the_psf_is_close_to_a_moffat_profile() -> None:
    radius = np.linspace(0, 2, 50)  # in FWHM
    alpha2 = 1 / (4 * (2 ** (1 / 3.5) - 1))
    moffat = (1 + radius**2 / alpha2) ** -3.5 * 2.5 / (np.pi * alpha2)
    terms = PSF_WEIGHTS / (2 * np.pi * PSF_VARIANCES)
    mixture = (terms * np.exp(-0.5 * radius[:, None] ** 2 / PSF_VARIANCES)).sum(axis=1)
    assert np.abs(mixture - moffat).max() < 2e-3 * moffat[0]


def test_a_disc_has_half_its_light_within_the_half_light_radius() -> None:
    assert (GALAXY_WEIGHTS * np.exp(-0.5 / GALAXY_VARIANCES)).sum() == pytest.approx(0.5, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(flux=st.floats(100, 1e7), x=st.floats(58, 62), y=st.floats(58, 62), fwhm=st.floats(3, 5.5))
def test_a_star_has_the_flux_it_was_given(flux: float, x: float, y: float, fwhm: float) -> None:
    image = _star(flux, x, y, PsfField(fwhm, 0.03, 0.02, ()))
    assert image.sum(dtype=float) == pytest.approx(flux, rel=2e-3)


def test_a_star_is_where_it_was_put() -> None:
    image = _star(1e5).astype(float)
    y, x = np.mgrid[:121, :121]
    assert (image * x).sum() / image.sum() == pytest.approx(60.3, abs=2e-3)
    assert (image * y).sum() / image.sum() == pytest.approx(60.8, abs=2e-3)


def test_a_star_has_the_second_moments_of_the_psf() -> None:
    image = _star(1e7).astype(float)
    xx, yy, xy = (moment[0] for moment in PSF.second_moments(_one(3.0), _one(-4.0)))
    y, x = np.mgrid[:121, :121]
    d_x, d_y = x - 60.3, y - 60.8
    scale = (PSF_WEIGHTS * PSF_VARIANCES).sum()
    found = [(image * d).sum() / image.sum() / scale for d in (d_x**2, d_y**2, d_x * d_y)]
    np.testing.assert_allclose(found, [xx, yy, xy], rtol=0.01, atol=0.02)


def test_stars_over_the_edge_leave_the_light_that_is_inside() -> None:
    whole, part = np.zeros((80, 80), np.float32), np.zeros((60, 50), np.float32)
    moments = PSF.second_moments(_one(0.0), _one(0.0))
    render(whole, _one(21.2), _one(38.9), _one(1e5), moments)
    render(part, _one(1.2), _one(58.9), _one(1e5), moments)
    np.testing.assert_allclose(part[20:, :], whole[:40, 20:70], atol=1e-3)


def test_many_sources_are_the_sum_of_each() -> None:
    rng = np.random.default_rng(1)
    x, y, flux = rng.uniform(-5, 105, 40), rng.uniform(-5, 85, 40), 10 ** rng.uniform(1, 5, 40)
    moments = PSF.second_moments(x / 100, y / 100)
    together = np.zeros((80, 100), np.float32)
    render(together, x, y, flux, moments)
    single = np.zeros((80, 100), np.float32)
    for k in range(40):
        part = (moments[0][k : k + 1], moments[1][k : k + 1], moments[2][k : k + 1])
        render(single, x[k : k + 1], y[k : k + 1], flux[k : k + 1], part)
    np.testing.assert_allclose(together, single, rtol=1e-4, atol=1e-3)


def test_a_galaxy_keeps_its_flux_and_lies_along_its_axis() -> None:
    image = np.zeros((301, 301), np.float32)
    major, minor = _one(64.0), _one(9.0)
    disc = (minor, major, _one(0.0))
    render(image, _one(150.0), _one(150.0), _one(1e6), PSF.second_moments(_one(0.0), _one(0.0)), disc)
    assert image.sum(dtype=float) == pytest.approx(1e6, rel=2e-3)
    assert image.sum(axis=1).std() < image.sum(axis=0).std()


def test_a_psf_that_does_not_vary_is_the_same_everywhere() -> None:
    still = PsfField(4.0, 0.02, -0.01, WAVES, varies=False)
    x = np.array([-20.0, 0.0, 20.0])
    for moment in still.second_moments(x, x[::-1]):
        assert np.ptp(moment) == 0
    assert np.ptp(PSF.fwhm_at(x, x)) > 0.01


def test_the_image_of_the_psf_is_that_of_a_star() -> None:
    star = _star(1e6, x=60, y=60)
    np.testing.assert_allclose(1e6 * PSF.image(3.0, -4.0, radius=12), star[48:73, 48:73], rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    ra=st.floats(0, 360),
    dec=st.floats(-80, 80),
    rotation=st.floats(-180, 180),
    k=st.sampled_from([0.0, 2e-9]),
)
def test_pixels_of_directions_agree_with_astropy(ra: float, dec: float, rotation: float, k: float) -> None:
    pointing = Pointing(ra, dec, rotation, k, 0.2)
    x, y = np.array([0.0, 1023, 511.5, -100]), np.array([0.0, 1023, 20.0, 1100])
    sky = pointing.wcs(DETECTOR).all_pix2world(x, y, 0)
    found = pointing.to_pixel(DETECTOR, *sky)
    np.testing.assert_allclose(found, (x, y), atol=1e-6)


def test_the_inverse_polynomials_of_the_header_are_good_to_a_milliarcsecond_near_the_axis() -> None:
    pointing, inner = Pointing(53.1, -28.1, 30.0, 2e-9, 0.2), cerro_camera().detector(0)
    wcs = pointing.wcs(inner)
    x, y = np.array([0.0, 1023, 511.5]), np.array([0.0, 1023, 20.0])
    ideal = wcs.wcs_world2pix(*wcs.all_pix2world(x, y, 0), 0)
    found = wcs.sip_foc2pix(*(c + 1 - r for c, r in zip(ideal, wcs.wcs.crpix, strict=True)), 1)
    np.testing.assert_allclose(np.array(found) - 1, (x, y), atol=0.005)


def test_the_y_axis_points_along_the_rotation() -> None:
    wcs = Pointing(53.1, 0.0, 30.0, 0.0, 0.2).wcs(cerro_camera(1, 64).detector(0))
    x, y = cerro_camera(1, 64).detector(0).boresight_pixel()
    ra, dec = wcs.all_pix2world([x, x, x + 100], [y, y + 100, y], 0)
    east, north = np.diff(ra[:2])[0], np.diff(dec[:2])[0]
    assert np.degrees(np.arctan2(east, north)) == pytest.approx(30, abs=0.01)
    assert ra[2] < ra[0]
