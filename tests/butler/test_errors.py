"""The error tree: what each error says, and that it survives a process border."""

from __future__ import annotations

import pickle
import re

import pytest

from lenticular.butler import errors

KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_says_what_where_and_what_to_do(kind: type[errors.LenticularError]) -> None:
    error = kind("It broke", where="here", hint="Mend it.")
    assert str(error) == "It broke (here). Mend it."


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling(kind: type[errors.LenticularError]) -> None:
    error = pickle.loads(pickle.dumps(kind("It broke", where="here", hint="Mend it.")))  # noqa: S301  our own
    assert (type(error), error.what, error.where, error.hint) == (kind, "It broke", "here", "Mend it.")


def test_no_part_of_an_error_shows_a_password() -> None:
    url = "postgresql://ana:pa55word@db/registry"
    error = errors.DatabaseUnreachableError(f"No answer from {url}", where=url, hint=f"Ask {url}")
    assert "pa55word" not in f"{error} {error!r} {error.what} {error.where} {error.hint}"


def test_the_tree_in_the_documentation_is_the_tree() -> None:
    drawing = errors.__doc__ or ""
    for kind in KINDS:
        line = re.search(rf"^(?P<indent>[ │├└─]*){kind.__name__}\b", drawing, re.MULTILINE)
        assert line, f"{kind.__name__} is not drawn"
        depth = len(kind.__mro__) - len(errors.LenticularError.__mro__)
        assert len(line["indent"]) // 4 == depth + 1
