"""What this package needs of upstream that upstream does not document.

`lsst.images` builds its cameras from the afw library, which pip cannot
install. The functions here go by the serialized forms instead. No other
module of this package touches names that upstream keeps to itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from lsst.images import Box
from lsst.images.cameras import (
    Amplifier,
    AmplifierCalibrations,
    AmplifierRawGeometry,
    CameraFrameSetSerializationModel,
    Detector,
    DetectorAttributes,
    DetectorType,
    Orientation,
    ReadoutCorner,
)

if TYPE_CHECKING:
    from lsst.images.cameras import CameraFrameSet
    from lsst.images.serialization import InputArchive

    from lenticular.pipelines.camera import AmplifierModel, CameraModel, DetectorModel, Section

__all__ = ["make_amplifier", "make_detector"]

_SUSPECT_FRACTION = 0.9
"""Part of the full well beyond which a pixel is called suspect."""


def make_amplifier(model: AmplifierModel) -> Amplifier:
    """Return upstream's form of an amplifier.

    Parameters
    ----------
    model
        The amplifier; its raw sections are those of the assembled raw.

    Returns
    -------
    lsst.images.cameras.Amplifier
        With its raw geometry and nominal calibrations.
    """
    corner = ReadoutCorner(model.readout_corner)
    raw = AmplifierRawGeometry(
        bbox=_box(model.raw_bbox),
        data_bbox=_box(model.raw_data_bbox),
        flip_x=False,
        flip_y=False,
        x_offset=model.bbox.x0 - model.raw_data_bbox.x0,
        y_offset=model.bbox.y0 - model.raw_data_bbox.y0,
        serial_overscan_bbox=_box(model.raw_serial_overscan_bbox),
        parallel_overscan_bbox=_box(model.raw_parallel_overscan_bbox),
        prescan_bbox=_box(model.raw_prescan_bbox),
        readout_corner=corner,
    )
    nominal = AmplifierCalibrations(
        gain=model.gain,
        read_noise=model.read_noise,
        saturation=model.saturation,
        suspect_level=_SUSPECT_FRACTION * model.saturation,
        linearity_coefficients=np.array([model.linearity]),
        linearity_type="Squared",
    )
    return Amplifier(
        name=model.name,
        bbox=_box(model.bbox),
        readout_corner=corner,
        assembled_raw_geometry=raw,
        unassembled_raw_geometry=None,
        nominal_calibrations=nominal,
    )


def make_detector(camera: CameraModel, model: DetectorModel, *, visit: int | None = None) -> Detector:
    """Return upstream's form of a detector.

    Parameters
    ----------
    camera
        The camera that the detector belongs to.
    model
        The detector.
    visit
        Visit that the detector's coordinate frame belongs to, if any.

    Returns
    -------
    lsst.images.cameras.Detector
        With its amplifiers and coordinate transforms.
    """
    attributes = DetectorAttributes(
        name=model.name,
        id=model.id,
        type=DetectorType.SCIENCE,
        serial=model.serial,
        bbox=Box.factory[0 : model.n_y, 0 : model.n_x],
        orientation=Orientation(
            focal_plane_x=model.focal_plane_x_mm,
            focal_plane_y=model.focal_plane_y_mm,
            focal_plane_z=0.0,
            pixel_reference_x=model.centre[0],
            pixel_reference_y=model.centre[1],
        ),
        pixel_size=model.pixel_size_mm,
        physical_type="CCD",
    )
    amplifiers = [make_amplifier(amplifier) for amplifier in model.amplifiers]
    return Detector(attributes, amplifiers, _frame_set(camera, model), visit=visit)


def _box(section: Section) -> Box:
    return Box.factory[section.y0 : section.y1, section.x0 : section.x1]


class _Lines:
    """Collects the lines that an AST channel writes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def astsink(self, line: str) -> None:
        """Take one line; the name is the one AST calls."""
        self.lines.append(line)


def _frame_set(camera: CameraModel, model: DetectorModel) -> CameraFrameSet:
    """Return the frames of one detector: pixels, focal plane, field angle.

    The constructor of `CameraFrameSet` is private; its serialized form, the
    text of an AST FrameSet, is not. Only this detector's frame is in it, as in
    the frame sets that upstream itself stores beside an exposure.
    """
    from starlink import Ast

    frames = Ast.FrameSet(Ast.Frame(2, "Ident=FOCAL_PLANE,Unit(1)=mm,Unit(2)=mm"))
    radian_per_mm = math.radians(camera.pixel_scale / 3600) / model.pixel_size_mm
    field_angle = Ast.Frame(2, "Ident=FIELD_ANGLE,Unit(1)=rad,Unit(2)=rad")
    frames.addframe(1, Ast.ZoomMap(2, radian_per_mm), field_angle)
    to_pixel = Ast.ZoomMap(2, 1 / model.pixel_size_mm)
    one_after_the_other = True
    to_pixel = Ast.CmpMap(to_pixel, Ast.ShiftMap(list(model.boresight_pixel())), one_after_the_other)
    # Upstream reads the detector's bounding box from the limits of its frame.
    limits = f"Bottom(1)=0,Top(1)={model.n_x},Bottom(2)=0,Top(2)={model.n_y}"
    pixels = Ast.Frame(2, f"Ident=DETECTOR_{model.id},Unit(1)=pix,Unit(2)=pix,{limits}")
    frames.addframe(1, to_pixel, pixels)
    sink = _Lines()
    Ast.Channel(None, sink).write(frames)
    text = "\n".join(sink.lines) + "\n"
    # The model is complete in itself; there is no archive to read more from.
    no_archive = cast("InputArchive[Any]", None)
    return CameraFrameSetSerializationModel(instrument=camera.name, ast=text).deserialize(no_archive)
