"""A program of the visitor's own in place of the demo's JupyterLab."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from lenticular.butler.errors import ServiceError
from lenticular.platform.cli.demo import demo
from lenticular.platform.demo import session
from lenticular.platform.demo.command import run_command
from lenticular.platform.demo.folder import DemoFolder
from lenticular.platform.demo.session import DemoOptions, run_demo
from lenticular.platform.demo.settings import write_settings
from lenticular.platform.progress import Console

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoFolder:
    """Return the folder of a demo that counts as finished, and keep our own environment."""
    folder = DemoFolder(tmp_path / "demo")
    folder.path.mkdir()
    recipe = DemoOptions(folder.path, size="tiny").recipe
    for step in ("recipe", "created", "populated", "reduced"):
        folder.finish(step, recipe)
    for name in ("AWS_ENDPOINT_URL", "DAF_BUTLER_REPOSITORY_INDEX", "LENTICULAR_RUNS", "LENTICULAR_DEMO"):
        monkeypatch.setenv(name, "before")  # restored afterwards
    return folder


def test_a_program_has_its_variables_its_folder_and_its_exit_code(tmp_path: Path) -> None:
    code = "import os; open('said', 'w').write(os.environ['ODD']); raise SystemExit(7)"
    assert run_command([sys.executable, "-c", code], {"ODD": "a b"}, tmp_path) == 7
    assert (tmp_path / "said").read_text() == "a b"


def test_the_end_by_a_signal_is_told_as_shells_do(tmp_path: Path) -> None:
    assert run_command(["sh", "-c", "kill -KILL $$"], {}, tmp_path) == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no-such-program cannot be started"):
        run_command(["no-such-program"], {}, tmp_path)


def test_a_request_to_stop_reaches_the_program_and_ctrl_c_does_not_reach_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "open('ready', 'w').close()\n"
        "signal.pause()"
    )

    def ask() -> None:
        (tmp_path / "ready").read_text()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    # What is started in the background begins with ctrl-C ignored.
    before = signal.getsignal(signal.SIGINT)
    asker = threading.Thread(target=ask)
    asker.start()
    assert run_command([sys.executable, "-c", code], {}, tmp_path) == 9
    asker.join()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_program_finds_the_demo_and_the_settings_of_its_servers(reduced: DemoFolder) -> None:
    names = ["AWS_ENDPOINT_URL", "DAF_BUTLER_REPOSITORY_INDEX", "LENTICULAR_RUNS", "JUPYTER_CONFIG_PATH"]
    code = f"import json, os; json.dump([os.environ[n] for n in {names}], open('found.json', 'w'))"
    options = DemoOptions(reduced.path, size="tiny", lab=False, command=(sys.executable, "-c", code))
    assert run_demo(options, Console()) == 0
    endpoint, index, runs, configuration = json.loads((reduced.notebooks / "found.json").read_text())
    assert endpoint.startswith("http://127.0.0.1:")
    assert index == str(reduced.index)
    assert runs == str(reduced.runs)
    assert configuration.split(os.pathsep)[0] == str(reduced.settings)
    assert (reduced.notebooks / "first-look.ipynb").exists()


def test_a_demo_that_was_moved_is_found_where_it_is_now(reduced: DemoFolder) -> None:
    reduced.index.write_text("demo: /where/it/was/repository\n")
    run_demo(DemoOptions(reduced.path, size="tiny", lab=False, command=("true",)), Console())
    assert str(reduced.repository) in reduced.index.read_text()


def test_the_command_hands_on_the_exit_code(reduced: DemoFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "run_demo", lambda options, _: len(options.command))
    arguments = ["--folder", str(reduced.path), "--", "jupyter", "lab", "--port=1"]
    assert CliRunner().invoke(demo, arguments, standalone_mode=False).return_value == 3


@pytest.mark.parametrize("option", ["--no-lab", "--browser", "--port=8888"])
def test_options_of_the_lab_make_no_sense_with_a_program(option: str) -> None:
    answer = CliRunner().invoke(demo, [option, "--", "true"])
    assert answer.exit_code == 2
    assert "make no sense" in answer.output


def test_the_demos_servers_ask_nobody_for_news_and_may_launch(tmp_path: Path) -> None:
    write_settings(tmp_path / "config")
    (written,) = (tmp_path / "config").glob("*")
    settings = json.loads(written.read_text())
    assert settings["LabApp"]["news_url"] is None
    assert settings["LabApp"]["extension_manager"] == "readonly"
    assert settings["LenticularApp"]["read_only"] is False
