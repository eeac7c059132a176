"""Why a query is empty, and what is wrong with an expression.

`explain_empty` finds the constraints that leave a query without rows, and
offers the smallest changes that give some. Wrong expressions become
`~lenticular.butler.errors.ExpressionError`, which tells the place and the
remedy (`lenticular.butler.explain.language`).

Everything is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.lazy import loaded_on_use

if TYPE_CHECKING:
    from lenticular.butler.explain.explaining import explain_empty
    from lenticular.butler.explain.report import Culprit, Explanation, Relaxation, Rows, Step

__all__ = ["Culprit", "Explanation", "Relaxation", "Rows", "Step", "explain_empty"]

__getattr__, __dir__ = loaded_on_use(
    __name__, dict.fromkeys(__all__, "report") | {"explain_empty": "explaining"}
)
