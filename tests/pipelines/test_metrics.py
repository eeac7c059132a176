"""Bundles of metrics."""

from __future__ import annotations

import json
import math

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.daf.butler import Butler, Config, DatasetType

from lenticular.pipelines.metrics import Measurement, MetricBundle
from lenticular.pipelines.storage import repository_config

BUNDLE = MetricBundle(
    dataset_identifier="visit 1",
    measurements={
        "psf": (
            Measurement(metric="psf_fwhm", value=0.8, unit="arcsec", description="Width"),
            Measurement(metric="psf_star_count", value=40),
        ),
        "sky": (Measurement(metric="sky_level", value=math.nan, unit="nJy"),),
    },
)

_NAMES = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=8)
_MEASUREMENTS = st.builds(
    Measurement,
    metric=_NAMES,
    value=st.none() | st.floats(allow_nan=True),
    unit=st.sampled_from(["", "mas", "nJy"]),
    description=st.text(max_size=10),
)


def test_the_json_has_the_layout_of_rubins_bundles() -> None:
    layout = json.loads(BUNDLE.model_dump_json())
    assert layout["__dataset_identifier"] == "visit 1"
    assert layout["psf"][0] == {
        "metric": "psf_fwhm",
        "value": 0.8,
        "unit": "arcsec",
        "description": "Width",
    }
    assert set(layout) == {"psf", "sky", "__dataset_identifier"}


def test_what_was_not_measured_is_null() -> None:
    assert json.loads(BUNDLE.model_dump_json())["sky"][0]["value"] is None


def test_a_bundle_of_rubins_can_be_read() -> None:
    text = json.dumps(
        {
            "a": [{"metric": "m", "identifier": "7f", "value": None, "unit": None, "blob_refs": []}],
            "__reference_package": "lsst_distrib",
        }
    )
    bundle = MetricBundle.model_validate_json(text)
    assert bundle.reference_package == "lsst_distrib"
    assert bundle.get("m") == Measurement(metric="m", value=None)


@given(st.dictionaries(_NAMES, st.lists(_MEASUREMENTS, max_size=4).map(tuple), max_size=4))
def test_json_there_and_back(measurements: dict[str, tuple[Measurement, ...]]) -> None:
    bundle = MetricBundle(measurements=measurements)
    assert MetricBundle.model_validate_json(bundle.model_dump_json()) == bundle


def test_a_butler_keeps_a_bundle(tmp_path: object) -> None:
    root = f"{tmp_path}/repo"
    Butler.makeRepo(root, Config(repository_config()))
    with Butler.from_config(root, writeable=True, run="r") as butler:
        kind = DatasetType("m", (), "MetricBundle", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        butler.put(BUNDLE, "m")
        assert butler.get("m") == BUNDLE


def test_an_action_of_any_name_can_be_kept() -> None:
    layout = {"measurements": [{"metric": "m", "value": 1.0}]}
    bundle = MetricBundle.model_validate(layout)
    assert bundle.measurements["measurements"][0].metric == "m"
    assert MetricBundle.model_validate_json(bundle.model_dump_json()) == bundle


def test_a_damaged_bundle_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError):
        MetricBundle.model_validate_json('{"psf": [{"value": 1.0}]}')


def test_rows_and_get() -> None:
    assert [m.metric for _, m in BUNDLE.rows()] == ["psf_fwhm", "psf_star_count", "sky_level"]
    assert BUNDLE.get("nothing") is None


def test_html_is_escaped() -> None:
    nasty = MetricBundle(measurements={"<b>": (Measurement(metric="<script>", value=1, unit="&"),)})
    html = nasty._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_html_says_what_was_not_measured() -> None:
    assert "—" in BUNDLE._repr_html_()
    assert str(BUNDLE.get("sky_level")) == "sky_level: not measured"
    assert str(BUNDLE.get("psf_fwhm")) == "psf_fwhm: 0.8 arcsec"
