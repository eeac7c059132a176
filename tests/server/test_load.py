"""What loading the extension pulls into the Jupyter server."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FORBIDDEN = (
    "PIL",
    "astropy",
    "bokeh",
    "lsst",
    "matplotlib",
    "numpy",
    "panel",
    "pandas",
    "pyarrow",
    "pydantic",
    "scipy",
    "sqlalchemy",
)

LOADING = """
import asyncio, json, sys
from jupyter_server.serverapp import ServerApp
before = set(sys.modules)

async def load():
    app = ServerApp(root_dir=sys.argv[1])
    app.config.ServerApp.jpserver_extensions = {"lenticular.platform.server": True}
    app.initialize(argv=[], new_httpserver=False)
    return [point.app.name for point in app.extension_manager.extension_points.values()]

names = asyncio.run(load())
print(json.dumps({"names": names, "modules": sorted(set(sys.modules) - before)}))
"""


def loaded(folder: Path, code: str = LOADING) -> dict[str, list[str]]:
    """Return what a process that loads the extension has imported, and the extensions it loaded."""
    variables = {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_NO_CONFIG": "1",
        "HOME": str(folder),
        "PATH": "",
    }
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True, env=variables
    )
    found: dict[str, list[str]] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_loading_the_extension_imports_nothing_heavy(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert "lenticular" in found["names"]
    assert "lenticular.platform.server.handlers" in found["modules"]
    heavy = {name.partition(".")[0] for name in found["modules"]} & set(FORBIDDEN)
    assert not heavy


def test_the_probe_sees_a_heavy_import(tmp_path: Path) -> None:
    code = LOADING.replace("names = ", "import pydantic\nnames = ")
    assert "pydantic" in loaded(tmp_path, code)["modules"]
