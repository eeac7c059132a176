"""A demo of the smallest size, a browser without a network, and pictures of what it shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "screenshots"

# Slow machines draw the first view half a minute after the cell has run.
TIMEOUT_MS = 60_000

# A folder with a finished demo saves its building while tests are written.
FOLDER_VARIABLE = "LENTICULAR_TEST_DEMO"

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_FOREIGN = ("AWS_", "S3_", "LSST_", "DAF_BUTLER_", "LENTICULAR_", "JUPYTER")


@dataclass
class Desk:
    """A page that is open in the browser, and everything it has asked for."""

    page: Page
    address: str
    name: str
    requests: list[str] = field(default_factory=list)
    shots: int = 0
    cells_run: int = 0

    def url(self, path: str) -> str:
        """Return the address of a path on the server."""
        return f"{self.address.partition('/lab/')[0]}/{path}"

    @property
    def token(self) -> str:
        """What lets one in."""
        return self.address.partition("token=")[2]

    @property
    def authorization(self) -> dict[str, str]:
        """Headers that let a request in."""
        return {"Authorization": f"token {self.token}"}

    @property
    def left_the_machine(self) -> list[str]:
        """Addresses of other machines that the page asked."""
        local = {"127.0.0.1", "localhost", None, ""}
        return [url for url in self.requests if urlsplit(url).hostname not in local]

    def view(self, name: str) -> Locator:
        """Return a view on the page by the name of its class."""
        return self.page.locator(f".lenticular-{name}").last

    def shoot(self, name: str, of: Locator | None = None) -> Path:
        """Take a picture of the page, or of one view, and number it."""
        self.shots += 1
        path = SCREENSHOTS / f"{self.name}-{self.shots:02d}-{name}.png"
        if of is None:
            self.page.screenshot(path=path)
        else:
            expect(of.locator(".lv-busy:visible")).to_have_count(0)
            of.scroll_into_view_if_needed()
            of.screenshot(path=path)
        return path

    def settle(self) -> None:
        """Wait until the browser has drawn what it has."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )


@pytest.fixture(scope="session", autouse=True)
def _screenshots_folder() -> None:
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir()


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the demo."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else tmp_path_factory.mktemp("demo")


@pytest.fixture
def demo_python(demo_folder: Path, demo_address: str) -> Callable[[str], None]:
    """Return a function that runs Python in the demo's folder, led to its repository and store."""
    assert demo_address

    def run(code: str) -> None:
        command = f'. ./env.sh && exec "{sys.executable}" -'
        subprocess.run(["/bin/bash", "-c", command], input=code, text=True, cwd=demo_folder, check=True)

    return run


@pytest.fixture(scope="session")
def demo_address(demo_folder: Path) -> Iterator[str]:
    """Run the demo as a visitor would, and return the address it tells."""
    folder = demo_folder
    shutil.rmtree(folder / "notebooks", ignore_errors=True)
    command = [str(Path(sys.executable).with_name("lenticular")), "demo", "--size", "tiny"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    process = subprocess.Popen(
        [*command, "--folder", str(folder)], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    heard = []
    try:
        for line in process.stderr:
            heard.append(line)
            if line.startswith("Open "):
                break
        else:
            pytest.fail("The demo did not start:\n" + "".join(heard))
        yield (folder / "address").read_text()
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def base_url() -> None:
    """Stand in for pytest-base-url's fixture, which this pytest calls deprecated."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Drive the system's Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    assert found is not None, "Chromium is missing; `make setup` installs it."
    return {**browser_type_launch_args, "executable_path": found, "args": list(_FLAGS)}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Give the page the room of a laptop's screen, and more height for whole views."""
    return {**browser_context_args, "viewport": {"width": 1200, "height": 1250}}


@pytest.fixture
def desk(page: Page, request: pytest.FixtureRequest, demo_address: str) -> Iterator[Desk]:
    """Return an empty page that writes down what it asks for; its kernels end with the test."""
    page.set_default_timeout(TIMEOUT_MS)
    name = request.node.name.removeprefix("test_").split("[")[0].replace("_", "-")
    desk = Desk(page, demo_address, name)
    page.context.on("request", lambda asked: desk.requests.append(asked.url))
    yield desk
    headers = desk.authorization
    for session in page.request.get(desk.url("api/sessions"), headers=headers).json():
        page.request.delete(desk.url(f"api/sessions/{session['id']}"), headers=headers)
