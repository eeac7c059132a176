"""The calibrations of one detector, each from its own kind of exposures.

Nothing here knows a butler: exposures come as
`~lenticular.pipelines.calibration_frames.CalibrationFrame`, and
`lenticular.pipelines.calibrations` puts the results into a repository. Each
product uses those before it: bias, crosstalk, photon transfer and linearity,
dark, flats, defects.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.combine import CombinedFrame, combine_frames
from lenticular.pipelines.algorithms.crosstalk import collect_ghosts, fit_crosstalk
from lenticular.pipelines.algorithms.defects import find_dark_defects, find_flat_defects, join_columns
from lenticular.pipelines.algorithms.photon_transfer import fit_linearity, fit_transfer, pair_statistics
from lenticular.pipelines.algorithms.readout import read_detector
from lenticular.pipelines.algorithms.saturation import measure_full_well
from lenticular.pipelines.calibration import MAX_CROSSTALK, Crosstalk, Linearity, PhotonTransfer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage
    from lenticular.pipelines.algorithms.photon_transfer import PairStatistics, TransferFit
    from lenticular.pipelines.calibration_frames import CalibrationFrame, DetectorCalibration
    from lenticular.pipelines.camera import AmplifierModel

__all__ = [
    "flat_pairs",
    "measure_bias",
    "measure_crosstalk",
    "measure_dark",
    "measure_defects",
    "measure_flat",
    "measure_transfer",
]

HOT_CURRENT = 0.5
"""Dark current above the surroundings that makes a pixel hot, electron/s."""

BIAS_OUTLIER = 50.0
"""Deviation from the surroundings that makes a pixel bad in the bias, adu."""

_FLAT_RANGE = (0.2, 0.8)
"""Shares of the full well between which flats are good for flat fields."""

_NEAR_FULL = 0.8
"""Share of the nominal full well above which pixels are kept to measure it."""


def measure_bias(known: DetectorCalibration, frames: Sequence[CalibrationFrame]) -> CombinedFrame:
    """Return the mean of bias exposures, adu; note it and the noise of the overscans.

    Parameters
    ----------
    known
        Is given ``bias`` and ``noise``.
    frames
        Bias exposures.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If there is none, or one cannot be read.
    """
    squares: dict[int, list[float]] = {}

    def images() -> Iterator[FloatImage]:
        for frame in frames:
            readout = read_detector(frame.load(), known.detector)
            squares[frame.exposure] = [overscan.noise**2 for overscan in readout.overscans]
            yield readout.image

    combined = combine_frames(images)
    known.bias = combined.mean
    known.noise = np.sqrt(np.mean(list(squares.values()), axis=0)).tolist()
    return combined


def measure_crosstalk(known: DetectorCalibration, frames: Sequence[CalibrationFrame]) -> Crosstalk:
    """Return the crosstalk, and note it and the full wells, from exposures with bright spots.

    Saturated stars do, and so do hot pixels in long darks, where the victims
    are nearly free of noise. Needs the bias.

    Parameters
    ----------
    known
        Is given ``crosstalk`` and ``full_wells``.
    frames
        Science and dark exposures. With none, or none bright enough, the
        coefficients are zero and their errors `MAX_CROSSTALK`: unknown.
    """
    amplifiers = known.detector.amplifiers
    samples = []
    bright: list[list[npt.NDArray[np.float32]]] = [[] for _ in amplifiers]
    known.crosstalk = None  # what is measured must not be corrected
    for frame in frames:
        image = known.adu(frame)
        views = [a.to_readout_order(image[a.bbox.slices]) for a in amplifiers]
        samples.append(collect_ghosts(views, [~np.isfinite(view) for view in views]))
        for kept, view, amplifier in zip(bright, views, amplifiers, strict=True):
            kept.append(view[view > _NEAR_FULL * amplifier.saturation / amplifier.gain])
    count = len(amplifiers)
    matrix, error = np.zeros((count, count)), np.full((count, count), MAX_CROSSTALK)
    if samples:
        fit = fit_crosstalk(samples)
        matrix, error = fit.matrix, np.minimum(fit.error, MAX_CROSSTALK)
        known.full_wells = [
            measure_full_well(np.concatenate(kept), amplifier.saturation / amplifier.gain)
            for kept, amplifier in zip(bright, amplifiers, strict=True)
        ]
    np.fill_diagonal(error, 0)
    known.crosstalk = Crosstalk(
        instrument=known.instrument,
        detector=known.detector.id,
        amplifiers=known.names,
        matrix=tuple(map(tuple, matrix.tolist())),
        error=tuple(map(tuple, error.tolist())),
        origin="measured" if samples else "nominal",
    )
    return known.crosstalk


def flat_pairs(
    frames: Sequence[CalibrationFrame],
) -> list[tuple[CalibrationFrame, CalibrationFrame]]:
    """Return pairs of equal flats in the filter that has most exposure times.

    Parameters
    ----------
    frames
        Flats of any filter and exposure time.

    Returns
    -------
    list
        Pairs of the same exposure time, in its order; a third equal flat is
        left out, a fourth makes another pair.
    """
    groups: dict[str, dict[float, list[CalibrationFrame]]] = defaultdict(lambda: defaultdict(list))
    for frame in sorted(frames, key=lambda frame: frame.exposure):
        groups[frame.physical_filter][frame.exposure_time].append(frame)
    best: list[tuple[CalibrationFrame, CalibrationFrame]] = []
    for times in groups.values():
        pairs = [
            (pair[0], pair[1])
            for _, equal in sorted(times.items())
            for pair in batched(equal[: len(equal) // 2 * 2], 2)
        ]
        best = max(best, pairs, key=lambda found: len({first.exposure_time for first, _ in found}))
    return best


def measure_transfer(
    known: DetectorCalibration, flats: Sequence[CalibrationFrame]
) -> tuple[PhotonTransfer, Linearity]:
    """Return gain, read noise, full well and linearity, and note them.

    Parameters
    ----------
    known
        Must hold ``bias`` and ``noise``; is given ``transfer`` and ``linearity``.
    flats
        Flats of several exposure times under one lamp, at least two of each.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If there are too few levels, or the curve makes no sense.
    """
    pairs = flat_pairs(flats)
    if not pairs or not known.noise:
        raise MeasurementError(
            "there are no pairs of equal flats" if known.noise else "the bias has not been measured yet",
            where=f"{known.instrument} detector {known.detector.id}",
            hint="Take two flats at each of several exposure times, and biases",
        )
    statistics: list[list[PairStatistics]] = [[] for _ in known.detector.amplifiers]
    for first, second in pairs:
        images = known.adu(first), known.adu(second)
        for found, amplifier in zip(statistics, known.detector.amplifiers, strict=True):
            part = amplifier.bbox.slices
            found.append(pair_statistics(images[0][part], images[1][part]))
    seconds = np.array([first.exposure_time for first, _ in pairs])
    rows = [
        _transfer_row(known, k, amplifier, statistics[k], seconds)
        for k, amplifier in enumerate(known.detector.amplifiers)
    ]
    known.transfer = _table(PhotonTransfer, known, rows)
    known.linearity = _table(Linearity, known, rows)
    return known.transfer, known.linearity


def _table[T: (PhotonTransfer, Linearity)](
    kind: type[T], known: DetectorCalibration, rows: Sequence[dict[str, float]]
) -> T:
    """Return a table of the columns that it has, from rows that have more."""
    common = {"instrument": known.instrument, "detector": known.detector.id, "amplifiers": known.names}
    columns = {name: tuple(row[name] for row in rows) for name in rows[0] if name in kind.model_fields}
    return kind.model_validate(common | columns)


def _transfer_row(
    known: DetectorCalibration,
    k: int,
    amplifier: AmplifierModel,
    statistics: Sequence[PairStatistics],
    seconds: npt.NDArray[np.float64],
) -> dict[str, float]:
    """Return the fields of both tables for one amplifier."""
    columns = amplifier.raw_serial_overscan_bbox.shape[1]
    # Each row of the image carries the noise of the mean of its overscan.
    fit = fit_transfer(statistics, known.noise[k] * np.sqrt(1 + 1 / columns))
    electrons = fit.gain * np.array([found.mean for found in statistics])
    limit = None if fit.full_well is None else 0.95 * fit.gain * fit.full_well
    line = fit_linearity(seconds, electrons, maximum=limit)
    return {
        "gain": fit.gain,
        "gain_error": fit.gain_error,
        "read_noise": known.noise[k] * fit.gain,
        "saturation": _full_well(known, k, amplifier, fit, line.coefficient),
        "n_pairs": fit.n_pairs,
        "coefficient": line.coefficient,
        "coefficient_error": line.coefficient_error,
        "maximum": line.maximum,
        "residual": line.residual,
    }


def _full_well(
    known: DetectorCalibration, k: int, amplifier: AmplifierModel, fit: TransferFit, coefficient: float
) -> float:
    """Return the full well in linear electrons: from the ramp, from stars, or the nominal one."""
    adu = fit.full_well
    if adu is None and known.full_wells:
        adu = known.full_wells[k]
    if adu is None:
        return amplifier.saturation
    measured = fit.gain * adu
    return measured * (1 + coefficient * measured)


def measure_dark(known: DetectorCalibration, frames: Sequence[CalibrationFrame]) -> CombinedFrame:
    """Return the dark current, electron/s, and note it.

    Parameters
    ----------
    known
        Must hold everything up to the photon transfer curve; is given ``dark``.
    frames
        Dark exposures.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If there is none, or one took no time.
    """
    if any(frame.dark_time <= 0 for frame in frames):
        raise MeasurementError(
            "a dark exposure took no time", hint="Mend the dark time of its exposure record"
        )
    known.dark = None
    combined = combine_frames(
        lambda: (known.electrons(frame) / np.float32(frame.dark_time) for frame in frames)
    )
    known.dark = combined.mean
    return combined


def measure_flat(known: DetectorCalibration, frames: Sequence[CalibrationFrame]) -> CombinedFrame:
    """Return the flat field of one filter, with mean 1 over the good pixels.

    Parameters
    ----------
    known
        Must hold everything up to the dark.
    frames
        Flats of one filter; those that are too faint or too bright are left out.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If none is left.
    """
    well = min(known.transfer.saturation) if known.transfer else 0.0
    low, high = (share * well for share in _FLAT_RANGE)

    unusable: set[int] = set()  # need not be read a second time

    def images() -> Iterator[FloatImage]:
        for frame in frames:
            if frame.exposure in unusable:
                continue
            image = known.electrons(frame)
            level = np.median(image)
            if low <= level <= high:
                yield image / level
            else:
                unusable.add(frame.exposure)

    combined = combine_frames(images)
    good = ~find_flat_defects(combined.mean)
    scale = float(combined.mean[good].mean(dtype=np.float64))
    return replace(combined, mean=combined.mean / np.float32(scale), noise=combined.noise / scale)


def measure_defects(known: DetectorCalibration, flats: Sequence[FloatImage]) -> BoolImage:
    """Return the pixels that do not measure light.

    Parameters
    ----------
    known
        Whose ``bias`` and ``dark`` are looked at, if it has them.
    flats
        Flat fields, of any filter.

    Returns
    -------
    BoolImage
        Shape of the detector: dead in any flat, hot in the dark, or outliers in the bias.
    """
    defects = np.zeros(known.detector.shape, bool)
    for flat in flats:
        defects |= find_flat_defects(flat)
    if known.dark is not None:
        defects |= find_dark_defects(known.dark, threshold=HOT_CURRENT)
    if known.bias is not None:
        defects |= find_dark_defects(known.bias, threshold=BIAS_OUTLIER)
    return join_columns(defects)
