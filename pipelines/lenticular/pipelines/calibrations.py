"""The calibrations of a repository, built from the bias, dark and flat exposures that it holds.

::

    build_calibrations(
        butler,
        CerroCam(),
        collections="CerroCam/raw/all",
        output_run_prefix="CerroCam/calib",
        calibration_collection="CerroCam/calib",
    )

Detectors are done one after the other and their exposures are read one by
one, so that the memory does not grow with either.
"""

from __future__ import annotations

import html
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import astropy.units as u
from lsst.daf.butler import CollectionType, DatasetType, Timespan
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.images import Image, Mask, MaskPlane, MaskSchema

from lenticular.butler.errors import DataError, MeasurementError, NotFoundError
from lenticular.pipelines.calibration_frames import CalibrationFrame, DetectorCalibration
from lenticular.pipelines.calibration_products import (
    measure_bias,
    measure_crosstalk,
    measure_dark,
    measure_defects,
    measure_flat,
    measure_transfer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import numpy.typing as npt
    from lsst.daf.butler import Butler, DatasetRef
    from lsst.pipe.base import Instrument

    from lenticular.pipelines.camera import CameraModel
    from lenticular.pipelines.ingest.reports import Progress

__all__ = ["CALIBRATIONS", "CalibrationReport", "build_calibrations", "calibration_dataset_types"]

CALIBRATIONS = {
    "bias": "ImageV2",
    "crosstalk": "Crosstalk",
    "ptc": "PhotonTransfer",
    "linearizer": "Linearity",
    "dark": "ImageV2",
    "flat": "ImageV2",
    "defects": "MaskV2",
}
"""Storage class of each calibration, in the order in which they are measured."""

DEFECT_SCHEMA = MaskSchema([MaskPlane("BAD", "Pixel that does not measure light.")])

MAX_CROSSTALK_EXPOSURES = 12
"""Science exposures in the measurement of the crosstalk, besides all darks."""

_KINDS = ("bias", "dark", "flat", "science")


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What `build_calibrations` did."""

    collection: str
    """The CALIBRATION collection."""

    built: tuple[DatasetRef, ...]
    """Datasets that are new."""

    n_kept: int
    """Number of datasets that were certified before."""

    def __str__(self) -> str:
        return f"{self.collection}: {len(self.built)} calibrations built, {self.n_kept} kept"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(ref.datasetType.name)}</td><td>{html.escape(str(ref.dataId))}</td>"
            f"<td>{html.escape(str(ref.run))}</td></tr>"
            for ref in self.built
        )
        return f"<table><caption>{html.escape(str(self))}</caption><tbody>{rows}</tbody></table>"


def calibration_dataset_types(butler: Butler) -> dict[str, DatasetType]:
    """Return the dataset types of all calibrations, by name; not yet registered.

    Parameters
    ----------
    butler
        The repository, for its dimensions.
    """
    return {
        name: DatasetType(
            name,
            ("instrument", "detector", "physical_filter") if name == "flat" else ("instrument", "detector"),
            storage_class,
            universe=butler.dimensions,
            isCalibration=True,
        )
        for name, storage_class in CALIBRATIONS.items()
    }


def build_calibrations(
    butler: Butler,
    instrument: Instrument | str,
    *,
    collections: str | Sequence[str],
    output_run_prefix: str,
    calibration_collection: str,
    validity: Timespan | None = None,
    progress: Progress | None = None,
) -> CalibrationReport:
    """Build, store and certify all calibrations that are not there yet.

    Bias, crosstalk, photon transfer curve, linearity, dark, flat of each
    filter, and defects, for each detector that has raws. A second call does
    nothing; after an interruption it completes what is missing.

    Parameters
    ----------
    butler
        The repository, open for writing.
    instrument
        The instrument, or its name.
    collections
        Where the raws are.
    output_run_prefix
        Each calibration goes into the RUN of this name, "/" and the name of
        its dataset type.
    calibration_collection
        CALIBRATION collection to certify into; it must hold ``camera``, or
        ``collections`` must.
    validity
        When the calibrations are valid; by default from the first raw on.
    progress
        Called with what is done, how much is done, and how much there is.

    Returns
    -------
    CalibrationReport

    Raises
    ------
    lenticular.butler.errors.NotFoundError
        If there are no raws, or no camera.
    lenticular.butler.errors.MeasurementError
        If the exposures do not allow the measurement; ``where`` says of which detector.
    lenticular.butler.errors.DataError
        If other calibrations are valid for part of the same time.
    """
    name = instrument if isinstance(instrument, str) else instrument.getName()
    where = [collections] if isinstance(collections, str) else list(collections)
    raws, first = _raws(butler, name, where)
    valid = Timespan(first, None) if validity is None else validity
    shelf = _Shelf(butler, output_run_prefix, calibration_collection, valid)
    camera = _camera(butler, name, [calibration_collection, *where], valid)
    built: list[DatasetRef] = []
    n_kept = 0
    for done, (detector, frames) in enumerate(sorted(raws.items())):
        if progress is not None:
            progress("build calibrations", done, len(raws))
        known = DetectorCalibration(name, camera.detector(detector))
        missing, kept = shelf.missing(name, detector, {f.physical_filter for f in frames["flat"]})
        n_kept += kept
        if missing:
            built += shelf.add(_measured(known, frames), missing)
    if progress is not None:
        progress("build calibrations", len(raws), len(raws))
    return CalibrationReport(calibration_collection, tuple(built), n_kept)


type _Frames = dict[str, list[CalibrationFrame]]
type _Key = tuple[str, str]  # calibration and physical filter; the latter empty but for flats


def _raws(butler: Butler, instrument: str, collections: list[str]) -> tuple[dict[int, _Frames], Any]:
    """Return the frames of each detector by kind, and when the first of them began."""
    refs = butler.query_datasets(
        "raw",
        collections=collections,
        instrument=instrument,
        with_dimension_records=True,
        explain=False,
        limit=None,
    )
    raws: dict[int, _Frames] = defaultdict(lambda: {kind: [] for kind in _KINDS})
    begins = []
    for ref in sorted(refs, key=lambda ref: int(ref.dataId["exposure"])):
        record = ref.dataId.records["exposure"]
        if record is None or record.observation_type not in _KINDS:
            continue
        exposure_time = float(record.exposure_time or 0.0)
        frame = CalibrationFrame(
            exposure=int(record.id),
            kind=record.observation_type,
            physical_filter=str(ref.dataId["physical_filter"]),
            exposure_time=exposure_time,
            dark_time=exposure_time if record.dark_time is None else float(record.dark_time),
            load=partial(_pixels, butler, ref),
        )
        raws[int(ref.dataId["detector"])][record.observation_type].append(frame)
        begins.append(record.timespan.begin)
    if not raws:
        raise NotFoundError(
            f"there are no raws of {instrument}",
            where=", ".join(collections),
            hint="Ingest the raw files first",
        )
    return raws, min(begins)


def _pixels(butler: Butler, ref: DatasetRef) -> npt.NDArray[Any]:
    pixels: npt.NDArray[Any] = butler.get(ref).array
    return pixels


def _camera(butler: Butler, instrument: str, collections: list[str], validity: Timespan) -> CameraModel:
    ref = butler.find_dataset("camera", instrument=instrument, collections=collections, timespan=validity)
    if ref is None:
        raise NotFoundError(
            f"there is no camera of {instrument}",
            where=", ".join(collections),
            hint="Put its CameraModel as dataset 'camera' and certify it",
        )
    camera: CameraModel = butler.get(ref)
    return camera


def _measured(known: DetectorCalibration, frames: _Frames) -> Iterator[tuple[_Key, object]]:
    """Measure everything about a detector, one after the other."""
    try:
        yield ("bias", ""), Image(measure_bias(known, frames["bias"]).mean, unit=u.adu)
        spots = frames["dark"] + frames["science"][:MAX_CROSSTALK_EXPOSURES]
        yield ("crosstalk", ""), measure_crosstalk(known, spots)
        transfer, linearity = measure_transfer(known, frames["flat"])
        yield ("ptc", ""), transfer
        yield ("linearizer", ""), linearity
        dark = measure_dark(known, frames["dark"])
        yield ("dark", ""), Image(dark.mean, unit=u.electron / u.s)
        flats = []
        for name in sorted({frame.physical_filter for frame in frames["flat"]}):
            flat = measure_flat(known, [f for f in frames["flat"] if f.physical_filter == name])
            flats.append(flat.mean)
            yield ("flat", name), Image(flat.mean, unit=u.dimensionless_unscaled)
        defects = measure_defects(known, flats)
        mask = Mask(0, shape=known.detector.shape, schema=DEFECT_SCHEMA)
        mask.set("BAD", defects)
        yield ("defects", ""), mask
    except MeasurementError as error:
        if error.where is not None:
            raise
        where = f"{known.instrument} detector {known.detector.id}"
        raise MeasurementError(error.what, where=where, hint=error.hint) from error


class _Shelf:
    """Where calibrations are looked for, put and certified."""

    def __init__(self, butler: Butler, prefix: str, collection: str, validity: Timespan) -> None:
        self._butler = butler
        self._prefix = prefix
        self._collection = collection
        self._validity = validity
        self._types = calibration_dataset_types(butler)
        butler.collections.register(collection, CollectionType.CALIBRATION)
        for name, dataset_type in self._types.items():
            butler.registry.registerDatasetType(dataset_type)
            butler.collections.register(self._run(name))

    def _run(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def missing(
        self, instrument: str, detector: int, filters: set[str]
    ) -> tuple[dict[_Key, dict[str, Any]], int]:
        """Return the data IDs of what is to be built, and the number of what is certified.

        What an interrupted call stored but did not certify is certified here.
        """
        missing: dict[_Key, dict[str, Any]] = {}
        n_kept = 0
        for name, dataset_type in self._types.items():
            certified = self._certified(dataset_type)
            for physical_filter in sorted(filters) if name == "flat" else [""]:
                data_id: dict[str, Any] = {"instrument": instrument, "detector": detector}
                if physical_filter:
                    data_id["physical_filter"] = physical_filter
                if tuple(data_id.values()) in certified:
                    n_kept += 1
                elif (ref := self._stored(dataset_type, data_id)) is not None:
                    self._certify([ref])
                    n_kept += 1
                else:
                    missing[name, physical_filter] = data_id
        return missing, n_kept

    def add(
        self, measured: Iterator[tuple[_Key, object]], missing: dict[_Key, dict[str, Any]]
    ) -> list[DatasetRef]:
        """Put and certify those of the measured calibrations that are missing."""
        refs = []
        for (name, physical_filter), value in measured:
            if (data_id := missing.get((name, physical_filter))) is not None:
                refs.append(self._butler.put(value, self._types[name], data_id, run=self._run(name)))
        self._certify(refs)
        return refs

    def _certified(self, dataset_type: DatasetType) -> set[tuple[Any, ...]]:
        """Return the data IDs for which a dataset is valid at some of the time wanted."""
        found = self._butler.registry.queryDatasetAssociations(
            dataset_type, collections=[self._collection], collectionTypes={CollectionType.CALIBRATION}
        )
        keys = ("instrument", "detector", "physical_filter")
        return {
            tuple(association.ref.dataId[key] for key in keys if key in dataset_type.dimensions)
            for association in found
            if association.timespan is not None and association.timespan.overlaps(self._validity)
        }

    def _stored(self, dataset_type: DatasetType, data_id: dict[str, Any]) -> DatasetRef | None:
        return self._butler.find_dataset(dataset_type, data_id, collections=self._run(dataset_type.name))

    def _certify(self, refs: list[DatasetRef]) -> None:
        try:
            self._butler.registry.certify(self._collection, refs, self._validity)
        except ConflictingDefinitionError as error:
            raise DataError(
                f"other calibrations are valid for part of {self._validity}",
                where=self._collection,
                hint="Decertify them for this time, or give another validity",
            ) from error
