"""What calibration exposures teach about the amplifiers of a detector.

Three small immutable tables, each measured from exposures by
`lenticular.pipelines.calibrations` and applied by the task ``isr``. They are
stored as JSON; the order of their amplifiers is that of the camera.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence  # noqa: TC003  # pydantic reads annotations at run time
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lenticular.butler.errors import MeasurementError

__all__ = ["Crosstalk", "Linearity", "PhotonTransfer"]

MAX_CROSSTALK = 0.1
"""A crosstalk coefficient above this is a mistake, not an effect."""

type Finite = Annotated[float, Field(allow_inf_nan=False)]
type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _AmplifierTable(BaseModel):
    """One row per amplifier of one detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instrument: str
    """Short name of the instrument."""

    detector: int
    """Detector number."""

    amplifiers: tuple[str, ...] = Field(min_length=1)
    """Names of the amplifiers, in the camera's order."""

    @model_validator(mode="after")
    def _one_row_per_amplifier(self) -> Self:
        n_amplifiers = len(self.amplifiers)
        if len(set(self.amplifiers)) != n_amplifiers:
            message = "two amplifiers have the same name"
            raise ValueError(message)
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != n_amplifiers:
                message = f"{name} has {len(value)} rows for {n_amplifiers} amplifiers"
                raise ValueError(message)
        return self

    def require_amplifiers(self, names: Sequence[str]) -> None:
        """Check that this table is about exactly these amplifiers, in this order.

        Raises
        ------
        lenticular.butler.errors.MeasurementError
            If it is not.
        """
        if tuple(names) != self.amplifiers:
            kind = type(self).__name__
            raise MeasurementError(
                f"{kind} has amplifiers {list(self.amplifiers)}, the camera {list(names)}",
                where=f"{self.instrument} detector {self.detector}",
                hint="The calibration belongs to another camera: build it again with build_calibrations",
            )

    def _title(self) -> str:
        return f"{type(self).__name__}: {self.instrument} detector {self.detector}"


class PhotonTransfer(_AmplifierTable):
    """Gain, read noise and saturation of each amplifier of a detector."""

    gain: tuple[Positive, ...]
    """Gain, electron/adu."""

    gain_error: tuple[NonNegative, ...]
    """Standard error of the gain, electron/adu."""

    read_noise: tuple[NonNegative, ...]
    """Read noise of one pixel, electron."""

    saturation: tuple[Positive, ...]
    """Largest charge that is still measured, electron."""

    n_pairs: tuple[int, ...]
    """Number of pairs of flats in the fit; zero says that the nominal values stand here."""

    def _repr_html_(self) -> str:
        rows = zip(
            self.amplifiers,
            (f"{g:.4f} ± {e:.4f}" for g, e in zip(self.gain, self.gain_error, strict=True)),
            (f"{n:.2f}" for n in self.read_noise),
            (f"{s:.0f}" for s in self.saturation),
            self.n_pairs,
            strict=True,
        )
        columns = ("amplifier", "gain [e⁻/adu]", "read noise [e⁻]", "saturation [e⁻]", "pairs")
        return _html_table(self._title(), columns, rows)


class Linearity(_AmplifierTable):
    """Deviation of each amplifier from proportionality, e_true = e + c e²."""

    coefficient: tuple[Finite, ...]
    """The coefficient c, 1/electron."""

    coefficient_error: tuple[NonNegative, ...]
    """Standard error of c, 1/electron."""

    maximum: tuple[Positive, ...]
    """Largest signal of the ramp that was fitted, electron."""

    residual: tuple[NonNegative, ...]
    """Largest deviation of the ramp from the fit, as a fraction of the signal."""

    def _repr_html_(self) -> str:
        rows = zip(
            self.amplifiers,
            (
                f"{c * 1e6:.4f} ± {e * 1e6:.4f}"
                for c, e in zip(self.coefficient, self.coefficient_error, strict=True)
            ),
            (f"{m:.0f}" for m in self.maximum),
            (f"{100 * r:.3f}" for r in self.residual),
            strict=True,
        )
        columns = ("amplifier", "c [10⁻⁶/e⁻]", "up to [e⁻]", "residual [%]")
        return _html_table(self._title(), columns, rows)


class Crosstalk(_AmplifierTable):
    """Signal that each amplifier (victim, row) picks up from each other (source, column)."""

    matrix: tuple[tuple[Finite, ...], ...]
    """Ratio of the victim's signal to the source's, both in adu; zero on the diagonal."""

    error: tuple[tuple[NonNegative, ...], ...]
    """Standard error of each coefficient."""

    origin: Literal["measured", "nominal"] = "measured"
    """Whether exposures were measured, or the camera's own table stands here."""

    @model_validator(mode="after")
    def _square(self) -> Self:
        n_amplifiers = len(self.amplifiers)
        for name, table in (("matrix", self.matrix), ("error", self.error)):
            if any(len(row) != n_amplifiers for row in table):
                message = f"{name} is not square"
                raise ValueError(message)
        if any(self.matrix[i][i] != 0 for i in range(n_amplifiers)):
            message = "an amplifier cannot be its own source of crosstalk"
            raise ValueError(message)
        worst = max(math.fabs(value) for row in self.matrix for value in row)
        if worst > MAX_CROSSTALK:
            message = f"a crosstalk of {worst:.3g} is above {MAX_CROSSTALK}"
            raise ValueError(message)
        return self

    def as_array(self) -> npt.NDArray[np.float64]:
        """Return the matrix, shape (n_amp, n_amp): victims in rows, sources in columns."""
        return np.array(self.matrix, dtype=np.float64)

    def _repr_html_(self) -> str:
        rows = (
            (name, *("·" if victim == source else f"{1e6 * value:.0f}" for source, value in enumerate(row)))
            for victim, (name, row) in enumerate(zip(self.amplifiers, self.matrix, strict=True))
        )
        title = f"{self._title()} [10⁻⁶], {self.origin}"
        return _html_table(title, ("victim \\ source", *self.amplifiers), rows)


def _html_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{html.escape(title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
