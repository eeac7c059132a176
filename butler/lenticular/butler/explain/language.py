"""Upstream's complaints about an expression, turned into what is wrong, where, and what to do."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lenticular.butler.errors import DataError, ExpressionError
from lenticular.butler.explain.constraints import scope_of
from lenticular.butler.explain.meaning import Setting, meaning_fault, nearest_names
from lenticular.butler.explain.syntax import SYNTAX, syntax_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lsst.daf.butler import Butler

    from lenticular.butler.columns.requests import Request
    from lenticular.butler.explain.syntax import Finding

__all__ = ["explained_request"]


@contextmanager
def explained_request(butler: Butler, request: Request) -> Iterator[None]:
    """Turn upstream's complaints about a question into ours.

    Parameters
    ----------
    butler
        The repository's Butler, which knows its dimensions.
    request
        The question.

    Raises
    ------
    ExpressionError
        Raised if its expression is wrong.
    DataError
        Raised if something else is wrong with it.
    """
    from lsst.daf.butler import ButlerUserError

    where = request.where
    try:
        yield
    except RecursionError as error:
        raise ExpressionError(
            "The expression is nested too deeply", where=f"{where[:40]} ...", hint="Leave brackets out."
        ) from error
    except (AssertionError, AttributeError, NotImplementedError, TypeError) as error:
        # Upstream's grammar lets more pass than what comes after it expects.
        if not where.strip():
            raise
        finding = _fault(butler, request, str(error))
        if finding is None:
            raise ExpressionError("The expression cannot be understood", where=where, hint=SYNTAX) from error
        raise _located(finding, where) from error
    except (ButlerUserError, ValueError, LookupError, ArithmeticError) as error:
        text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
        # Upstream lists every dimension there is; the nearest is enough.
        text = text.partition(", available dimensions:")[0].rstrip(".")
        finding = _fault(butler, request, text) if where.strip() else None
        if finding is not None:
            raise _located(finding, where) from error
        if text in request.names:
            text = f"No such dimension '{text}'"
        raise DataError(
            f"The registry cannot answer this: {text}",
            where=where or None,
            hint=_advice(butler, text, request.names),
        ) from error


def _fault(butler: Butler, request: Request, complaint: str) -> Finding | None:
    """Return what is wrong with the expression of a question that upstream refuses."""
    finding = syntax_fault(request.where)
    if finding is not None:
        return finding
    try:
        dimensions, datasets = scope_of(butler, request)
    except Exception:  # noqa: BLE001 - then it is the question itself that is wrong
        return None
    return meaning_fault(Setting(butler, dimensions, datasets, request.bind), request.where, complaint)


def _located(finding: Finding, where: str) -> ExpressionError:
    return ExpressionError(
        finding.what, where=where, hint=finding.hint, position=finding.position, length=finding.length
    )


def _advice(butler: Butler, complaint: str, names: set[str]) -> str:
    """Return what to do about a complaint of upstream's that is not about an expression."""
    elements = butler.dimensions.elements
    field = re.search(r"Unrecognized field '([^']+)' for (\w+)", complaint)
    if field and field[2] in elements.names:
        return nearest_names(field[1], butler.dimensions[field[2]].schema.names, f"field of {field[2]}")
    quoted = re.search(r"Unrecognized identifier '([^']+)'|No such dimension '([^']+)'", complaint)
    unknown = (quoted[1] or quoted[2]).partition(".")[0] if quoted else None
    if unknown is not None:
        advice = nearest_names(unknown, elements.names, "dimension")
        return advice if unknown in names else f"{advice} {SYNTAX}"
    return SYNTAX
