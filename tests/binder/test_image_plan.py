"""What repo2docker would do with this repository, told without docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"


def export(folder: Path) -> None:
    """Copy what git has, and what it would have after `git add`: what Binder clones."""
    git = [shutil.which("git") or "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the Dockerfile that repo2docker makes of an export of this checkout."""
    folder = tmp_path_factory.mktemp("export")
    export(folder)
    tool = str(Path(sys.executable).with_name("jupyter-repo2docker"))
    command = [tool, "--no-build", "--debug", "--user-id", "1000", "--user-name", "jovyan", "."]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def pins(file: Path) -> dict[str, str]:
    """Return the version and the hashes that a lock file has for each package."""
    entries = re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n", "", file.read_text(), flags=re.MULTILINE))
    found = (re.match(r"([\w.-]+)==(.+)", entry.strip(), re.DOTALL) for entry in entries if "==" in entry)
    return {match[1]: _plain(match[2]) for match in found if match is not None}


def _plain(text: str) -> str:
    return " ".join(sorted(re.findall(r"^[^\s;]+|sha256:\w+", text)))


def test_the_python_of_the_image_is_that_of_the_project(plan: str) -> None:
    assert (BINDER / "runtime.txt").read_text().strip() == f"python-{_python_version()}"
    assert f"Building conda environment for python={_python_version()}\n" in plan


def _python_version() -> str:
    return (ROOT / ".python-version").read_text().strip()


def test_packages_are_a_layer_of_their_own_below_the_repository(plan: str) -> None:
    # They take minutes; a new commit of the repository alone does not repeat them.
    steps = [line.strip() for line in plan.splitlines()]
    packages = next(n for n, line in enumerate(steps) if line.endswith('-r "binder/requirements.txt"'))
    repository = next(n for n, line in enumerate(steps) if re.match(r"COPY .*src/ \$\{REPO_DIR\}/$", line))
    assert packages < repository


def test_the_repository_is_built_with_the_image_and_served_at_its_start(plan: str) -> None:
    steps = [line.strip() for line in plan.splitlines()]
    assert "RUN ./binder/postBuild" in steps
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in steps
    # As the visitor, not as root.
    assert steps.index("RUN ./binder/postBuild") > max(
        number for number, line in enumerate(steps) if line == "USER ${NB_USER}"
    )


@pytest.mark.parametrize("script", ["postBuild", "start"])
def test_the_scripts_can_be_run(script: str) -> None:
    assert os.access(BINDER / script, os.X_OK)
    bash = shutil.which("bash") or "bash"
    subprocess.run([bash, "-n", BINDER / script], check=True)


def test_packages_are_those_that_are_tested_here() -> None:
    tested, packages = pins(ROOT / "requirements.lock"), pins(BINDER / "requirements.txt")
    assert len(packages) > 100
    assert {name: tested.get(name) for name in packages} == packages


def test_every_package_that_a_visitor_needs_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["demo"]]
    names = {re.split(r"[^\w.-]", line)[0] for line in wanted}
    assert names <= set(pins(BINDER / "requirements.txt"))


def test_what_is_only_for_developers_stays_out() -> None:
    assert pins(BINDER / "requirements.txt").keys().isdisjoint({"pytest", "mypy", "playwright", "jupyterhub"})


def test_nothing_has_to_be_compiled_against_libpq() -> None:
    # psycopg2-binary brings the same module with its own libpq.
    assert "psycopg2" not in pins(BINDER / "requirements.txt")
