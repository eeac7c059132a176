"""The tables of calibrations: what they refuse, how they are stored and shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.calibration import Crosstalk, Linearity, PhotonTransfer

COMMON: dict[str, Any] = {"instrument": "Cam", "detector": 3, "amplifiers": ("A", "B")}
TRANSFER: dict[str, Any] = COMMON | {
    "gain": (1.5, 1.6),
    "gain_error": (0.01, 0.01),
    "read_noise": (6.0, 7.0),
    "saturation": (8e4, 9e4),
    "n_pairs": (6, 6),
}
LINEARITY: dict[str, Any] = COMMON | {
    "coefficient": (1e-7, -2e-7),
    "coefficient_error": (1e-9, 1e-9),
    "maximum": (7e4, 7e4),
    "residual": (1e-4, 2e-4),
}
CROSSTALK: dict[str, Any] = COMMON | {"matrix": ((0, 2e-4), (1e-4, 0)), "error": ((0, 1e-5), (1e-5, 0))}
TABLES: list[tuple[type[PhotonTransfer | Linearity | Crosstalk], dict[str, Any]]] = [
    (PhotonTransfer, TRANSFER),
    (Linearity, LINEARITY),
    (Crosstalk, CROSSTALK),
]


@pytest.mark.parametrize(("kind", "values"), TABLES)
def test_a_table_survives_json(
    kind: type[PhotonTransfer | Linearity | Crosstalk], values: dict[str, Any]
) -> None:
    table = kind.model_validate(values)
    assert kind.model_validate_json(table.model_dump_json()) == table


@pytest.mark.parametrize(("kind", "values"), TABLES)
def test_a_table_shows_its_amplifiers_and_escapes_them(
    kind: type[PhotonTransfer | Linearity | Crosstalk], values: dict[str, Any]
) -> None:
    shown = kind.model_validate(values | {"amplifiers": ("<i>", "B")})._repr_html_()
    assert "&lt;i&gt;" in shown
    assert "<i>" not in shown


@pytest.mark.parametrize(("kind", "values"), TABLES)
def test_a_table_cannot_be_changed(
    kind: type[PhotonTransfer | Linearity | Crosstalk], values: dict[str, Any]
) -> None:
    table = kind.model_validate(values)
    with pytest.raises(ValidationError, match="frozen"):
        table.detector = 4


@pytest.mark.parametrize(
    ("kind", "values", "change", "complaint"),
    [
        (PhotonTransfer, TRANSFER, {"gain": (1.5,)}, "1 rows for 2 amplifiers"),
        (PhotonTransfer, TRANSFER, {"gain": (1.5, 0.0)}, "greater than 0"),
        (PhotonTransfer, TRANSFER, {"gain": (1.5, float("nan"))}, "gain"),
        (PhotonTransfer, TRANSFER, {"read_noise": (6.0, -1.0)}, "greater than or equal to 0"),
        (PhotonTransfer, TRANSFER, {"amplifiers": ("A", "A")}, "the same name"),
        (PhotonTransfer, TRANSFER, {"amplifiers": ()}, "at least 1"),
        (PhotonTransfer, TRANSFER, {"colour": "red"}, "Extra inputs"),
        (Linearity, LINEARITY, {"coefficient": (1e-7, float("inf"))}, "finite"),
        (Crosstalk, CROSSTALK, {"matrix": ((0, 1e-4), (1e-4,))}, "matrix is not square"),
        (Crosstalk, CROSSTALK, {"matrix": ((1e-4, 0), (0, 0))}, "its own source"),
        (Crosstalk, CROSSTALK, {"matrix": ((0, 0.2), (0, 0))}, "above 0.1"),
        (Crosstalk, CROSSTALK, {"origin": "guessed"}, "measured"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(
    kind: type[PhotonTransfer | Linearity | Crosstalk],
    values: dict[str, Any],
    change: dict[str, Any],
    complaint: str,
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        kind.model_validate(values | change)


def test_a_table_of_another_camera_is_refused() -> None:
    table = PhotonTransfer.model_validate(TRANSFER)
    table.require_amplifiers(["A", "B"])
    with pytest.raises(MeasurementError, match=r"detector 3.*build it again"):
        table.require_amplifiers(["B", "A"])


def test_crosstalk_as_an_array_has_victims_in_rows() -> None:
    array = Crosstalk.model_validate(CROSSTALK).as_array()
    np.testing.assert_array_equal(array, [[0, 2e-4], [1e-4, 0]])
