"""The camera, nominal and true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lenticular.butler.errors import ConfigError, NotFoundError
from lenticular.pipelines.camera import CameraModel, DetectorModel, Section
from lenticular.pipelines.cerro.camera import (
    BANDS,
    DetectorTruth,
    cerro_camera,
    detector_throughput,
)

if TYPE_CHECKING:
    from pathlib import Path

CAMERA = cerro_camera(4, 256)
DETECTOR = CAMERA.detector(2)


def test_more_detectors_leave_the_others_in_place() -> None:
    assert cerro_camera(16).detectors[:3] == cerro_camera(3).detectors


def test_detectors_do_not_overlap() -> None:
    places = {(d.focal_plane_x_mm, d.focal_plane_y_mm) for d in cerro_camera(16).detectors}
    assert len(places) == 16
    assert min(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a in places for b in places if a != b) > 10.24


def test_every_raw_pixel_belongs_to_one_amplifier_and_one_section_at_most() -> None:
    amplifiers = np.zeros(DETECTOR.raw_shape, int)
    sections = np.zeros(DETECTOR.raw_shape, int)
    for amplifier in DETECTOR.amplifiers:
        amplifiers[amplifier.raw_bbox.slices] += 1
        for section in (
            amplifier.raw_data_bbox,
            amplifier.raw_serial_overscan_bbox,
            amplifier.raw_parallel_overscan_bbox,
            amplifier.raw_prescan_bbox,
        ):
            sections[section.slices] += 1
    assert (amplifiers == 1).all()
    assert sections.max() == 1


def test_the_first_pixel_in_readout_order_is_at_the_readout_corner() -> None:
    pixels = np.arange(DETECTOR.n_y * DETECTOR.n_x).reshape(DETECTOR.shape)
    corners = {
        amplifier.readout_corner: int(amplifier.to_readout_order(pixels[amplifier.bbox.slices])[0, 0])
        for amplifier in DETECTOR.amplifiers
    }
    last = DETECTOR.n_x - 1
    bottom = (DETECTOR.n_y - 1) * DETECTOR.n_x
    assert corners == {"LL": 0, "LR": last, "UL": bottom, "UR": bottom + last}


def test_readout_order_is_its_own_inverse() -> None:
    pixels = np.arange(12).reshape(3, 4)
    for amplifier in DETECTOR.amplifiers:
        assert (amplifier.to_readout_order(amplifier.to_readout_order(pixels)) == pixels).all()


def test_the_camera_survives_json() -> None:
    assert CameraModel.model_validate_json(CAMERA.model_dump_json()) == CAMERA


def test_an_unknown_detector_is_a_clear_error() -> None:
    with pytest.raises(NotFoundError, match=r"detector 9 \(CerroCam\).*0 to 3"):
        CAMERA.detector(9)


@pytest.mark.parametrize(("n", "size"), [(0, 1024), (4, 32), (4, 257)])
def test_an_impossible_camera_is_refused(n: int, size: int) -> None:
    with pytest.raises(ConfigError, match="No camera of"):
        cerro_camera(n, size)


@given(st.tuples(*[st.integers(0, 50)] * 4))
def test_a_section_has_pixels_or_is_refused(limits: tuple[int, int, int, int]) -> None:
    y0, y1, x0, x1 = limits
    if y0 < y1 and x0 < x1:
        section = Section(y0=y0, y1=y1, x0=x0, x1=x1)
        assert np.ones((60, 60))[section.slices].shape == section.shape
    else:
        with pytest.raises(ValidationError, match="An empty section"):
            Section(y0=y0, y1=y1, x0=x0, x1=x1)


def test_amplifiers_that_overlap_are_refused() -> None:
    first, *others = DETECTOR.amplifiers
    twice = (first, first.model_copy(update={"name": "again"}), *others[1:])
    with pytest.raises(ValidationError, match="do not tile"):
        DetectorModel(**{**dict(DETECTOR), "amplifiers": twice})


def test_detectors_of_one_id_are_refused() -> None:
    with pytest.raises(ValidationError, match="two detectors of the same ID"):
        CameraModel(name="Twice", pixel_scale=0.2, detectors=(DETECTOR, DETECTOR))


def test_the_camera_shows_its_detectors() -> None:
    assert "<td>S02</td>" in CAMERA._repr_html_()


def test_upstreams_detector_has_our_geometry() -> None:
    detector = CAMERA.to_detector(2, visit=7)
    assert (detector.id, detector.name, detector.visit, detector.instrument) == (2, "S02", 7, "CerroCam")
    assert detector.bbox == detector.frame.bbox
    assert detector.bbox.shape == DETECTOR.shape
    for theirs, ours in zip(detector.amplifiers, DETECTOR.amplifiers, strict=True):
        raw = theirs.assembled_raw_geometry
        assert raw is not None
        assert raw.data_bbox.shape == ours.raw_data_bbox.shape
        assert raw.data_bbox.x.start + raw.x_offset == ours.bbox.x0
        assert raw.data_bbox.y.start + raw.y_offset == ours.bbox.y0
        assert theirs.nominal_calibrations is not None
        assert theirs.nominal_calibrations.gain == ours.gain


def test_upstreams_transforms_agree_with_ours() -> None:
    x, y = np.array([0.0, 100.0]), np.array([5.0, 255.0])
    found = CAMERA.to_detector(2).to_focal_plane.apply_forward(x=x, y=y)
    x_mm, y_mm = DETECTOR.to_focal_plane(x, y)
    np.testing.assert_allclose(found.x, x_mm)
    np.testing.assert_allclose(found.y, y_mm)
    angle = CAMERA.to_detector(2).to_field_angle.apply_forward(x=x, y=y)
    np.testing.assert_allclose(np.degrees(angle.x) * 3600, x_mm / 0.01 * 0.2)


def test_a_detector_survives_in_a_visit_image(tmp_path: Path) -> None:
    from astro_metadata_translator import ObservationInfo
    from astropy import units
    from lsst.images import Image, MaskPlane, MaskSchema, SkyProjection, VisitImage
    from lsst.images.psfs import GaussianPointSpreadFunction

    from lenticular.pipelines.cerro.optics import Pointing

    detector = CAMERA.to_detector(2, visit=7)
    wcs = Pointing(53.1, -28.1, 10.0, 2e-9, 0.2).wcs(DETECTOR)
    image = Image(np.ones(DETECTOR.shape, np.float32), bbox=detector.bbox, unit=units.nJy)
    written = VisitImage(
        image,
        variance=Image(np.ones(DETECTOR.shape, np.float32), bbox=detector.bbox, unit=units.nJy**2),
        mask_schema=MaskSchema([MaskPlane("BAD", "bad pixel")]),
        sky_projection=SkyProjection.from_fits_wcs(wcs, detector.frame, pixel_bounds=detector.bbox),
        obs_info=ObservationInfo.makeObservationInfo(instrument="CerroCam", physical_filter="r_01"),
        psf=GaussianPointSpreadFunction(2.0, bounds=detector.bbox, stamp_size=25),
        detector=detector,
        band="r",
    )
    path = str(tmp_path / "visit.fits")
    written.write(path)
    read = VisitImage.read(path)
    assert read.detector == detector
    assert read.detector.visit == 7


def test_the_truth_is_the_same_each_time() -> None:
    one, two = DetectorTruth.make(DETECTOR, 3), DetectorTruth.make(DETECTOR, 3)
    assert (one.gain == two.gain).all()
    assert (one.response["i"] == two.response["i"]).all()
    assert (one.bias_structure == two.bias_structure).all()
    assert one.throughput == detector_throughput(DETECTOR, 3)


@pytest.mark.parametrize(("detector", "seed"), [(3, 3), (2, 4)])
def test_other_detectors_and_other_seeds_differ(detector: int, seed: int) -> None:
    one, two = DetectorTruth.make(DETECTOR, 3), DetectorTruth.make(CAMERA.detector(detector), seed)
    assert (one.gain != two.gain).all()
    assert (one.dead != two.dead).any()
    assert (one.crosstalk != two.crosstalk).sum() == 12


def test_the_truth_is_near_the_nominal_values_and_flat_fields_are_normalised() -> None:
    truth = DetectorTruth.make(DETECTOR, 3)
    np.testing.assert_allclose(truth.gain, 1.5, rtol=0.11)
    np.testing.assert_allclose(truth.read_noise, 6, rtol=0.13)
    assert (np.diag(truth.crosstalk) == 0).all()
    for band in BANDS:
        assert truth.response[band].mean() == pytest.approx(1, abs=1e-5)
        assert truth.response[band].std() > 0.005
    assert 0 < truth.defects.mean() < 0.01
