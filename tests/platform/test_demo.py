"""The demo's folder, port and notebooks; the whole of it is tested in the browser."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING

import click
import pytest

from lenticular.butler.errors import PortInUseError, ServiceError
from lenticular.pipelines.cerro.survey import SurveySize
from lenticular.platform.cli.demo import demo
from lenticular.platform.demo.child import in_child
from lenticular.platform.demo.folder import DemoFolder
from lenticular.platform.demo.lab import choose_port, copy_notebooks
from lenticular.platform.demo.session import DemoOptions, run_demo
from lenticular.platform.demo.tutorials import tutorials_folder
from lenticular.platform.progress import Console
from lenticular.platform.services.process import bound_socket

if TYPE_CHECKING:
    from pathlib import Path


def test_a_finished_step_stays_finished_for_its_recipe_alone(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path)
    folder.finish("created", "tiny")
    assert folder.finished("created", "tiny")
    assert not folder.finished("created", "demo")
    assert not folder.finished("reduced", "tiny")


def test_another_recipe_makes_a_demo_outdated(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path)
    assert not folder.outdated("tiny")
    folder.finish("recipe", "tiny")
    assert not folder.outdated("tiny")
    assert folder.outdated("demo")


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_torn_state_counts_as_nothing_done(content: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(content)
    assert not DemoFolder(tmp_path).finished("created", "tiny")


def test_clearing_keeps_the_visitors_notebooks(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path)
    folder.notebooks.mkdir()
    (folder.notebooks / "mine.ipynb").write_text("{}")
    folder.store.mkdir()
    folder.finish("created", "tiny")
    folder.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notebooks"]
    assert (folder.notebooks / "mine.ipynb").exists()


def test_a_second_demo_in_the_same_folder_is_told_where_the_first_is(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path)
    with folder.claimed():
        folder.tell_address("http://127.0.0.1:8888/lab?token=0123456789")
        folder.write_variables({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000", "ODD": "a b"})
        assert "export ODD='a b'" in folder.variables.read_text()
        assert folder.variables.stat().st_mode & 0o077 == 0
        assert (tmp_path / "address").stat().st_mode & 0o077 == 0
        with (
            pytest.raises(ServiceError, match="running in this folder") as raised,
            DemoFolder(tmp_path).claimed(),
        ):
            pass
        assert str(tmp_path / "address") in str(raised.value.hint)
        assert "0123456789" not in str(raised.value)
    with folder.claimed():
        assert not (tmp_path / "address").exists()
        assert not folder.variables.exists()


def test_another_demo_is_not_taken_away_without_being_asked(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path)
    folder.repository.mkdir()
    folder.finish("recipe", "workshop seed 7")
    with pytest.raises(ServiceError, match="another demo: workshop seed 7"):
        run_demo(DemoOptions(tmp_path, size="tiny", lab=False), Console())
    assert folder.repository.exists()


def test_the_sizes_of_the_command_are_those_of_the_survey() -> None:
    (size,) = (option for option in demo.params if option.name == "size")
    assert isinstance(size.type, click.Choice)
    for name in size.type.choices:
        assert SurveySize.named(name).name == name


def fail(kind: str) -> None:
    """Fail as a build may."""
    if kind == "ours":
        raise PortInUseError("taken", hint="Choose another.")
    if kind == "theirs":
        raise KeyError("something")
    os._exit(9)


def test_work_in_a_child_tells_its_errors() -> None:
    with pytest.raises(PortInUseError, match="Choose another"):
        in_child(fail, "ours")
    with pytest.raises(ServiceError, match="KeyError: 'something'"):
        in_child(fail, "theirs")
    with pytest.raises(ServiceError, match="was killed"):
        in_child(fail, "killed")


def test_a_full_disk_is_told_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    options = DemoOptions(tmp_path / "demo", size="tiny", lab=False)
    with pytest.raises(ServiceError, match="1 MB are free"):
        run_demo(options, Console())
    assert not (tmp_path / "demo" / "repository").exists()


def test_a_port_that_was_asked_for_and_is_taken_is_told_before_anything_is_built(tmp_path: Path) -> None:
    with bound_socket("127.0.0.1", 0) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(PortInUseError, match=str(taken)):
            run_demo(DemoOptions(tmp_path / "demo", size="tiny", port=taken), Console())
    assert not (tmp_path / "demo" / "repository").exists()


def test_without_a_wish_the_next_free_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with bound_socket("127.0.0.1", 0) as listener:
        taken = listener.getsockname()[1]
        monkeypatch.setattr("lenticular.platform.demo.lab.DEFAULT_PORT", taken)
        assert choose_port(None) > taken


def test_a_notebook_that_the_visitor_has_changed_is_left_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "a.ipynb").write_text("new")
    (source / "b.ipynb").write_text("new")
    target.mkdir()
    (target / "a.ipynb").write_text("changed by the visitor")
    assert copy_notebooks(source, target) == 1
    assert (target / "a.ipynb").read_text() == "changed by the visitor"
    assert (target / "b.ipynb").read_text() == "new"


def test_the_tutorials_are_found() -> None:
    assert (tutorials_folder() / "first-look.ipynb").exists()
