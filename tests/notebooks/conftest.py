"""A demo of the smallest size, with its object store running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# A folder with a finished demo saves its building while tests are written.
FOLDER_VARIABLE = "LENTICULAR_TEST_DEMO"

_NAMES = ("AWS_", "S3_", "DAF_BUTLER_", "LENTICULAR_")
_FOREIGN = (*_NAMES, "LSST_", "JUPYTER", "PYTHONWARNINGS")

# Tells its variables, and goes on until its input ends.
_PROGRAM = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"


@pytest.fixture(scope="session")
def demo_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run a demo, and return the variables by which a kernel finds its repository."""
    given = os.environ.get(FOLDER_VARIABLE)
    folder = Path(given) if given else tmp_path_factory.mktemp("demo")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    command = [str(Path(sys.executable).with_name("lenticular")), "demo", "--size", "tiny"]
    command += ["--folder", str(folder), "--", sys.executable, "-c", _PROGRAM]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdin is not None
        assert demo.stdout is not None
        told = demo.stdout.readline()
        assert told, "The demo did not start; what it said stands above."
        yield {name: value for name, value in json.loads(told).items() if name.startswith(_NAMES)}
        demo.stdin.close()
        demo.wait(timeout=60)
