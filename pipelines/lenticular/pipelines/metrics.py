"""Metrics of a dataset, in the layout of Rubin's metric bundles.

The JSON is that of ``MetricMeasurementBundle`` in LSST's ``analysis_tools``, so that what
reads the one reads the other::

    {"psf": [{"metric": "psf_fwhm", "value": 0.81, "unit": "arcsec"}, ...],
     "astrometry": [...],
     "__dataset_identifier": "..."}
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

__all__ = ["Measurement", "MetricBundle"]

_HEADINGS = {
    "__reference_package": "reference_package",
    "__timestamp_version": "timestamp_version",
    "__dataset_identifier": "dataset_identifier",
}
"""Keys of the JSON that are not the names of actions, and the fields they fill."""


class Measurement(pydantic.BaseModel):
    """The value of one metric.

    A value that could not be measured is None, in JSON ``null``: NaN is not
    JSON.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    metric: str = pydantic.Field(description="Name of the metric.")
    value: float | None = pydantic.Field(description="Its value; None if it could not be measured.")
    unit: str = pydantic.Field(default="", description="Unit, as astropy writes it; empty if it has none.")
    description: str = pydantic.Field(default="", description="What it says, in a few words.")

    @pydantic.field_validator("value")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    @pydantic.field_validator("unit", "description", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        # LSST's bundles write null for the unit of what was not measured.
        return "" if value is None else value

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.4g} {self.unit}".rstrip()
        return f"{self.metric}: {value}"


class MetricBundle(pydantic.BaseModel):
    """Metrics of one dataset, by the action that measured them."""

    model_config = pydantic.ConfigDict(frozen=True)

    measurements: dict[str, tuple[Measurement, ...]] = pydantic.Field(
        default_factory=dict, description="Measurements by action."
    )
    reference_package: str | None = pydantic.Field(default=None, description="Package that is meant.")
    timestamp_version: str | None = pydantic.Field(default=None, description="Time of the version.")
    dataset_identifier: str | None = pydantic.Field(default=None, description="Name of the dataset.")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_layout(cls, data: Any) -> Any:
        # In the layout, an action's name has a list; the field has a mapping.
        if not isinstance(data, Mapping) or isinstance(data.get("measurements"), Mapping):
            return data
        fields: dict[str, Any] = {_HEADINGS[key]: data[key] for key in data if key in _HEADINGS}
        fields["measurements"] = {key: data[key] for key in data if key not in _HEADINGS}
        return fields

    @pydantic.model_serializer(mode="plain")
    def _to_layout(self) -> dict[str, Any]:
        layout: dict[str, Any] = {
            action: [measurement.model_dump() for measurement in group]
            for action, group in self.measurements.items()
        }
        headings = {key: getattr(self, field) for key, field in _HEADINGS.items()}
        return layout | {key: value for key, value in headings.items() if value is not None}

    def rows(self) -> Iterator[tuple[str, Measurement]]:
        """Yield every measurement with the name of its action."""
        for action, group in self.measurements.items():
            for measurement in group:
                yield action, measurement

    def get(self, metric: str) -> Measurement | None:
        """Return a measurement by the name of its metric, or None.

        Parameters
        ----------
        metric
            Name of the metric; the first of this name is returned.
        """
        return next((measurement for _, measurement in self.rows() if measurement.metric == metric), None)

    def _repr_html_(self) -> str:
        title = html.escape(self.dataset_identifier or "Metrics")
        head = "<tr><th>action</th><th>metric</th><th>value</th><th>unit</th><th></th></tr>"
        body = "".join(
            f"<tr><td>{html.escape(action)}</td><td>{html.escape(m.metric)}</td>"
            f"<td style='text-align:right'>{'—' if m.value is None else format(m.value, '.5g')}</td>"
            f"<td>{html.escape(m.unit)}</td>"
            f"<td style='text-align:left'>{html.escape(m.description)}</td></tr>"
            for action, m in self.rows()
        )
        return f"<table><caption>{title}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"
