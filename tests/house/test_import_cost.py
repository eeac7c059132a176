"""What an import pulls in, since half of a first picture's wait is imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "panel",
    "bokeh",
    "lsst.images",
    "lsst.daf.butler",
    "lsst.pipe.base",
    "astropy.io.fits",
    "pyarrow",
    "s3fs",
    "moto",
)


def imported_by(statement: str) -> set[str]:
    """Return the names of all modules that a statement imports, in a process of its own."""
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(result.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import lenticular.butler",
        "import lenticular.butler.errors",
        "import lenticular.platform.cli",
        "import lenticular.platform.services",
        "import lenticular.platform.runs",
    ],
)
def test_imports_stay_light(statement: str) -> None:
    modules = imported_by(statement)
    assert not modules & set(HEAVY)


def test_the_probe_sees_a_heavy_import() -> None:
    assert "lsst.daf.butler" in imported_by("import lsst.daf.butler")
