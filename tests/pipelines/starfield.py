"""A small field of stars after instrument signature removal, made without a survey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.table import Table
from lsst.images import (
    Box,
    DetectorFrame,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    SkyProjection,
    get_legacy_visit_image_mask_planes,
)

from lenticular.pipelines.cerro.camera import cerro_camera
from lenticular.pipelines.cerro.optics import Pointing, PsfField, render
from lenticular.pipelines.tasks.visit_image import VisitFacts

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.camera import CameraModel

__all__ = ["FACTS", "StarField", "make_star_field"]

FACTS = VisitFacts(
    instrument="CerroCam",
    visit=61101001,
    detector=0,
    band="r",
    physical_filter="r_01",
    exposure_time=30.0,
    instrument_class="lenticular.pipelines.cerro.instrument.CerroCam",
)

READ_NOISE = 6.0
NJY_PER_ELECTRON = 1.7
_TRUE = Pointing(150.0, 2.0, 10.0, 3e-9, 0.2)
_NOMINAL = Pointing(150.0 + 2.0 / 3600, 2.0 - 3.0 / 3600, 10.04, 2.7e-9, 0.2)


@dataclass(frozen=True, eq=False)
class StarField:
    """Pixels, and what is in them."""

    image: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    flux: npt.NDArray[np.float64]
    fwhm: float
    sky: float
    ra: npt.NDArray[np.float64]
    dec: npt.NDArray[np.float64]
    camera: CameraModel

    @property
    def noise(self) -> npt.NDArray[np.float32]:
        """Standard deviation of the sky."""
        return np.full(self.image.shape, np.sqrt(self.sky + READ_NOISE**2), dtype=np.float32)

    @property
    def signal(self) -> npt.NDArray[np.float32]:
        """The image without its sky."""
        return (self.image - np.float32(self.sky)).astype(np.float32)

    def references(self, seed: int = 5) -> Table:
        """Return a catalogue of the brighter stars, as good as 1 mas and 5 mmag."""
        rng = np.random.default_rng(seed)
        bright = np.flatnonzero(self.flux > 5e3)
        n = len(bright)
        flux = self.flux[bright] * NJY_PER_ELECTRON * 10 ** (-0.4 * rng.normal(0, 0.005, n))
        return Table(
            {
                "id": bright + 1,
                "ra": (self.ra[bright] + rng.normal(0, 1, n) / 3.6e6) * u.deg,
                "dec": (self.dec[bright] + rng.normal(0, 1, n) / 3.6e6) * u.deg,
                "r_flux": flux * u.nJy,
                "r_fluxErr": 0.005 * flux * u.nJy,
            }
        )

    def exposure(self, **planes: npt.NDArray[np.bool_]) -> MaskedImage:
        """Return it as ``isr`` does, with mask planes set."""
        bbox = Box.from_shape(self.image.shape)
        mask = Mask(0, bbox=bbox, schema=MaskSchema(list(get_legacy_visit_image_mask_planes().values())))
        for plane, pixels in planes.items():
            mask.set(plane, pixels)
        frame = DetectorFrame(instrument="CerroCam", detector=0, visit=FACTS.visit, bbox=bbox)
        header: dict[str, Any] = {"INSTRUME": "CerroCam", "DETNUM": 0, "OBSTYPE": "science"}
        return MaskedImage(
            Image(self.image.copy(), bbox=bbox, unit=u.electron),
            mask=mask,
            variance=Image(self.variance.copy(), bbox=bbox, unit=u.electron**2),
            sky_projection=SkyProjection.from_fits_wcs(
                _NOMINAL.wcs(self.camera.detector(0)), frame, pixel_bounds=bbox
            ),
            metadata=header,
        )


def make_star_field(
    seed: int = 3, *, size: int = 512, n: int = 120, fwhm: float = 4.0, sky: float = 400.0
) -> StarField:
    """Simulate a field of stars of 1.5e3 to 3e5 electrons."""
    rng = np.random.default_rng(seed)
    camera = cerro_camera(1, size)
    x, y = rng.uniform(-5, size + 5, (2, n))
    flux = 10 ** rng.uniform(3.2, 5.5, n)
    psf = PsfField(fwhm=fwhm, e1=0.02, e2=-0.01, waves=(), varies=False)
    zero = np.zeros(n)
    expected = np.full((size, size), sky, dtype=np.float32)
    render(expected, x, y, flux, psf.second_moments(zero, zero))
    pixels = rng.poisson(expected) + rng.normal(0, READ_NOISE, expected.shape)
    ra, dec = _TRUE.wcs(camera.detector(0)).all_pix2world(x, y, 0)
    return StarField(
        image=pixels.astype(np.float32),
        variance=(np.maximum(pixels, 0) + READ_NOISE**2).astype(np.float32),
        x=x,
        y=y,
        flux=flux,
        fwhm=fwhm,
        sky=sky,
        ra=ra,
        dec=dec,
        camera=camera,
    )
