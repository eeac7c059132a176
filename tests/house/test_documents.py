"""Documentation that cannot rot: what exists is described, what is described exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click
import pytest

from lenticular.pipelines.definitions import pipeline_names
from lenticular.platform.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
ALL_TEXT = "\n".join(path.read_text() for path in DOCUMENTS)


def commands(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    """Return a command and everything below it."""
    found = [(name, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            below = command.get_command(context, child)
            assert below is not None
            found += commands(below, f"{name} {child}")
    return found


def test_the_command_reference_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("build_cli", ROOT / "docs" / "build_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "cli.md").read_text() == module.reference(), "run `make docs`"


@pytest.mark.parametrize(("name", "command"), commands(cli, "lenticular"), ids=str)
def test_every_command_and_option_has_a_help_text(name: str, command: click.Command) -> None:
    assert command.help, name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("name", pipeline_names())
def test_every_shipped_pipeline_is_described(name: str) -> None:
    assert f"`{name}`" in ALL_TEXT


def test_every_environment_variable_is_described() -> None:
    described = (ROOT / "docs" / "settings.md").read_text()
    pattern = re.compile(
        r"[\"'](LENTICULAR_[A-Z_]+|DAF_BUTLER_[A-Z_]+|S3_[A-Z_]+|AWS_[A-Z0-9_]+|LSST_[A-Z0-9_]+|XDG_[A-Z_]+)[\"']"
    )
    used = {
        name
        for layer in ("butler", "pipelines", "platform", "widgets")
        for path in (ROOT / layer).rglob("*.py")
        for name in pattern.findall(path.read_text())
    }
    assert used
    assert not {name for name in used if f"`{name}" not in described}


def test_every_make_target_is_described() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    assert {"demo", "test"} <= targets
    assert not {name for name in targets if f"make {name}" not in ALL_TEXT}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert not [target for target in targets if not (path.parent / target).exists()]
