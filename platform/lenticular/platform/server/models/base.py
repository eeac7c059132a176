"""What all questions and answers have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

__all__ = ["Answer", "Glob", "Label", "Limit", "Names", "Nothing", "Path", "Question", "Text"]

_LONGEST = 1000


def _without_nul(text: str) -> str:
    if "\x00" in text:
        message = "a text cannot hold the character NUL"
        raise ValueError(message)
    return text


def _split(value: Any) -> Any:
    """Take names joined by commas, as a query has them, apart."""
    return value.split(",") if isinstance(value, str) else value


class Question(BaseModel):
    """Parameters of a route."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Answer(BaseModel):
    """What a route answers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, ser_json_inf_nan="null"
    )


class Nothing(Question):
    """No parameters."""


Text = Annotated[str, StringConstraints(max_length=10 * _LONGEST), AfterValidator(_without_nul)]
"""Any text."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_nul)]
"""Label of a repository, identifier or name."""

Glob = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_nul)]
"""Pattern of names: ``*`` for anything, ``?`` for one character, ``[...]`` for one of several."""

Path = Annotated[str, StringConstraints(min_length=1, max_length=4 * _LONGEST), AfterValidator(_without_nul)]
"""File below the server's root folder, as the contents API has it."""

Names = Annotated[tuple[Label, ...], Field(min_length=1, max_length=_LONGEST), BeforeValidator(_split)]
"""One name or several."""

Limit = Annotated[int, Field(ge=1, le=_LONGEST)]
"""How many at most."""
