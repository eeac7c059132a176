"""What the picker of visits says and offers when it finds none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lenticular.butler import Repository, create_repository
from lenticular.widgets import DatasetPicker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VISITS = (101, 102, 205)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Open a repository with three visits, of which one has a raw."""
    root: Path = tmp_path_factory.mktemp("visits") / "repository"
    with create_repository(root) as made:
        _fill(made.butler)
    with Repository.open(root) as opened:
        yield opened


def _fill(butler: Any) -> None:
    from lsst.daf.butler import DatasetType

    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "class_name": "x.Cam"})
    insert("physical_filter", {"instrument": "Cam", "name": "Cam-r", "band": "r"})
    insert("detector", {"instrument": "Cam", "id": 0, "full_name": "D0"})
    insert("day_obs", {"instrument": "Cam", "id": 20260101})
    common = {"instrument": "Cam", "physical_filter": "Cam-r", "day_obs": 20260101, "exposure_time": 30.0}
    for visit in VISITS:
        insert("group", {"instrument": "Cam", "name": str(visit)})
        insert("visit", {**common, "id": visit, "name": str(visit), "target_name": "field"})
        insert("exposure", {**common, "id": visit, "obs_id": str(visit), "group": str(visit)})
        insert("visit_definition", {"instrument": "Cam", "visit": visit, "exposure": visit})
    raw = DatasetType(
        "raw", ("instrument", "exposure", "detector"), "StructuredDataDict", universe=butler.dimensions
    )
    butler.registry.registerDatasetType(raw)
    for run in ("raws", "others"):
        butler.collections.register(run)
    butler.put({}, raw, instrument="Cam", exposure=101, detector=0, run="raws")


def listed(picker: DatasetPicker) -> list[int]:
    picker.wait()
    assert picker.error is None
    return [row.visit for row in picker._rows]


def offers(picker: DatasetPicker) -> list[Any]:
    return list(picker._empty._changes.objects)


def test_an_expression_without_a_visit_is_explained_and_mended_by_a_click(repository: Repository) -> None:
    picker = DatasetPicker(repository, expression="exposure_time > 900")
    assert listed(picker) == []
    assert "exposure_time &gt; 900" in picker._empty._reason.object
    first, *_ = offers(picker)
    first[0].clicks += 1
    assert listed(picker) == list(VISITS)
    assert picker.expression == picker._expression.value != "exposure_time > 900"
    assert not picker._empty._reason.visible
    assert offers(picker) == []


def test_collections_without_raws_are_to_blame_where_they_are(repository: Repository) -> None:
    picker = DatasetPicker(repository, collections=["others"])
    assert listed(picker) == []
    assert "others" in picker._empty._reason.object
    offer = next(one for one in offers(picker) if "raws" in one[1].object)
    offer[0].clicks += 1
    assert listed(picker) == [101]
    assert picker.collections == ["raws"]


def test_visits_that_are_found_need_no_word(repository: Repository) -> None:
    picker = DatasetPicker(repository, collections=["raws"])
    assert listed(picker) == [101]
    assert not picker._empty._reason.visible
