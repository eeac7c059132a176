"""The description of the routes is true of the table, the server and the document."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from lenticular.butler import Repository
from lenticular.platform.server.application import LenticularApp
from lenticular.platform.server.openapi import description
from lenticular.platform.server.routes import PREFIX, ROUTES

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from tests.server.conftest import Ask, Site

DOCUMENT = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
OPERATIONS = sorted((f"/{PREFIX}/{route.path}", route.method) for route in ROUTES)

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_headers_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.negative_data_rejection,
]


def in_web_app(serverapp: ServerApp, base_url: str) -> set[tuple[str, str]]:
    """Return path and method of every route that the server has below our prefix."""
    found = set()
    routers = [rule.target for rule in serverapp.web_app.default_router.rules]
    rules = [
        rule
        for router in [*routers, serverapp.web_app.wildcard_router]
        for rule in getattr(router, "rules", ())
    ]
    for rule in rules:
        regex = getattr(rule.matcher, "regex", None)
        if regex is None or PREFIX not in regex.pattern or "routes" not in rule.target_kwargs:
            continue
        path = regex.pattern.rstrip("$").replace("\\", "").replace(base_url.rstrip("/"), "", 1)
        found |= {(path, method) for method in rule.target_kwargs["routes"]}
    return found


async def test_the_server_has_just_the_routes_that_are_described(
    ask: Ask, jp_serverapp: ServerApp, jp_base_url: str
) -> None:
    paths = (await ask("openapi.json")).content["paths"]
    described = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    assert described == in_web_app(jp_serverapp, jp_base_url) == set(OPERATIONS)


def test_the_description_is_valid_openapi() -> None:
    openapi_spec_validator.validate(description())


def test_everything_in_the_description_is_explained() -> None:
    for methods in description()["paths"].values():
        for operation in methods.values():
            assert operation["summary"].endswith(".")
            assert all(parameter["description"] for parameter in operation.get("parameters", ()))
    for name, schema in description()["components"]["schemas"].items():
        for field, content in schema.get("properties", {}).items():
            assert content.get("description"), f"{name}.{field}"


# The document


def table_rows(heading: str) -> list[str]:
    """Return the first column of the table below a heading of the document."""
    section = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_the_document_has_each_route_and_no_other() -> None:
    assert sorted(table_rows("Routes")) == sorted(f"{route.method} {route.path}" for route in ROUTES)


def test_the_document_has_each_parameter_of_each_route() -> None:
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            (row,) = (
                line
                for line in DOCUMENT.splitlines()
                if line.startswith(f"| `{method.upper()} {path.removeprefix(f'/{PREFIX}/')}` |")
            )
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                schema = description()["components"]["schemas"][reference.rpartition("/")[2]]
                names |= set(schema["properties"])
            assert not {name for name in names if f"`{name}`" not in row}, row


def test_the_document_has_each_setting_and_no_other() -> None:
    own = {
        name
        for name, trait in LenticularApp.class_own_traits(config=True).items()
        if trait.this_class is LenticularApp
    }
    assert set(table_rows("Settings")) == own


@pytest.mark.parametrize("name", sorted(LenticularApp.class_own_traits(config=True)))
def test_every_setting_has_a_help_text(name: str) -> None:
    assert LenticularApp.class_own_traits()[name].help


def test_the_configuration_switches_the_extension_on() -> None:
    folder = Path(__file__).parents[2] / "platform" / "jupyter-config" / "jupyter_server_config.d"
    content = json.loads((folder / "lenticular.json").read_text())
    assert content == {"ServerApp": {"jpserver_extensions": {"lenticular.platform.server": True}}}


# Fuzzing

_LONGEST_ADDRESS = 50_000


def question_of(operation: Any, draw: st.DataObject, known: dict[str, Any], *, valid: bool) -> Any:
    """Draw a case; sometimes what it names exists, so that it gets beyond the first check."""
    mode = schemathesis.GenerationMode.POSITIVE if valid else schemathesis.GenerationMode.NEGATIVE
    case = draw.draw(operation.as_strategy(generation_mode=mode))
    if valid and draw.draw(st.integers(0, 3)):
        place = case.body if isinstance(case.body, dict) else case.query
        names = {parameter.name for parameter in operation.query} if place is case.query else set(place)
        for name in sorted(names & known.keys()):
            if name in place or draw.draw(st.booleans()):
                place[name] = known[name]
        place.pop("after", None)
    return case


def fuzz(
    address: str, base_url: str, token: str, known: dict[str, Any], operation_id: tuple[str, str]
) -> int:
    """Ask a route of a running server with drawn questions; return how often it gave an answer."""
    schema = schemathesis.openapi.from_dict(description())
    schema.config.update(base_url=address + base_url.rstrip("/"))
    operation = schema[operation_id[0]][operation_id[1]]
    headers = {"Authorization": f"token {token}"}
    answered = 0

    @settings(
        max_examples=10,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(draw=st.data(), valid=st.booleans())
    def ask_anything(draw: st.DataObject, valid: bool) -> None:  # noqa: FBT001  hypothesis gives it
        nonlocal answered
        case = question_of(operation, draw, known, valid=valid)
        # Tornado hangs up on an address of more than 64 kB before any route sees it.
        assume(len(urlencode(case.query or {}, doseq=True)) < _LONGEST_ADDRESS)
        response = case.call(headers=headers)
        answered += response.status_code == 200
        case.validate_response(response, checks=CHECKS)

    ask_anything()
    return answered


WITHOUT_ANSWER = {("run", "GET"), ("run/cancel", "POST"), ("run/restart", "POST"), ("runs", "POST")}
"""Routes that need a run, or change one, and have none here."""


def dataset_id(site: Site) -> str:
    """Return the UUID of a dataset that there is."""
    with Repository.open(site.repository) as repository:
        return str(repository.datasets("seed", "seeds", limit=1)["dataset_id"][0])


@pytest.mark.slow
@pytest.mark.parametrize("lenticular_settings", [{"read_only": True, "timeout": 60.0}])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_no_question_breaks_the_server_or_the_description(
    jp_serverapp: ServerApp,
    http_server_client: Any,
    jp_base_url: str,
    jp_root_dir: Path,
    site: Site,
    path: str,
    method: str,
) -> None:
    shutil.copy(site.graph, jp_root_dir / "stages.qg")
    shutil.copy(site.fits, jp_root_dir / "exposure.fits")
    known = {
        "label": "toy",
        "parent": "outer",
        "name": "inner",
        "glob": "*",
        "dataset_type": "seed",
        "collections": ["inner"],
        "pipeline": "stages",
        "inputs": ["seeds"],
        "path": "exposure.fits" if "fits" in path else "stages.qg",
        "hdu": 1,
        "task": "one",
        "config": [],
        "where": "",
        "id": dataset_id(site),
    }
    answered = await asyncio.get_running_loop().run_in_executor(
        None,
        fuzz,
        http_server_client.get_url(""),
        jp_base_url,
        jp_serverapp.identity_provider.token,
        known,
        (path, method),
    )
    nothing_to_answer = (path.removeprefix(f"/{PREFIX}/"), method) in WITHOUT_ANSWER
    assert (answered == 0) == nothing_to_answer
