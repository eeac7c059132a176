"""Small repositories and raw files for the tests of ingest."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from lsst.daf.butler import Butler, Config

from lenticular.pipelines.cerro.camera import cerro_camera
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.cerro.optics import Pointing
from lenticular.pipelines.cerro.survey import SurveyPlan, SurveySize
from lenticular.pipelines.ingest import DECam, HyperSuprimeCam, ingest_raws
from lenticular.pipelines.storage import repository_config

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "DECAM",
    "HSC",
    "RUN",
    "ingest_in_process",
    "make_template",
    "open_copy",
    "small_plan",
    "write_fits",
    "write_raw",
]

RUN = "CerroCam/raw/all"

# Cards of a public exposure of the Dark Energy Survey, number 229388, as the
# archive at NOIRLab has them.
DECAM: dict[str, Any] = {
    "TELESCOP": "CTIO 4.0-m telescope",
    "OBSERVAT": "CTIO",
    "OBS-LONG": 70.81489,
    "OBS-LAT": -30.16606,
    "OBS-ELEV": 2215.0,
    "INSTRUME": "DECam",
    "EXPREQ": 200.0,
    "EXPTIME": 200.0,
    "DARKTIME": 201.15662,
    "OBSID": "ct4m20130901t060255",
    "DATE-OBS": "2013-09-01T06:02:55.753848",
    "TIMESYS": "UTC",
    "EXPNUM": 229388,
    "OBJECT": "DES supernova hex SN-S1 tiling 22",
    "OBSTYPE": "object",
    "PROPID": "2012B-0001",
    "FILTER": "z DECam SDSS c0004 9260.0 1520.0",
    "TELRA": "02:51:16.790",
    "TELDEC": "-00:00:05.699",
    "ZD": 50.46,
    "AZ": 61.24,
    "HUMIDITY": 23.0,
    "PRESSURE": 779.0,
    "OUTTEMP": 11.9,
    "AIRMASS": 1.57,
    "DTUTC": "2013-09-01T06:07:56",
    "RADESYS": "FK5",
    "EQUINOX": 2000.0,
    "DETECTOR": "S3-111_107419-8-3",
    "CCDNUM": 25,
    "DETPOS": "S1",
    "CTYPE1": "RA---TPV",
    "CTYPE2": "DEC--TPV",
    "CUNIT1": "deg",
    "CUNIT2": "deg",
    "CRVAL1": 42.819958,
    "CRVAL2": -0.001583,
    "CRPIX1": 2151.2,
    "CRPIX2": 14826.0,
    "CD1_1": -1.8249413473e-07,
    "CD1_2": 7.28535892432e-05,
    "CD2_1": -7.2849900453899e-05,
    "CD2_2": -1.82181666096e-07,
    "PV1_0": 0.0107262491558,
    "PV1_1": 1.03899426784,
    "PV1_2": -0.00253295758814,
    "PV1_4": 0.0440579429998,
    "PV2_0": -0.000677378816994,
    "PV2_1": 1.01170064187,
    "PV2_2": -0.00154844123095,
    "PV2_4": -0.000974573910792,
}

# Cards of exposure 904024 of Hyper Suprime-Cam, as the archive SMOKA has them.
HSC: dict[str, Any] = {
    "TELESCOP": "Subaru",
    "DATE-OBS": "2013-11-02",
    "UT-STR": "06:15:55.908",
    "UT-END": "06:16:27.928",
    "MJD": 56598.26106397435,
    "AIRMASS": 1.121626027604189,
    "AZIMUTH": 226.68922661,
    "ALTITUDE": 63.04359233,
    "PROP-ID": "o13015",
    "RA2000": "21:22:59.982",
    "DEC2000": "+00:30:00.07",
    "FOC-VAL": 3.7,
    "OUT-TMP": 272.35,
    "OUT-HUM": 33.1,
    "OUT-PRS": 621.7,
    "INST-PA": "0.000",
    "EXP-ID": "HSCA90402400",
    "FRAMEID": "HSCA90402512",
    "EXPTIME": 30.0,
    "OBJECT": "STRIPE82L",
    "DATA-TYP": "OBJECT",
    "FILTER01": "HSC-i",
    "DET-ID": 50,
    "T_CCDSN": "120",
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CUNIT1": "degree",
    "CUNIT2": "degree",
    "CRVAL1": 320.749925,
    "CRVAL2": 0.500019444444,
    "CRPIX1": 1024.5,
    "CRPIX2": 4395.167,
    "CD1_1": 2.89152716465347e-21,
    "CD1_2": 4.72222222222222e-05,
    "CD2_1": -4.7222222222222e-05,
    "CD2_2": 2.89152716465347e-21,
}

_CERRO: dict[str, Any] = {
    "INSTRUME": "CerroCam",
    "TELESCOP": "Cerro Simulated Telescope",
    "EXPID": 61101401,
    "OBSID": "CC_O_20261101_000401",
    "OBSTYPE": "science",
    "DAYOBS": 20261101,
    "SEQNUM": 401,
    "DATE-OBS": "2026-11-02T02:24:00.000",
    "EXPTIME": 30.0,
    "DARKTIME": 32.0,
    "FILTER": "r_01",
    "OBJECT": "cerro00",
    "PROGRAM": "cerro",
    "REASON": "survey",
    "DETNUM": 0,
    "DETNAME": "S00",
    "ROTANG": 10.0,
    "RATEL": 53.1,
    "DECTEL": -28.1,
}


def make_template(folder: Path) -> Path:
    """Make an empty repository that knows three instruments, to be copied."""
    root = folder / "template"
    Butler.makeRepo(str(root), config=Config(repository_config()))
    with Butler.from_config(str(root), writeable=True) as butler:
        for instrument in (CerroCam(), DECam(), HyperSuprimeCam()):
            instrument.register(butler.registry)
    return root


def open_copy(template: Path, root: Path) -> Butler:
    """Open a copy of a repository for writing."""
    shutil.copytree(template, root)
    return Butler.from_config(str(root), writeable=True)


def small_plan(seed: int = 3) -> SurveyPlan:
    """Return a survey of four exposures of two small detectors."""
    size = SurveySize(
        "test",
        n_detectors=2,
        n_visits=1,
        n_bias=1,
        n_dark=0,
        n_flat=0,
        flat_pair_levels=(),
        detector_size=256,
    )
    return SurveyPlan.make(size, seed)


def write_fits(
    path: Path,
    cards: dict[str, Any],
    *,
    shape: tuple[int, int] = (40, 50),
    more: Iterable[dict[str, Any]] = (),
) -> Path:
    """Write a compressed file with one extension for the cards, and one for each of ``more``."""
    hdus: list[Any] = [fits.PrimaryHDU()]
    for extra in (cards, *more):
        pixels = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
        header = fits.Header([(name, value) for name, value in extra.items() if value is not None])
        hdus.append(fits.CompImageHDU(pixels, header, compression_type="RICE_1"))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def write_raw(path: Path, *, shape: tuple[int, int] = (40, 50), **changes: Any) -> Path:
    """Write a small raw of cerro; a card given as None is left out.

    Write ``DATE-OBS`` as ``DATE_OBS``.
    """
    cards = _CERRO | {name.replace("_", "-"): value for name, value in changes.items()}
    detector = cerro_camera().detector(0)
    pointing = Pointing(53.1, -28.1, 10.0, 0.0, 0.2)
    return write_fits(path, pointing.header(detector) | cards, shape=shape)


def ingest_in_process(root: str, files: list[str], barrier: Any, results: Any) -> None:
    """Ingest files when the other processes are ready too, and report on it through a queue."""
    with Butler.from_config(root, writeable=True) as butler:
        barrier.wait(timeout=120)
        report = ingest_raws(butler, files)
    results.put((len(report.ingested), len(report.skipped), [str(error) for _, error in report.failed]))
