"""The accuracy of a reduced survey, and how it is measured.

The thresholds of the survey's test are what the pipeline is required to reach.
Its seed serves nothing else: no algorithm was tuned with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.table import Table
from lsst.daf.butler import Butler, Config
from lsst.pipe.base.simple_pipeline_executor import SimplePipelineExecutor

from lenticular.butler.errors import NotFoundError
from lenticular.pipelines.accuracy import AccuracyReport, DetectorAccuracy, compare_detector, measure_accuracy
from lenticular.pipelines.algorithms.shapes import adaptive_sigma_of_mixture
from lenticular.pipelines.calibrations import build_calibrations
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.cerro.optics import PSF_VARIANCES, PSF_WEIGHTS
from lenticular.pipelines.cerro.repository import populate
from lenticular.pipelines.cerro.survey import SurveyPlan
from lenticular.pipelines.cerro.truth import truth_tables
from lenticular.pipelines.storage import repository_config
from tests.pipelines.definitions import SINGLE_VISIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRESH_SEED = 20261

type Truth = dict[str, Table]


def _truth(n: int = 200) -> Truth:
    rng = np.random.default_rng(0)
    where = {"exposure": np.full(n, 7), "detector": np.full(n, 1)}
    fluxes = Table(
        where
        | {
            "id": np.arange(n) + 1,
            "kind": np.repeat([0, 1], n // 2),
            "flux": 10 ** rng.uniform(3, 5, n),
            "psf_fwhm": np.full(n, 4.0),
        }
    )
    fluxes["electrons"] = fluxes["flux"]
    return {
        "sources": Table(
            {
                "id": np.arange(n) + 1,
                "ra": 10 + rng.uniform(0, 0.05, n),
                "dec": -30 + rng.uniform(0, 0.05, n),
            }
        ),
        "source_fluxes": fluxes,
        "exposures": Table({"exposure": [7], "detector": [1], "sky_level": [400.0], "band": ["r"]}),
        "amplifiers": Table({"detector": [1], "read_noise": [6.0], "full_well": [85000.0]}),
    }


def _perfect(truth: Truth) -> Table:
    n = len(truth["sources"])
    variance = (4.0 * adaptive_sigma_of_mixture(PSF_WEIGHTS, PSF_VARIANCES)) ** 2
    table = Table(truth["sources"][["ra", "dec"]])
    table["psfFlux"] = truth["source_fluxes"]["flux"]
    table["ixxPSF"] = table["iyyPSF"] = np.full(n, variance)
    table["ixyPSF"] = np.zeros(n)
    return table


def _compare(stars: Table, truth: Truth) -> DetectorAccuracy:
    return compare_detector(stars, truth, visit=7, detector=1)


def test_a_perfect_catalogue_has_no_error() -> None:
    truth = _truth()
    found = _compare(_perfect(truth), truth)
    assert (found.completeness, found.purity) == (1.0, 1.0)
    errors = (found.astrometry, found.photometric_bias, found.photometric_scatter, found.psf_size_error)
    assert errors == pytest.approx((0, 0, 0, 0), abs=1e-6)
    assert 0 < found.n_bright < found.n_star < 100


def test_an_offset_of_positions_is_seen() -> None:
    truth = _truth()
    stars = _perfect(truth)
    stars["dec"] = stars["dec"] + 0.03 / 3600
    assert _compare(stars, truth).astrometry == pytest.approx(30.0, rel=1e-3)


def test_an_offset_of_fluxes_is_seen() -> None:
    truth = _truth()
    stars = _perfect(truth)
    stars["psfFlux"] = stars["psfFlux"] * 10 ** (-0.4 * 0.02)
    assert _compare(stars, truth).photometric_bias == pytest.approx(20.0, rel=1e-3)


def test_missing_and_false_sources_are_seen() -> None:
    truth = _truth()
    stars = _perfect(truth)
    stars["ra"][:10] += 1 / 3600
    found = _compare(stars, truth)
    assert found.completeness < 1.0
    assert 0.9 <= found.purity < 1.0


def test_a_psf_that_is_too_broad_is_seen() -> None:
    truth = _truth()
    stars = _perfect(truth)
    for name in ("ixxPSF", "iyyPSF"):
        stars[name] = stars[name] * 1.05**2
    assert _compare(stars, truth).psf_size_error == pytest.approx(5.0, rel=1e-3)


def test_a_catalogue_of_nothing_real_has_nan_not_errors() -> None:
    truth = _truth()
    stars = _perfect(truth)[:3]
    stars["ra"] += 10 / 3600
    stars["dec"] += 20 / 3600
    found = _compare(stars, truth)
    assert found.completeness < 0.1
    assert np.isnan(found.astrometry) or found.n_bright > 0


def test_a_visit_without_truth_is_a_clear_error() -> None:
    truth = _truth()
    with pytest.raises(NotFoundError, match="visit 8"):
        compare_detector(_perfect(truth), truth, visit=8, detector=1)


def test_a_report_sums_up_its_detectors() -> None:
    truth = _truth()
    shifted = _perfect(truth)
    shifted["dec"] = shifted["dec"] + 0.03 / 3600
    report = AccuracyReport(tuple(_compare(t, truth) for t in (_perfect(truth), shifted)))
    assert report.astrometry == pytest.approx(30.0, rel=1e-3)
    assert report.completeness == 1.0
    assert report.table()["astrometry"].unit == "mas"
    assert report._repr_html_().count("<tr>") == 4


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Butler, Truth]]:
    """Return the survey of the fresh seed, reduced by the pipeline single-visit."""
    folder: Path = tmp_path_factory.mktemp("accuracy")
    root = str(folder / "repo")
    Butler.makeRepo(root, Config(repository_config()))
    plan = SurveyPlan.make("tiny", FRESH_SEED)
    with Butler.from_config(root, writeable=True) as butler:
        populate(butler, folder / "raw", plan, transfer="move")
        build_calibrations(
            butler,
            CerroCam(),
            collections="CerroCam/raw/all",
            output_run_prefix="CerroCam/calib",
            calibration_collection="CerroCam/calib",
        )
    with SimplePipelineExecutor.prep_butler(root, inputs=["CerroCam/defaults"], output="reduced") as butler:
        SimplePipelineExecutor.from_pipeline_filename(
            str(SINGLE_VISIT),
            where="instrument='CerroCam' and exposure.observation_type='science'",
            butler=butler,
        ).run(register_dataset_types=True)
    with Butler.from_config(root, collections="reduced") as butler:
        yield butler, truth_tables(plan)


@pytest.mark.slow
def test_a_fresh_survey_is_reduced_as_well_as_required(reduced: tuple[Butler, Truth]) -> None:
    butler, truth = reduced
    report = measure_accuracy(butler, truth, collections="reduced")
    print(report.table().pformat(max_lines=-1, max_width=-1), report.summary())  # noqa: T201 - shown when it fails
    assert len(report.detectors) == 12
    assert report.astrometry <= 10.0
    assert abs(report.photometric_bias) <= 5.0
    assert report.photometric_scatter <= 10.0
    assert report.completeness >= 0.97
    assert report.psf_size_error <= 1.0
    assert report.purity >= 0.95


@pytest.mark.slow
def test_every_visit_has_a_summary_of_its_detectors(reduced: tuple[Butler, Truth]) -> None:
    butler, _ = reduced
    for ref in butler.query_datasets("preliminary_visit_summary"):
        summary = butler.get(ref)
        assert summary["detector"].tolist() == [0, 1]
        assert np.isfinite(summary["zeroPoint"]).all()
        assert summary["raCorners"].shape == (2, 4)


def test_a_repository_without_star_tables_is_a_clear_error(tmp_path: Path) -> None:
    root = str(tmp_path / "empty")
    Butler.makeRepo(root, Config(repository_config()))
    with Butler.from_config(root, writeable=True) as butler:
        butler.collections.register("u/me")
        with pytest.raises(NotFoundError, match="single_visit_star"):
            measure_accuracy(butler, {}, collections="u/me")
