"""The public surface: what `__all__` says is what can be had, and nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("butler", "pipelines", "platform", "widgets")
MOST_LINES = 420
"""CONTRIBUTING says about 400."""

SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer / "lenticular").rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def declared_names(path: Path) -> list[str] | None:
    """Return `__all__` as it stands in the file."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.name not in {"__init__.py", "__main__.py"}], ids=module_name
)
def test_every_module_declares_its_public_names(path: Path) -> None:
    names = declared_names(path)
    assert names is not None, f"{module_name(path)} has no __all__"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name == "__init__.py"], ids=module_name)
def test_a_packages_surface_is_what_it_declares(path: Path) -> None:
    declared = declared_names(path)
    if declared is None:
        assert not [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        return
    package = importlib.import_module(module_name(path))
    for name in declared:
        assert getattr(package, name, None) is not None, f"{package.__name__}.{name} cannot be had"
    public = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    stray = {
        name
        for name in public - set(declared)
        if getattr(getattr(package, name), "__module__", "").startswith(package.__name__)
    }
    assert not stray


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_no_root_folder_is_a_package() -> None:
    # `platform/__init__.py` would hide the standard library's module of that name.
    for layer in LAYERS:
        assert not (ROOT / layer / "__init__.py").exists()
        assert not (ROOT / layer / "lenticular" / "__init__.py").exists()
