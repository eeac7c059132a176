"""From what a browser sent to a question, or to an error that says what is wrong with it."""

from __future__ import annotations

import difflib
import inspect
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ValidationError

from lenticular.platform.server.access import Access
from lenticular.platform.server.models.files import Picture
from lenticular.platform.server.problems import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lenticular.platform.server.models.base import Question
    from lenticular.platform.server.routes import Route

__all__ = ["Asked", "Reply", "contract", "reply"]

_FREE = {"token", "_xsrf", "no_track_activity"}
"""Parameters that belong to the Jupyter server."""

_NO_CONTENT_NEEDED = 304


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as an answer depends on it."""

    query: Mapping[str, Sequence[bytes]]
    """Parameters in the address."""

    body: bytes = b""
    """What was sent with it."""

    etags: str = ""
    """``If-None-Match``: what the browser has already."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, as it travels."""

    body: bytes
    """What is sent."""

    content_type: str = "application/json"
    """What it is."""

    status: int = 200
    """HTTP status."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""


def reply(route: Route, access: Access, asked: Asked) -> Reply:
    """Answer a request; this is what a worker's thread does.

    Parameters
    ----------
    route
        What is asked.
    access
        What may be reached.
    asked
        The request.

    Raises
    ------
    LenticularError
        Raised if it cannot be answered.
    """
    function = route.function
    model, _ = contract(function)
    if route.changes:
        access.refuse_changes()
    question = _from_query(model, asked.query) if route.method == "GET" else _from_body(model, asked)
    answer = function(access, question)
    if isinstance(answer, Picture):
        return _picture(answer, asked.etags)
    text = answer.model_dump_json() if isinstance(answer, BaseModel) else json.dumps(answer)
    return Reply(text.encode())


@cache
def contract(function: Callable[..., Any]) -> tuple[type[Question], Any]:
    """Return the types of a function's question and answer, as it is annotated."""
    hints = get_type_hints(
        inspect.unwrap(function), localns={"Access": Access, "Picture": Picture}, include_extras=True
    )
    return hints["question"], hints["return"]


def _picture(picture: Picture, etags: str) -> Reply:
    tag = f'"{picture.etag}"'
    headers = {**picture.headers, "Etag": tag, "Cache-Control": "private, no-cache"}
    known = {name.strip().removeprefix("W/") for name in etags.split(",")}
    if tag in known:
        return Reply(b"", "image/png", _NO_CONTENT_NEEDED, headers)
    return Reply(picture.draw(), "image/png", headers=headers)


def _from_query(model: type[Question], query: Mapping[str, Sequence[bytes]]) -> Question:
    values: dict[str, str] = {}
    for name, given in query.items():
        # JupyterLab adds the time as a name without value, against caches.
        if name in _FREE or (name.isdigit() and not any(given)):
            continue
        if len(given) > 1:
            raise ParameterError(
                f"The parameter {name!r} is given more than once", where=name, hint="Give it once."
            )
        try:
            values[name] = given[0].decode()
        except UnicodeDecodeError as error:
            raise ParameterError(
                f"The parameter {name!r} is not UTF-8", where=name, hint="Encode it as UTF-8."
            ) from error
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        raise _explained(error, model) from None


def _from_body(model: type[Question], asked: Asked) -> Question:
    if surplus := [name for name in asked.query if name not in _FREE and not name.isdigit()]:
        raise ParameterError(
            f"The parameter {surplus[0]!r} does not belong into the address",
            where=surplus[0],
            hint="Send the parameters as a JSON object in the body.",
        )
    try:
        return model.model_validate_json(asked.body, strict=True)
    except ValidationError as error:
        raise _explained(error, model) from None


def _explained(error: ValidationError, model: type[Question]) -> ParameterError:
    """Return the first thing that is wrong, in our words."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    known = ", ".join(model.model_fields) or "none"
    if first["type"] == "json_invalid":
        return ParameterError(f"The body is not JSON: {first['msg']}", hint=f"Send an object with {known}.")
    if first["type"] == "missing":
        return ParameterError(f"The parameter {name!r} is missing", where=name, hint=f"Parameters: {known}.")
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, model.model_fields, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Parameters: {known}."
        return ParameterError(f"There is no parameter {name!r}", where=name, hint=hint)
    if not name:
        return ParameterError(f"The body is not usable: {first['msg']}", hint=f"Send an object with {known}.")
    return ParameterError(
        f"The parameter {name!r} cannot be used: {first['msg']}",
        where=name,
        hint="The description of the routes, openapi.json, has what it may be.",
    )
