"""The wheel in an empty environment without Node: everything that it promises is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from email.message import Message

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXTENSION = "platform/labextension/dist/package.json"
LAYERS = ("butler", "pipelines", "platform", "widgets")


@dataclass(frozen=True)
class Built:
    """What was built: the source distribution, and the wheel made from it."""

    sdist: Path
    wheel: Path

    @property
    def files(self) -> set[str]:
        """Names of the wheel's files."""
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    @property
    def metadata(self) -> Message:
        """The wheel's metadata."""
        (name,) = (name for name in self.files if name.endswith(".dist-info/METADATA"))
        with zipfile.ZipFile(self.wheel) as archive:
            return message_from_string(archive.read(name).decode())


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds the wheel, and borrows its dependencies."""

    folder: Path

    def run(self, *command: str) -> str:
        """Run a command of the environment with nothing else on the PATH; return what it said."""
        program = self.folder / "bin" / command[0]
        done = subprocess.run(
            [program, *command[1:]],
            env={"PATH": str(self.folder / "bin"), "HOME": str(self.folder), "LANG": "C.UTF-8"},
            cwd=self.folder,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the source distribution from the checkout, and the wheel from that alone."""
    folder = tmp_path_factory.mktemp("dist")
    if not (ROOT / EXTENSION).exists():
        subprocess.run([ROOT / ".ci" / "install-labextension", sys.prefix], check=True)
    hatchling = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t"]
    subprocess.run([*hatchling, "sdist"], cwd=ROOT, check=True)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    subprocess.run([*hatchling, "wheel"], cwd=source, check=True)
    (wheel,) = folder.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel into an environment that has nothing of this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    made = Environment(folder)
    made.run("python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(built.wheel))
    site = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
    # As a plain path: the .pth files in there, and so the editable install, stay out.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made


@pytest.fixture(scope="module")
def project() -> Any:
    """Return the project's table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_there_is_no_node_in_the_environment(environment: Environment) -> None:
    assert shutil.which("node", path=str(environment.folder / "bin")) is None


def test_the_command_is_there(environment: Environment, project: Any) -> None:
    assert environment.run("lenticular", "--version").split()[-1] == project["version"]
    assert "--folder" in environment.run("lenticular", "demo", "--help")


def test_the_four_layers_are_imported_from_the_environment(environment: Environment) -> None:
    modules = ", ".join(f"lenticular.{layer}" for layer in LAYERS)
    names = ", ".join(f"lenticular.{layer}.__file__" for layer in LAYERS)
    places = environment.run("python", "-c", f"import {modules}; print({names}, sep='\\n')").splitlines()
    assert len(places) == len(LAYERS)
    assert all(Path(place).is_relative_to(environment.folder) for place in places)


def test_the_layers_say_that_they_are_typed(built: Built) -> None:
    assert {f"lenticular/{layer}/py.typed" for layer in LAYERS} <= built.files


def test_the_server_extension_is_enabled_by_being_installed(environment: Environment) -> None:
    said = _plain(environment.run("python", "-m", "jupyter_server.extension.serverextension", "list"))
    assert re.search(r"lenticular\.platform\.server\s+enabled", said)
    assert re.search(r"lenticular\.platform\.server\b.*\bOK\b", said)


def test_the_jupyterlab_extension_is_there_ready_built(environment: Environment) -> None:
    said = _plain(environment.run("python", "-m", "jupyterlab.labextensions", "list"))
    (line,) = (line for line in said.splitlines() if "@lenticular/labextension" in line)
    assert "enabled" in line
    assert "OK" in line
    assert "(python, lenticular)" in line  # install.json: who uninstalls it


def test_the_tutorials_are_there(environment: Environment) -> None:
    code = "from lenticular.platform.demo.tutorials import tutorials_folder as f; print(f())"
    folder = Path(environment.run("python", "-c", code).strip())
    assert folder.is_relative_to(environment.folder)
    wanted = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {path.name for path in folder.glob("*.ipynb")} == wanted


def test_the_pipelines_are_there(environment: Environment) -> None:
    code = (
        "from lenticular.pipelines.definitions import pipeline_uri\n"
        "from lsst.resources import ResourcePath\n"
        "print(ResourcePath(pipeline_uri('single-visit')).read().decode())"
    )
    assert "calibrateImage" in environment.run("python", "-c", code)


def test_tests_sources_of_the_extension_and_other_ballast_stay_out(built: Built) -> None:
    ballast = re.compile(r"(^|/)(tests|node_modules|__pycache__|benchmarks)/|\.tsx?$|\.tsbuildinfo$")
    assert [name for name in sorted(built.files) if ballast.search(name)] == []


def test_the_source_distribution_holds_what_git_holds_of_the_packages(built: Built) -> None:
    listed = subprocess.run(
        [
            shutil.which("git") or "git",
            "ls-files",
            "-z",
            *(f"{layer}/lenticular" for layer in LAYERS),
            "notebooks",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with tarfile.open(built.sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in listed.split("\0") if name and (ROOT / name).exists()} <= held


def test_the_metadata_is_that_of_the_project(built: Built, project: Any) -> None:
    metadata = built.metadata
    required = metadata.get_all("Requires-Dist") or []
    names = {re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line}
    assert names == {re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]}
    assert set(metadata.get_all("Provides-Extra") or []) == set(project["optional-dependencies"])
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert any(name.endswith("/licenses/LICENSE") for name in built.files)


def test_nothing_in_the_wheel_tells_where_it_was_built(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        for name in archive.namelist():
            assert str(ROOT).encode() not in archive.read(name), name


def _plain(text: str) -> str:
    """Return text without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
