"""Cameras as plain values: detectors, amplifiers and the sections of a raw image.

A `CameraModel` is what the ``camera`` dataset of a repository holds. It is
made of pydantic models alone, so that it is written as JSON, and it turns
into the `lsst.images.cameras.Detector` that a calibrated exposure carries.

Every array is indexed ``[y, x]``. Pixel (0, 0) is the lower left one and its
centre is at the coordinates (0, 0).
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lenticular.butler.errors import NotFoundError

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from lsst.images.cameras import Amplifier, Detector

__all__ = ["AmplifierModel", "CameraModel", "DetectorModel", "ReadoutCornerName", "Section"]

type ReadoutCornerName = Literal["LL", "LR", "UL", "UR"]
"""Corner of an amplifier that is read first: lower or upper, left or right."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Section(_Value):
    """A rectangle of pixels, half open: ``y0 <= y < y1`` and ``x0 <= x < x1``."""

    y0: int = Field(ge=0, description="First row.")
    y1: int = Field(description="One past the last row.")
    x0: int = Field(ge=0, description="First column.")
    x1: int = Field(description="One past the last column.")

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            msg = f"An empty section: [{self.y0}:{self.y1}, {self.x0}:{self.x1}]"
            raise ValueError(msg)
        return self

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, ready to index an array of the shape (ny, nx)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    def contains(self, other: Section) -> bool:
        """Tell whether ``other`` lies wholly within this section."""
        return self.y0 <= other.y0 and other.y1 <= self.y1 and self.x0 <= other.x0 and other.x1 <= self.x1

    def overlaps(self, other: Section) -> bool:
        """Tell whether the two have a pixel in common."""
        return self.y0 < other.y1 and other.y0 < self.y1 and self.x0 < other.x1 and other.x0 < self.x1

    def __str__(self) -> str:
        return f"[{self.y0}:{self.y1}, {self.x0}:{self.x1}]"


class AmplifierModel(_Value):
    """One output of a detector, with the *nominal* values of its electronics.

    The measured values are calibration datasets (``ptc``, ``linearizer``,
    ``crosstalk``); those here serve until they exist.
    """

    name: str = Field(description="Name, unique within the detector.")
    bbox: Section = Field(description="Its pixels in the assembled, trimmed detector.")
    raw_bbox: Section = Field(description="All its pixels in the raw, overscan included.")
    raw_data_bbox: Section = Field(description="Its pixels in the raw that saw light.")
    raw_serial_overscan_bbox: Section = Field(description="Overscan beside the data, to be used row by row.")
    raw_parallel_overscan_bbox: Section = Field(description="Overscan above or below the data.")
    raw_prescan_bbox: Section = Field(description="Serial prescan beside the data.")
    readout_corner: ReadoutCornerName = Field(
        default="LL", description="The corner that is read first, in the raw and in the detector."
    )
    gain: float = Field(gt=0, description="Nominal gain [electron/adu].")
    read_noise: float = Field(ge=0, description="Nominal read noise [electron].")
    saturation: float = Field(gt=0, description="Nominal full well [electron].")
    linearity: float = Field(
        default=0.0, description="Nominal c of e_true = e + c e^2, e being measured [1/electron]."
    )

    @model_validator(mode="after")
    def _check_sections(self) -> Self:
        if self.bbox.shape != self.raw_data_bbox.shape:
            msg = f"Amplifier {self.name}: {self.bbox} and {self.raw_data_bbox} differ in shape"
            raise ValueError(msg)
        parts = (
            self.raw_data_bbox,
            self.raw_serial_overscan_bbox,
            self.raw_parallel_overscan_bbox,
            self.raw_prescan_bbox,
        )
        for part in parts:
            if not self.raw_bbox.contains(part):
                msg = f"Amplifier {self.name}: {part} is not within {self.raw_bbox}"
                raise ValueError(msg)
        return self

    def to_readout_order[T: np.generic](
        self, pixels: np.ndarray[tuple[Any, ...], np.dtype[T]]
    ) -> np.ndarray[tuple[Any, ...], np.dtype[T]]:
        """Flip an amplifier's pixels so that [0, 0] is the one read first.

        Crosstalk couples the pixels that two amplifiers read at the same
        moment, which are those at equal places *in readout order*. The flip is
        its own inverse: apply it again to come back.

        Parameters
        ----------
        pixels : array of the shape (..., ny, nx)
            Pixels of this amplifier, as they lie in the raw or the detector.

        Returns
        -------
        array of the shape (..., ny, nx)
            A view.
        """
        step_y = -1 if self.readout_corner.startswith("U") else 1
        step_x = -1 if self.readout_corner.endswith("R") else 1
        return pixels[..., ::step_y, ::step_x]

    def to_amplifier(self) -> Amplifier:
        """Return upstream's form of this amplifier, with its raw geometry."""
        from lenticular.pipelines.upstream import make_amplifier

        return make_amplifier(self)


class DetectorModel(_Value):
    """One sensor: its place in the focal plane and its amplifiers."""

    id: int = Field(ge=0, description="Detector ID, as in a data ID.")
    name: str = Field(description="Name, as in a detector record.")
    serial: str = Field(description="Serial number.")
    n_y: int = Field(gt=0, description="Rows of the assembled detector.")
    n_x: int = Field(gt=0, description="Columns of the assembled detector.")
    focal_plane_x_mm: float = Field(description="Centre of the detector in the focal plane [mm].")
    focal_plane_y_mm: float = Field(description="Centre of the detector in the focal plane [mm].")
    pixel_size_mm: float = Field(gt=0, description="Side of a pixel [mm].")
    amplifiers: tuple[AmplifierModel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_tiling(self) -> Self:
        boxes = [amplifier.bbox for amplifier in self.amplifiers]
        whole = Section(y0=0, y1=self.n_y, x0=0, x1=self.n_x)
        complete = sum(math.prod(box.shape) for box in boxes) == math.prod(self.shape)
        apart = not any(one.overlaps(other) for one, other in combinations(boxes, 2))
        if not (complete and apart and all(whole.contains(box) for box in boxes)):
            msg = f"The amplifiers of {self.name} do not tile its {self.n_y} x {self.n_x} pixels"
            raise ValueError(msg)
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the assembled detector."""
        return self.n_y, self.n_x

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Rows and columns of the raw image, prescan and overscan included."""
        return (
            max(amplifier.raw_bbox.y1 for amplifier in self.amplifiers),
            max(amplifier.raw_bbox.x1 for amplifier in self.amplifiers),
        )

    @property
    def centre(self) -> tuple[float, float]:
        """Pixel coordinates (x, y) of the centre of the detector."""
        return (self.n_x - 1) / 2, (self.n_y - 1) / 2

    def boresight_pixel(self) -> tuple[float, float]:
        """Return the pixel coordinates (x, y) of the optical axis, mostly outside the detector."""
        x, y = self.centre
        return x - self.focal_plane_x_mm / self.pixel_size_mm, y - self.focal_plane_y_mm / self.pixel_size_mm

    def to_focal_plane[T](self, x: T, y: T) -> tuple[T, T]:
        """Return the focal plane coordinates of pixel coordinates.

        Parameters
        ----------
        x, y : float or array
            Pixel coordinates.

        Returns
        -------
        x_mm, y_mm : float or array
            Focal plane coordinates [mm].
        """
        x0, y0 = self.boresight_pixel()
        return (x - x0) * self.pixel_size_mm, (y - y0) * self.pixel_size_mm  # type: ignore[operator, return-value]  # any number type


class CameraModel(_Value):
    """A camera: what stays the same from one exposure to the next."""

    name: str = Field(description="Short name of the instrument, as in a data ID.")
    pixel_scale: float = Field(gt=0, description="Scale at the optical axis [arcsec/pixel].")
    detectors: tuple[DetectorModel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_unique(self) -> Self:
        ids = [detector.id for detector in self.detectors]
        if len(set(ids)) != len(ids):
            msg = f"Camera {self.name} has two detectors of the same ID"
            raise ValueError(msg)
        return self

    def detector(self, detector_id: int) -> DetectorModel:
        """Return a detector by its ID.

        Raises
        ------
        NotFoundError
            If the camera has no such detector.
        """
        for detector in self.detectors:
            if detector.id == detector_id:
                return detector
        ids = [detector.id for detector in self.detectors]
        raise NotFoundError(
            f"There is no detector {detector_id}",
            where=self.name,
            hint=f"Its detectors are {min(ids)} to {max(ids)}.",
        )

    def to_detector(self, detector_id: int, visit: int | None = None) -> Detector:
        """Return upstream's form of a detector, as a calibrated exposure carries it.

        Parameters
        ----------
        detector_id
            ID of the detector.
        visit
            Visit that the detector's coordinate frame belongs to, if any.

        Returns
        -------
        lsst.images.cameras.Detector
            With its amplifiers, their raw sections and nominal calibrations,
            and the transforms from pixels to focal plane [mm] and field angle
            [rad]; the latter without distortion.

        Raises
        ------
        NotFoundError
            If the camera has no such detector.
        """
        from lenticular.pipelines.upstream import make_detector

        return make_detector(self, self.detector(detector_id), visit=visit)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{d.id}</td><td>{d.name}</td><td>{d.n_x} × {d.n_y}</td>"
            f"<td>{d.focal_plane_x_mm:+.2f}, {d.focal_plane_y_mm:+.2f}</td><td>{len(d.amplifiers)}</td></tr>"
            for d in self.detectors
        )
        return (
            f"<table><caption>{self.name}, {self.pixel_scale}″ per pixel</caption>"
            "<tr><th>detector</th><th>name</th><th>pixels</th><th>centre [mm]</th><th>amplifiers</th></tr>"
            f"{rows}</table>"
        )
