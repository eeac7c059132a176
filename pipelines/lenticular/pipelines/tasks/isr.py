"""The task ``isr``: from a raw image to electrons without the signature of the instrument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import astropy.units as u
import numpy as np
from lsst.images import (
    Box,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    get_legacy_visit_image_mask_planes,
)
from lsst.pipe.base import PipelineTask, Struct, UnprocessableDataError
from lsst.utils.timer import timeMethod

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import require_finite, robust_sigma, smooth_median
from lenticular.pipelines.algorithms.cosmic_rays import find_cosmic_rays, gaussian_psf
from lenticular.pipelines.algorithms.detector_effects import (
    divide_flat,
    linearize,
    subtract_dark,
    to_electrons,
    variance_plane,
)
from lenticular.pipelines.algorithms.interpolation import interpolate
from lenticular.pipelines.algorithms.readout import Readout, dead_amplifiers, read_detector, undo_crosstalk
from lenticular.pipelines.algorithms.saturation import find_saturated, grow
from lenticular.pipelines.tasks.exposure import ExposureFacts, IsrError, nominal_projection, plain_cards
from lenticular.pipelines.tasks.isr_config import IsrConfig, IsrConnections
from lenticular.pipelines.tasks.timing import timed

if TYPE_CHECKING:
    from lsst.pipe.base import InputQuantizedConnection, OutputQuantizedConnection, QuantumContext

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage
    from lenticular.pipelines.calibration import Crosstalk, Linearity, PhotonTransfer
    from lenticular.pipelines.camera import CameraModel, DetectorModel

__all__ = ["ExposureFacts", "IsrConfig", "IsrConnections", "IsrError", "IsrTask"]

MASK_SCHEMA = MaskSchema(list(get_legacy_visit_image_mask_planes().values()))
"""Planes of the mask: those of LSST's visit images."""

_SKY_STRIDE = 3
"""Every so many rows and columns give the level of the sky well enough."""

_NOISE_TOLERANCE = 0.2
"""A read noise that differs by more from the calibration's is worth a warning."""


@dataclass(slots=True)
class _Planes:
    """The planes of one detector while the task works on them."""

    image: FloatImage
    variance: FloatImage
    mask: dict[str, BoolImage]


class IsrTask(PipelineTask):
    """Remove the signature of the instrument from a raw image.

    Overscan, bias, crosstalk, gain, linearity, saturation, variance, dark
    current, flat field, defects, cosmic rays, interpolation; in this order,
    the reverse of the detector's own. All geometry comes from the dataset
    ``camera``, so that the task serves any instrument that has one.
    """

    ConfigClass: ClassVar[type[IsrConfig]] = IsrConfig
    _DefaultName: ClassVar[str] = "isr"
    config: IsrConfig

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read the inputs, run, write the outputs."""
        facts = ExposureFacts.from_data_id(butlerQC.quantum.dataId)  # type: ignore[arg-type]  # always set here
        butlerQC.put(self.run(**butlerQC.get(inputRefs), facts=facts), outputRefs)

    @timeMethod
    def run(
        self,
        *,
        ccdExposure: Image,
        camera: CameraModel,
        bias: Image | None = None,
        crosstalk: Crosstalk | None = None,
        ptc: PhotonTransfer | None = None,
        linearizer: Linearity | None = None,
        dark: Image | None = None,
        flat: Image | None = None,
        defects: Mask | None = None,
        facts: ExposureFacts | None = None,
    ) -> Struct:
        """Remove the signature of the instrument from one raw image.

        Parameters
        ----------
        ccdExposure
            Raw image with overscans, adu, and its header as metadata.
        camera
            Geometry and nominal values.
        bias, crosstalk, ptc, linearizer, dark, flat, defects
            Calibrations; each is needed if its switch is on.
        facts
            What is known about the exposure; from the header by default.

        Returns
        -------
        lsst.pipe.base.Struct
            ``outputExposure``, an `lsst.images.MaskedImage` in electrons, and
            ``outputStatistics``, a dictionary of plain values.

        Raises
        ------
        IsrError
            If the raw or a calibration cannot be used.
        lsst.pipe.base.UnprocessableDataError
            If most of the detector is saturated.
        """
        facts = facts or ExposureFacts.from_header(dict(ccdExposure.metadata))
        calibrations = {
            "doBias": bias,
            "doCrosstalk": crosstalk,
            "doPtc": ptc,
            "doLinearize": linearizer,
            "doDark": dark,
            "doFlat": flat,
            "doDefect": defects,
        }
        used = {switch: value for switch, value in calibrations.items() if getattr(self.config, switch)}
        if missing := [switch for switch, value in used.items() if value is None]:
            raise IsrError(
                f"no calibration for {', '.join(missing)}",
                where=facts,
                hint="Build the calibrations, or switch these corrections off",
            )
        try:
            return self._run(ccdExposure, camera.detector(facts.detector), facts, used)
        except MeasurementError as error:
            if isinstance(error, IsrError):
                raise
            raise IsrError(error.what, where=facts, hint=error.hint) from error

    def _run(
        self, raw: Image, detector: DetectorModel, facts: ExposureFacts, calibrations: dict[str, Any]
    ) -> Struct:
        seconds: dict[str, float] = {}
        with timed(seconds, "overscan"):
            readout = self._read(raw, detector)
        with timed(seconds, "electronics"):
            amplifiers = self._amplifier_values(readout, detector, calibrations)
            planes = self._to_electrons(readout, detector, calibrations, amplifiers)
        self._check_saturation(planes, facts)
        with timed(seconds, "response"):
            self._correct_response(planes, facts, calibrations)
        with timed(seconds, "cosmic_rays"):
            n_cosmic_ray = self._find_cosmic_rays(planes) if self.config.doCosmicRay else 0
        with timed(seconds, "interpolation"):
            self._interpolate(planes)
        counts = {f"n_{plane.lower()}": int(pixels.sum()) for plane, pixels in planes.mask.items()}
        counts["n_cosmic_ray"] = n_cosmic_ray
        some = planes.image[::_SKY_STRIDE, ::_SKY_STRIDE]
        statistics = {
            "instrument": facts.instrument,
            "exposure": facts.exposure,
            "detector": facts.detector,
            "amplifiers": amplifiers,
            "sky_median": float(np.median(some)),
            "sky_sigma": robust_sigma(some),
            **counts,
        }
        self.metadata["seconds"] = seconds
        self.metadata["counts"] = counts
        self.log.info("%s: sky %.1f e, %s", facts, statistics["sky_median"], counts)
        return Struct(outputExposure=_assemble(planes, raw, detector, facts), outputStatistics=statistics)

    def _read(self, raw: Image, detector: DetectorModel) -> Readout:
        """Subtract the overscan and trim."""
        config = self.config
        return read_detector(
            raw.array,
            detector,
            method=config.overscanMethod,  # type: ignore[arg-type]  # the field's choices are these
            skip_columns=config.overscanSkipColumns,
            adu_maximum=config.adcMaximum,
        )

    def _amplifier_values(
        self, readout: Readout, detector: DetectorModel, calibrations: dict[str, Any]
    ) -> dict[str, dict[str, float]]:
        """Return what is used and what was measured for each amplifier, by its name."""
        names = [amplifier.name for amplifier in detector.amplifiers]
        for table in ("doPtc", "doLinearize", "doCrosstalk"):
            if table in calibrations:
                calibrations[table].require_amplifiers(names)
        ptc: PhotonTransfer | None = calibrations.get("doPtc")
        values = {}
        for k, (amplifier, overscan) in enumerate(zip(detector.amplifiers, readout.overscans, strict=True)):
            gain = amplifier.gain if ptc is None else ptc.gain[k]
            measured = overscan.noise * gain
            noise = measured if ptc is None else ptc.read_noise[k]
            if abs(measured - noise) > _NOISE_TOLERANCE * noise:
                self.log.warning("%s: read noise %.2f e, %.2f expected", amplifier.name, measured, noise)
            values[amplifier.name] = {
                "overscan_level": float(np.median(overscan.level)),
                "overscan_noise": overscan.noise,
                "gain": gain,
                "read_noise": noise,
                "measured_read_noise": measured,
                "saturation": amplifier.saturation if ptc is None else ptc.saturation[k],
            }
        return values

    def _to_electrons(
        self,
        readout: Readout,
        detector: DetectorModel,
        calibrations: dict[str, Any],
        amplifiers: dict[str, dict[str, float]],
    ) -> _Planes:
        """Undo what the electronics did, and say how certain each pixel is."""
        image = readout.image
        if (bias := calibrations.get("doBias")) is not None:
            _subtract(image, bias)
        dead = dead_amplifiers(readout, detector)
        require_finite("the bias-subtracted image", image[~dead])
        if (crosstalk := calibrations.get("doCrosstalk")) is not None:
            undo_crosstalk(image, detector, crosstalk.as_array())
        variance = np.empty_like(image)
        saturated, suspect = readout.clipped.copy(), np.zeros_like(readout.clipped)
        linearizer: Linearity | None = calibrations.get("doLinearize")
        for k, amplifier in enumerate(detector.amplifiers):
            part, value = amplifier.bbox.slices, amplifiers[amplifier.name]
            to_electrons(image[part], value["gain"])
            if linearizer is not None:
                linearize(image[part], linearizer.coefficient[k])
            well = value["saturation"]
            saturated[part] |= find_saturated(image[part], well, fraction=self.config.saturationFraction)
            suspect[part] = find_saturated(image[part], well, fraction=self.config.suspectFraction)
            variance[part] = variance_plane(image[part], value["read_noise"])
        saturated = grow(saturated & ~dead, self.config.growSaturation)
        mask = {"SATURATED": saturated, "SUSPECT": suspect & ~saturated, "NO_DATA": dead, "BAD": dead.copy()}
        return _Planes(image, variance, mask)

    def _check_saturation(self, planes: _Planes, facts: ExposureFacts) -> None:
        fraction = float(planes.mask["SATURATED"].mean())
        if fraction > self.config.maxSaturatedFraction:
            self.metadata["saturatedFraction"] = fraction
            message = f"{facts}: {100 * fraction:.0f} % of the detector is saturated"
            raise UnprocessableDataError(message)

    def _correct_response(self, planes: _Planes, facts: ExposureFacts, calibrations: dict[str, Any]) -> None:
        """Subtract the dark current, divide by the flat, mark the defects."""
        bad = planes.mask["BAD"]
        if (dark := calibrations.get("doDark")) is not None:
            subtract_dark(planes.image, dark.array, facts.dark_time)
        if (flat := calibrations.get("doFlat")) is not None:
            bad |= divide_flat(planes.image, planes.variance, flat.array, minimum=self.config.flatMinimum)
        if (defects := calibrations.get("doDefect")) is not None:
            bad |= defects.get("BAD")
        planes.mask["UNMASKED_NAN"] = ~np.isfinite(planes.image) & ~bad

    def _find_cosmic_rays(self, planes: _Planes) -> int:
        config, mask = self.config, planes.mask
        unusable = mask["BAD"] | mask["SATURATED"] | mask["UNMASKED_NAN"]
        sky = smooth_median(planes.image, config.backgroundBlock, stride=2 - config.backgroundBlock % 2)
        found = find_cosmic_rays(
            planes.image - sky,
            planes.variance,
            gaussian_psf(config.cosmicRayFwhm),
            mask=unusable,
            n_sigma=config.cosmicRaySigma,
            minimum=config.cosmicRayMinimum,
        )
        mask["COSMIC_RAY"] = found.mask
        return found.n_pixels

    def _interpolate(self, planes: _Planes) -> None:
        """Replace pixels without a measurement; dead amplifiers stay as they are."""
        planes.mask["INTERPOLATED"] = np.zeros_like(planes.mask["BAD"])
        chosen = [planes.mask[name] for name in self.config.interpolatedPlanes if name in planes.mask]
        if self.config.doInterpolate and chosen:
            bad = np.logical_or.reduce(chosen) & ~planes.mask["NO_DATA"]
            planes.mask["INTERPOLATED"] = interpolate(planes.image, bad).interpolated


def _subtract(image: FloatImage, bias: Image) -> None:
    if bias.array.shape != image.shape:
        raise MeasurementError(
            f"the bias has shape {bias.array.shape}, the detector {image.shape}",
            hint="The calibration belongs to another camera: build it again with build_calibrations",
        )
    image -= bias.array


def _assemble(planes: _Planes, raw: Image, detector: DetectorModel, facts: ExposureFacts) -> MaskedImage:
    """Return the planes as what a butler stores."""
    bbox = Box.from_shape(detector.shape)
    header = dict(raw.metadata)
    mask = Mask(0, bbox=bbox, schema=MASK_SCHEMA)
    # As Mask.set does, but each byte of the mask is written once, as a whole.
    bits = {plane: MASK_SCHEMA.bit(plane) for plane in planes.mask}
    for index in {bit.index for bit in bits.values()}:
        byte = np.zeros(detector.shape, np.uint8)
        for plane, bit in bits.items():
            if bit.index == index:
                byte |= planes.mask[plane].view(np.uint8) * np.uint8(bit.mask)
        mask.array[..., index] = byte
    return MaskedImage(
        Image(planes.image, bbox=bbox, unit=u.electron),
        mask=mask,
        variance=Image(planes.variance, bbox=bbox, unit=u.electron**2),
        sky_projection=nominal_projection(header, bbox, facts),
        metadata=plain_cards(header),
    )
