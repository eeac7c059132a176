"""The calibrated image, put together from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from lsst.images import BackgroundMap, DetectorFrame, Image, SkyProjection, VisitImage
from lsst.images.fields import ChebyshevField, SplineField
from lsst.images.psfs import PiffWrapper

if TYPE_CHECKING:
    from astro_metadata_translator import ObservationInfo
    from lsst.daf.butler import DataCoordinate
    from lsst.images import Mask, MaskedImage, ObservationSummaryStats

    from lenticular.pipelines.camera import CameraModel
    from lenticular.pipelines.tasks.calibrate_image_data import Calibration, Detected, Planes, PsfResult

__all__ = ["VisitFacts", "assemble_visit_image", "calibrated_mask", "observation_info"]

PSF_FLUX = "base_PsfFlux"
"""Name, in Rubin's aperture-correction maps, of the flux that is corrected."""


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """What is known about a detector of a visit besides its pixels."""

    instrument: str
    """Short name of the instrument."""

    visit: int
    """Visit ID."""

    detector: int
    """Detector ID."""

    band: str
    """Short name of the filter."""

    physical_filter: str
    """Full name of the filter."""

    exposure_time: float
    """Exposure time, seconds."""

    instrument_class: str | None = None
    """Full name of the instrument's class, whose import registers its translator."""

    @classmethod
    def from_data_id(cls, data_id: DataCoordinate) -> VisitFacts:
        """Read them from a data ID with dimension records, for any instrument."""
        visit, instrument = data_id.records["visit"], data_id.records["instrument"]
        return cls(
            instrument=str(data_id["instrument"]),
            visit=int(data_id["visit"]),
            detector=int(data_id["detector"]),
            band=str(data_id["band"]),
            physical_filter=str(data_id["physical_filter"]),
            exposure_time=float(getattr(visit, "exposure_time", None) or np.nan),
            instrument_class=getattr(instrument, "class_name", None),
        )

    def __str__(self) -> str:
        return f"{self.instrument} visit {self.visit} detector {self.detector}"


def observation_info(header: dict[str, Any], facts: VisitFacts) -> ObservationInfo:
    """Translate the header of an exposure.

    Parameters
    ----------
    header
        Cards of the raw.
    facts
        What is known besides. It alone is used where no translator knows the
        header.

    Returns
    -------
    astro_metadata_translator.ObservationInfo
        With the physical filter set.
    """
    from astro_metadata_translator import ObservationInfo, makeObservationInfo
    from lsst.utils import doImportType

    if facts.instrument_class is not None:
        doImportType(facts.instrument_class)
    try:
        info = ObservationInfo(header, pedantic=False, quiet=True)
        if info.physical_filter is not None:
            return info
    except ValueError:
        # No translator claims this header.
        pass
    return makeObservationInfo(
        instrument=facts.instrument,
        visit_id=facts.visit,
        detector_num=facts.detector,
        physical_filter=facts.physical_filter,
        exposure_time=facts.exposure_time * u.s,
    )


def calibrated_mask(mask: Mask, planes: Planes, detected: Detected) -> Mask:
    """Add to the mask what the calibration found.

    Parameters
    ----------
    mask
        Mask of the exposure; it is not changed.
    planes
        The pixels, with the cosmic rays found here.
    detected
        The sources.

    Returns
    -------
    lsst.images.Mask
        With the planes COSMIC_RAY, INTERPOLATED and DETECTED set.
    """
    result = mask.copy()
    wanted = {
        "COSMIC_RAY": (planes.cosmic_rays, "A cosmic ray hit this pixel."),
        "INTERPOLATED": (planes.cosmic_rays, "The value is interpolated from neighbours."),
        "DETECTED": (detected.footprint, "Part of a source."),
    }
    for plane, (pixels, description) in wanted.items():
        if plane not in result.schema.names:
            result = result.add_plane(plane, description)
        result.set(plane, pixels)
    return result


def assemble_visit_image(
    exposure: MaskedImage,
    mask: Mask,
    planes: Planes,
    detected: Detected,
    psf: PsfResult,
    calibration: Calibration,
    summary: ObservationSummaryStats,
    *,
    camera: CameraModel,
    facts: VisitFacts,
) -> VisitImage:
    """Put the calibrated image together.

    Parameters
    ----------
    exposure
        The image before, for its header.
    mask
        Mask of the calibrated image.
    planes
        The pixels.
    detected
        Background-subtracted pixels and their background.
    psf
        The point-spread function.
    calibration
        What ties the pixels to sky and flux.
    summary
        Summary statistics.
    camera
        Geometry of the detectors.
    facts
        What is known about the visit.

    Returns
    -------
    lsst.images.VisitImage
        In nJy per pixel, background subtracted. Pixels that were not finite
        are so again.
    """
    bbox, scale = exposure.bbox, calibration.zero_point.scale
    finite = np.isfinite(exposure.image.array) & np.isfinite(exposure.variance.array)
    pixels = np.where(finite, detected.image * np.float32(scale), np.float32(np.nan))
    variance = np.where(finite, planes.variance * np.float32(scale**2), np.float32(np.nan))
    frame = DetectorFrame(instrument=facts.instrument, visit=facts.visit, detector=facts.detector, bbox=bbox)
    y, x, level = detected.background.nodes()
    backgrounds = BackgroundMap()
    backgrounds.add(
        "initial",
        SplineField(bbox, level * scale, y=y + bbox.y.start, x=x + bbox.x.start, unit=u.nJy),
        "Mesh of clipped modes, sources masked.",
        is_subtracted=True,
    )
    header: dict[str, Any] = dict(exposure.metadata)
    return VisitImage(
        Image(pixels, bbox=bbox, unit=u.nJy),
        mask=mask,
        variance=Image(variance, bbox=bbox, unit=u.nJy**2),
        sky_projection=SkyProjection.from_fits_wcs(calibration.wcs_fit.wcs, frame, pixel_bounds=bbox),
        obs_info=observation_info(header, facts),
        summary_stats=summary,
        photometric_scaling=ChebyshevField(bbox, np.array([[scale]]), unit=u.nJy / u.electron),
        psf=PiffWrapper(psf.fit.psf, bbox, psf.sampled.size),
        detector=camera.to_detector(facts.detector, visit=facts.visit),
        aperture_corrections={PSF_FLUX: calibration.correction_field},
        backgrounds=backgrounds,
        band=facts.band,
        metadata=header,
    )
