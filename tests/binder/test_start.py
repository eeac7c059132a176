"""A visit to Binder from its start to the last cell of the tutorial, within Binder's limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# A folder with a finished demo saves its building while tests are written.
DEMO = os.environ.get("LENTICULAR_TEST_DEMO")


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    """Build an image, visit it, and return what was measured at each stage."""
    command = [sys.executable, str(ROOT / "benchmarks" / "binder.py"), *(["--demo", DEMO] if DEMO else [])]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {stage["case"]: stage for stage in found}


def test_a_visitor_gets_from_the_start_to_the_end_of_the_tutorial(stages: dict[str, Any]) -> None:
    wanted = ["image", "server answers", "first picture", "workbench served", "tutorial done"]
    assert list(stages) == wanted


def test_a_visit_needs_no_more_memory_than_binder_gives(stages: dict[str, Any]) -> None:
    assert 100 < stages["tutorial done"]["peak_megabytes"] < 2000
