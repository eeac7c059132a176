"""The truth about a survey: its tables, their files, and their agreement with the pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.table import Table

from lenticular.butler.errors import DataError, NotFoundError
from lenticular.pipelines.cerro.effects import Effects
from lenticular.pipelines.cerro.exposures import simulate_pixels
from lenticular.pipelines.cerro.sky import Kind
from lenticular.pipelines.cerro.survey import SurveyPlan, SurveySize
from lenticular.pipelines.cerro.truth import NJY_MAGNITUDE, read_plan, truth_tables, write_truth

if TYPE_CHECKING:
    from pathlib import Path

SMALL = SurveySize("small", n_detectors=2, n_visits=2, detector_size=256)
PLAN = SurveyPlan.make(SMALL, 8)


def test_the_truth_is_written_and_read(tmp_path: Path) -> None:
    paths = write_truth(PLAN, tmp_path)
    tables = truth_tables(PLAN)
    assert set(paths) == {*tables, "survey"}
    assert sorted(tmp_path.iterdir()) == sorted(paths.values())
    for name, table in tables.items():
        read = Table.read(paths[name])
        assert read.colnames == table.colnames
        assert len(read) == len(table) > 0
        assert [read[column].unit for column in read.colnames] == [
            table[column].unit for column in table.colnames
        ]
    assert read_plan(tmp_path) == PLAN


def test_the_truth_is_the_same_each_time(tmp_path: Path) -> None:
    one = [path.read_bytes() for path in write_truth(PLAN, tmp_path).values()]
    two = [path.read_bytes() for path in write_truth(PLAN, tmp_path).values()]
    assert one == two


def test_a_survey_without_sky_has_a_truth_too(tmp_path: Path) -> None:
    plan = SurveyPlan.make(replace(SMALL, n_visits=0), 8)
    assert len(Table.read(write_truth(plan, tmp_path)["sources"])) == 0
    assert read_plan(tmp_path) == plan


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"seed": 1, "size": {"name": "x"}, "effects": {}}'])
def test_a_damaged_plan_is_a_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "survey.json").write_text(content)
    with pytest.raises(DataError, match="damaged"):
        read_plan(tmp_path)


def test_a_missing_plan_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no plan"):
        read_plan(tmp_path)


def test_fluxes_electrons_and_zero_points_agree() -> None:
    tables = truth_tables(PLAN)
    exposures, fluxes = tables["exposures"], tables["source_fluxes"]
    for row in exposures:
        mine = fluxes[(fluxes["exposure"] == row["exposure"]) & (fluxes["detector"] == row["detector"])]
        np.testing.assert_allclose(mine["electrons"] * row["njy_per_electron"], mine["flux"], rtol=1e-9)
        assert 10 ** (0.4 * (NJY_MAGNITUDE - row["zero_point"])) == pytest.approx(row["njy_per_electron"])


def test_transients_have_no_flux_in_the_first_visit() -> None:
    fluxes = truth_tables(PLAN)["source_fluxes"]
    transients = fluxes[fluxes["kind"] == Kind.TRANSIENT]
    first = transients["exposure"] == PLAN.science[0].id
    assert not transients["flux"][first].any()
    assert transients["flux"][transients["exposure"] == PLAN.science[-1].id].any()


def test_the_sky_level_of_the_truth_is_that_of_the_pixels() -> None:
    plan = SurveyPlan.make(SMALL, 8, Effects.only("sky", "flat"))
    row = truth_tables(plan)["exposures"][3]
    light = simulate_pixels(plan, plan.exposure(int(row["exposure"])), int(row["detector"])).light
    assert light.mean() == pytest.approx(row["sky_level"], rel=1e-4)
