"""What a visitor of Binder waits for, and how much memory it takes, without docker.

usage: python benchmarks/binder.py [--small] [--demo FOLDER]

The image is made by binder/postBuild from an export of this checkout, in an environment of its own
that sees the installed dependencies. Then binder/start runs as on mybinder.org: 2 GB of memory, one
processor, no network, no variable of ours. Each line printed is one JSON object, with the seconds
since the start: the server answers, the first picture, the workbench's page, and the tutorial run
from its first cell to its last beside the workbench. There is no peer; the figures
are absolute and of this machine. Memory is the largest sum of proportional set sizes (PSS).

--small ends after the first picture. --demo spares the building of the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from container import cage, leave_network
from kernel import JupyterServer, Kernel
from meter import Meter, marked

from lenticular.platform.services import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from container import Cage

__all__ = ["Figures", "Image", "build_image", "visit"]

ROOT = Path(__file__).parents[1]
MEMORY = 2_000_000_000
"""What mybinder.org allows a visitor [byte]."""

_MARK = "LENTICULAR_BENCHMARK"
_START_SECONDS = 300.0
_PICTURE = """\
from lenticular import widgets
widgets.enable()
viewer = widgets.ExposureViewer("demo", collections=["demo/single-visit"])
await viewer.ready()
assert viewer.error is None, viewer.error
"""
_PIXELS = "exec(viewer.as_python())"


@dataclass(frozen=True)
class Figures:
    """One stage of a visit."""

    benchmark: str
    case: str
    seconds: float
    peak_megabytes: float
    limited: bool
    """Whether the kernel held the visit to the memory."""
    offline: bool
    """Whether there was no network."""


@dataclass(frozen=True)
class Image:
    """What an image holds that matters here."""

    home: Path
    """The visitor's home, with the repository of this project in it."""

    environment: Path
    """The Python environment."""

    def variables(self) -> dict[str, str]:
        """Return all the variables that a container sets."""
        return {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join([str(self.environment / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
        }


def build_image(folder: Path, demo: Path | None = None) -> Image:
    """Do what Binder does when an image is built.

    Parameters
    ----------
    folder
        Where to make the home and the environment.
    demo
        A finished demo to begin from, instead of building one.
    """
    image = Image(folder / "home", folder / "environment")
    _export(image.home)
    venv.create(image.environment, with_pip=True)
    site = sysconfig.get_path("purelib", "venv", {"base": str(image.environment)})
    # As a plain path: that folder's own .pth files, and so this checkout, stay out.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for part in ("etc/jupyter", "share/jupyter"):  # what the dependencies' wheels put beside Python
        ours = shutil.ignore_patterns("lenticular*", "@lenticular")
        shutil.copytree(Path(sys.prefix, part), image.environment / part, ignore=ours)
    if demo is not None:
        visitors = shutil.ignore_patterns("notebooks", "runs", "lock")
        shutil.copytree(demo, image.home / ".lenticular" / "demo", ignore=visitors)
    script = [str(image.home / "binder" / "postBuild")]
    subprocess.run(script, cwd=image.home, env=image.variables(), check=True, stdout=sys.stderr)
    return image


def _export(home: Path) -> None:
    """Copy what git has, and what it would have after `git add`."""
    git = [shutil.which("git") or "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    extension = Path("platform/labextension/dist")  # built once, for the tests of everything
    built = [path.relative_to(ROOT) for path in (ROOT / extension).rglob("*") if path.is_file()]
    for name in [*filter(None, listed), *map(str, built)]:
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, home / name)


@contextmanager
def visit(image: Image, bounds: Cage, mark: str) -> Iterator[JupyterServer]:
    """Run `binder/start` as a container would, and stop it at the end.

    Parameters
    ----------
    image
        What `build_image` returned.
    bounds
        What the visit is held to.
    mark
        Value by which its processes are found.
    """
    token, port = secrets.token_hex(16), free_port()
    variables = {**image.variables(), _MARK: mark, "JUPYTER_TOKEN": token}
    command = ["python3", "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--no-browser"]
    root = ["--allow-root"] if os.geteuid() == 0 else []
    words = bounds.command([str(image.home / "binder" / "start"), *command, *root])
    with subprocess.Popen(words, cwd=image.home, env=variables, stdout=sys.stderr) as process:
        try:
            jupyter = JupyterServer(f"http://127.0.0.1:{port}", token)
            jupyter.wait(_START_SECONDS)
            yield jupyter
        finally:
            process.terminate()


def _stages(server: JupyterServer, *, all_of_it: bool) -> Iterator[str]:
    yield "server answers"
    with Kernel(server) as kernel:
        kernel.run(_PICTURE)
        yield "first picture"
        if "VisitImage" not in (shown := kernel.run(_PIXELS)):
            raise RuntimeError(f"There was no picture, but {shown!r}")
    if not all_of_it:
        return
    server.fetch("lenticular/views/workbench?label=demo")  # stays beside all that follows
    yield "workbench served"
    cells = server.ask("api/contents/first-look.ipynb")["content"]["cells"]
    with Kernel(server) as kernel:
        for cell in cells:
            if cell["cell_type"] == "code":
                kernel.run(cell["source"])
        if "succeeded" not in (state := kernel.run("print(status.state)")):
            raise RuntimeError(f"The tutorial's run has {state}")
    yield "tutorial done"


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="end after the first picture")
    parser.add_argument("--demo", type=Path, help="a finished demo of the size tiny to begin from")
    options = parser.parse_args()
    offline = leave_network()
    mark = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="lenticular-") as folder, cage(MEMORY) as bounds:

        def tell(case: str, seconds: float, peak: int) -> None:
            figures = Figures("binder", case, round(seconds, 1), round(peak / 1e6), bounds.limited, offline)
            print(json.dumps(asdict(figures)), flush=True)

        began = time.monotonic()
        image = build_image(Path(folder), options.demo)
        tell("image", time.monotonic() - began, 0)
        began = time.monotonic()
        meter = Meter(marked(_MARK, mark))
        meter.start()
        with visit(image, bounds, mark) as server:
            for stage in _stages(server, all_of_it=not options.small):
                tell(stage, time.monotonic() - began, meter.peak)
        meter.stop()
        if bounds.kills:
            raise MemoryError(f"{bounds.kills} processes were killed for want of memory")


if __name__ == "__main__":
    main()
