"""The routes in the words of OpenAPI 3.1, made from their table and their models."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from lenticular.platform.server.models.files import Picture
from lenticular.platform.server.problems import STATUSES
from lenticular.platform.server.reading import contract
from lenticular.platform.server.routes import PREFIX, ROUTES

if TYPE_CHECKING:
    from lenticular.platform.server.routes import Route

__all__ = ["description"]

_REFERENCE = "#/components/schemas/{model}"


class ErrorDetails(BaseModel):
    """An error, and what to do about it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    kind: str
    """Name of the error's class."""
    what: str
    """What happened."""
    where: str | None
    """The repository, collection, file, task or parameter concerned."""
    hint: str
    """What to do."""


class Error(BaseModel):
    """The envelope of every error."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    error: ErrorDetails
    """What went wrong."""


@cache
def description() -> dict[str, Any]:
    """Return the description of all routes as an OpenAPI 3.1 document."""
    models: list[tuple[Any, Any]] = [(Error, "serialization")]
    for route in ROUTES:
        question, answer = contract(route.function)
        models.append((question, "validation"))
        if isinstance(answer, type) and issubclass(answer, BaseModel):
            models.append((answer, "serialization"))
    references, definitions = models_json_schema(list(dict.fromkeys(models)), ref_template=_REFERENCE)
    schemas = definitions["$defs"]
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(f"/{PREFIX}/{route.path}", {})[route.method.lower()] = _operation(
            route, references, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lenticular",
            "version": "1",
            "description": "Data repositories, QuantumGraphs and runs, by a Jupyter server. "
            "Paths are below the server's base_url.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token` and the server's token. A browser that is logged in sends its "
                    "cookie and, to change something, the value of `_xsrf` as header `X-XSRFToken`.",
                }
            },
        },
        "security": [{"token": []}],
    }


def _operation(route: Route, references: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    question, answer = contract(route.function)
    summary, _, rest = (inspect.getdoc(route.function) or "").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": route.function.__name__,
        "summary": " ".join(summary.split()),
        "description": " ".join(rest.split()),
        "responses": {
            "200": _success(answer, references),
            **{
                str(status): {
                    "description": meaning,
                    "content": {"application/json": {"schema": references[Error, "serialization"]}},
                }
                for status, meaning in STATUSES.items()
            },
        },
    }
    if answer is Picture:
        operation["responses"]["304"] = {"description": "The picture is the one that the browser has."}
    reference = references[question, "validation"]
    if route.method == "GET":
        schema = schemas[reference["$ref"].rpartition("/")[2]]
        operation["parameters"] = [
            _parameter(name, value, required=name in schema.get("required", ()))
            for name, value in schema.get("properties", {}).items()
        ]
    else:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    return operation


def _success(answer: Any, references: Any) -> dict[str, Any]:
    if answer is Picture:
        scale = {"schema": {"type": "integer", "minimum": 1}, "required": True}
        scale["description"] = "Pixels of the image on the side of one of the picture's."
        return {
            "description": "A picture.",
            "headers": {"X-Lenticular-Scale": scale},
            "content": {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}},
        }
    schema = references.get((answer, "serialization"), {"type": "object"})
    return {"description": "The answer.", "content": {"application/json": {"schema": schema}}}


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    value = {key: entry for key, entry in schema.items() if key not in ("description", "title")}
    choices = [choice for choice in value.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:  # left out is how an address says null
        value = choices[0]
    parameter = {
        "name": name,
        "in": "query",
        "required": required,
        "description": schema.get("description", ""),
        "schema": value,
    }
    if value.get("type") == "array":
        parameter |= {"style": "form", "explode": False}
    return parameter
