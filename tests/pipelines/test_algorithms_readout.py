"""Reading the amplifiers of a raw image."""

from __future__ import annotations

import numpy as np
import pytest

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.readout import dead_amplifiers, read_detector, undo_crosstalk
from lenticular.pipelines.camera import DetectorModel
from lenticular.pipelines.cerro.camera import cerro_camera

DETECTOR = cerro_camera(1, 64).detector(0)


def _raw(image: np.ndarray, *, noise: float = 2.0, trail: float = 0.0) -> np.ndarray:
    """Return a raw with offsets 1000, 1100, ... whose first overscan column trails."""
    raw = np.zeros(DETECTOR.raw_shape)
    for k, amplifier in enumerate(DETECTOR.amplifiers):
        raw[amplifier.raw_bbox.slices] = 1000 + 100 * k
        raw[amplifier.raw_data_bbox.slices] += image[amplifier.bbox.slices]
        first = amplifier.to_readout_order(raw[amplifier.raw_serial_overscan_bbox.slices])
        first[:, 0] += trail
    rows = np.random.default_rng(1).normal(0, 5, (raw.shape[0], 1))
    raw += rows + np.random.default_rng(2).normal(0, noise, raw.shape)
    return np.clip(np.rint(raw), 0, 65535).astype(np.uint16)


def test_every_amplifier_comes_to_its_place_without_its_offset() -> None:
    y, x = np.mgrid[:64, :64]
    image = 50.0 * x + 7.0 * y
    readout = read_detector(_raw(image), DETECTOR)
    assert readout.image.dtype == np.float32
    assert (readout.image - image).std() == pytest.approx(2.05, rel=0.05)
    assert abs((readout.image - image).mean()) < 0.2
    assert not readout.clipped.any()


def test_columns_read_first_can_be_skipped_on_either_side() -> None:
    raw = _raw(np.zeros((64, 64)), trail=300)
    assert min(o.noise for o in read_detector(raw, DETECTOR, n_sigma=1e9).overscans) > 20
    assert max(o.noise for o in read_detector(raw, DETECTOR, n_sigma=1e9, skip_columns=1).overscans) < 3


def test_the_end_of_the_converter_is_marked() -> None:
    image = np.zeros((64, 64))
    image[10, 50] = 1e6
    clipped = read_detector(_raw(image), DETECTOR).clipped
    assert clipped[10, 50]
    assert clipped.sum() == 1


def test_a_raw_of_another_shape_is_refused() -> None:
    with pytest.raises(MeasurementError, match="the raw image has shape"):
        read_detector(_raw(np.zeros((64, 64)))[:-1], DETECTOR)


def test_an_amplifier_without_noise_is_dead() -> None:
    raw = _raw(np.zeros((64, 64)))
    raw[DETECTOR.amplifiers[2].raw_bbox.slices] = 0
    dead = dead_amplifiers(read_detector(raw, DETECTOR), DETECTOR)
    assert dead[DETECTOR.amplifiers[2].bbox.slices].all()
    assert dead.sum() == 32 * 32


def test_crosstalk_couples_pixels_read_at_the_same_time() -> None:
    image, matrix = np.zeros((64, 64), np.float32), np.zeros((4, 4))
    matrix[3, 0] = 1e-2  # of lower left into upper right, which is read from its own corner
    image[5, 7] = 10_000
    image[63 - 5, 63 - 7] = 100
    undo_crosstalk(image, DETECTOR, matrix)
    assert image[5, 7] == pytest.approx(10_000)
    assert abs(image[63 - 5, 63 - 7]) < 1e-2


def test_amplifiers_of_different_sizes_have_no_crosstalk_to_correct() -> None:
    lower, upper = DETECTOR.amplifiers[0], DETECTOR.amplifiers[2]
    wide = [
        a.model_copy(update={"bbox": a.bbox.model_copy(update={"x1": x1})})
        for a, x1 in ((lower, 64), (upper, 32))
    ]
    detector = DetectorModel.model_construct(n_y=64, n_x=64, amplifiers=tuple(wide))
    with pytest.raises(MeasurementError, match=r"doCrosstalk"):
        undo_crosstalk(np.zeros((64, 64), np.float32), detector, np.full((2, 2), 1e-3))
