"""The extension in a real JupyterLab, by clicking, dragging and typing."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.browser.conftest import Desk

LONG_MS = 240_000
"""A run of a few quanta, or the first served view, on a machine that is busy with other tests."""

expect.set_options(timeout=60_000)


def open_lab(desk: Desk) -> Locator:
    """Open JupyterLab without what earlier tests left open, and show our side bar."""
    desk.page.goto(desk.url(f"lab?reset&token={desk.token}"))
    expect(desk.page.locator(".jp-LauncherCard").first).to_be_visible()
    sidebar = desk.page.locator("#lenticular-sidebar")
    if not sidebar.is_visible():
        desk.page.get_by_role("tab", name="lenticular").click()
    expect(row(desk, "repository", "demo")).to_be_visible()
    return sidebar


def row(desk: Desk, kind: str, name: str) -> Locator:
    """Return a row of the tree."""
    return desk.page.locator(f'#lenticular-sidebar .lv-tree [data-lv="{kind}"]').filter(has_text=name).first


def expand(desk: Desk, kind: str, name: str) -> Locator:
    """Open a row of the tree, unless it is open."""
    found = row(desk, kind, name)
    if found.get_attribute("aria-expanded") != "true":
        found.locator(".lv-twisty").click()
    expect(found).to_have_attribute("aria-expanded", "true")
    return found


def new_notebook(desk: Desk) -> Locator:
    """Make a notebook from its card, and return its code cells."""
    desk.page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    expect(desk.page.get_by_text("| Idle").first).to_be_visible()
    return desk.page.locator(".jp-Notebook .jp-CodeCell")


def drag(desk: Desk, what: Locator, onto: Locator) -> None:
    """Drag something by the mouse, in as many small steps as a hand would take."""
    what.hover()
    desk.page.mouse.down()
    box = onto.bounding_box()
    assert box is not None
    desk.page.mouse.move(box["x"] + 40, box["y"] + 20, steps=20)
    desk.page.mouse.up()


def run_cell(desk: Desk, cell: Locator) -> Locator:
    """Run a cell in place, and return what it shows."""
    cell.locator(".cm-content").click()
    desk.page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]"))
    return cell.locator(".jp-OutputArea-output").first


def launch_run(desk: Desk, output: str, *, where: str) -> dict[str, Any]:
    """Start a run as the extension's routes let one."""
    request = {
        "label": "demo",
        "pipeline": "single-visit",
        "inputs": ["CerroCam/defaults"],
        "where": where,
        "config": [],
        "output": output,
        "workers": 1,
    }
    answer = desk.page.request.post(
        desk.url("lenticular/api/runs"), data=request, headers=desk.authorization, timeout=60_000
    )
    assert answer.ok, answer.text()
    run: dict[str, Any] = answer.json()
    return run


@pytest.mark.slow
def test_the_tree_puts_code_into_a_notebook(desk: Desk) -> None:
    sidebar = open_lab(desk)
    expand(desk, "repository", "demo")
    expand(desk, "collection", "demo/single-visit")
    desk.shoot("tree")
    cells = new_notebook(desk)
    expand(desk, "dataset-type", "preliminary_visit_image")
    first = row(desk, "dataset", "visit")
    first.hover()
    first.locator(".lv-insert").click()
    expect(cells).to_have_count(1)
    expect(cells.first).to_contain_text("preliminary_visit_image")
    expect(run_cell(desk, cells.first)).to_contain_text("VisitImage", timeout=LONG_MS)
    drag(desk, row(desk, "dataset-type", "isr_metadata"), cells.first.locator(".cm-content"))
    # JupyterLab puts what is dropped onto a cell before it.
    expect(cells).to_have_count(2)
    expect(cells.first).to_contain_text("isr_metadata")
    expect(run_cell(desk, cells.first)).to_contain_text("CerroCam")
    cells.last.locator(".jp-InputArea-prompt").click()
    row(desk, "dataset-type", "isr_statistics").dblclick()
    expect(cells).to_have_count(3)
    expect(cells.last).to_contain_text("isr_statistics")
    expect(run_cell(desk, cells.last)).to_contain_text("CerroCam")
    assert "import" not in cells.last.inner_text(), "what the notebook has is not imported again"
    expect(sidebar.locator(".lv-details")).to_contain_text("isr_statistics")
    desk.shoot("code")
    expect(desk.page.get_by_text("Traceback")).to_have_count(0)
    assert not desk.left_the_machine


@pytest.mark.slow
def test_the_tree_by_filter_keyboard_and_menu(desk: Desk) -> None:
    sidebar = open_lab(desk)
    expand(desk, "repository", "demo")
    sidebar.get_by_role("searchbox").fill("*/calib/f*")
    expect(row(desk, "collection", "CerroCam/calib/flat")).to_be_visible()
    expect(row(desk, "collection", "CerroCam/calib/bias")).to_have_count(0)
    desk.shoot("filtered")
    sidebar.get_by_role("button", name="Clear the filter").click()
    expect(row(desk, "collection", "CerroCam/defaults")).to_be_visible()
    cells = new_notebook(desk)
    row(desk, "repository", "demo").click()
    desk.page.keyboard.press("End")
    desk.page.keyboard.press("Home")
    expect(row(desk, "repository", "demo")).to_be_focused()
    desk.page.keyboard.type("cerrocam/def")
    expect(row(desk, "collection", "CerroCam/defaults")).to_be_focused()
    desk.page.keyboard.press("ArrowRight")
    expect(row(desk, "collection", "CerroCam/defaults")).to_have_attribute("aria-expanded", "true")
    desk.page.keyboard.press("Enter")
    expect(cells.first).to_contain_text("CerroCam/defaults")
    row(desk, "collection", "CerroCam/defaults").click(button="right")
    desk.page.get_by_role("menuitem", name="Copy name").click()
    expect(desk.page.get_by_text("Copied").first).to_be_visible()
    desk.page.keyboard.press("Control+Shift+c")
    desk.page.locator(".lm-CommandPalette-input:visible").fill("refresh repositories")
    desk.page.keyboard.press("Enter")
    expect(row(desk, "repository", "demo")).to_be_visible()
    assert not desk.left_the_machine


@pytest.mark.slow
def test_runs_are_live_and_outlast_page_and_server(desk: Desk) -> None:
    sidebar = open_lab(desk)
    run = launch_run(desk, "u/lab/runs", where="instrument = 'CerroCam' AND visit = 61101402")
    shown = sidebar.locator(f'[data-lv="run"][data-name="{run["id"]}"]')
    expect(shown).to_be_visible()
    expect(desk.page.locator(".lv-status")).to_contain_text("run", timeout=LONG_MS)
    desk.page.reload()
    expect(shown).to_be_visible()
    desk.page.route("**/lenticular/api/**", lambda route: route.abort())
    expect(sidebar.get_by_text("does not answer").first).to_be_visible(timeout=LONG_MS)
    desk.shoot("server-gone")
    desk.page.unroute("**/lenticular/api/**")
    expect(shown).to_contain_text("succeeded", timeout=LONG_MS)
    expect(sidebar.get_by_text("does not answer")).to_have_count(0)
    shown.click()
    expect(sidebar.locator(".lv-details")).to_contain_text("single-visit")
    desk.shoot("succeeded")
    cancelled = launch_run(desk, "u/lab/cancelled", where="instrument = 'CerroCam'")
    other = sidebar.locator(f'[data-lv="run"][data-name="{cancelled["id"]}"]')
    other.click(button="right")
    desk.page.get_by_role("menuitem", name="Cancel run").click()
    desk.page.get_by_role("button", name="Cancel the run").click()
    expect(other).to_contain_text("cancelled", timeout=LONG_MS)
    desk.shoot("cancelled")
    assert not desk.left_the_machine


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["Dark", "Light"])  # what is chosen last stays
def test_cards_open_the_tutorial_and_the_workbench(desk: Desk, theme: str) -> None:
    open_lab(desk)
    desk.page.get_by_role("menuitem", name="Settings").click()
    entries = desk.page.locator(".lm-Menu-itemLabel")
    entries.get_by_text("Theme", exact=True).hover()
    entries.get_by_text(f"JupyterLab {theme}", exact=True).click()
    is_light = str(theme == "Light").lower()
    expect(desk.page.locator("body")).to_have_attribute("data-jp-theme-light", is_light)
    card = desk.page.locator(".jp-LauncherCard")
    desk.shoot(f"launcher-{theme}")
    card.filter(has_text="Workbench").click()
    inside = desk.page.frame_locator("iframe.lv-frame")
    expect(inside.locator(".lenticular-Workbench")).to_be_visible(timeout=LONG_MS)
    expect(inside.get_by_text("CerroCam/defaults")).to_be_visible(timeout=LONG_MS)
    inside.locator(".tabulator-row").filter(has_text="CerroCam/defaults").locator("input").click()
    expect(inside.get_by_text("searched in this order")).to_be_visible()
    desk.shoot(f"workbench-{theme}")
    desk.page.get_by_role("tab", name="Launcher").click()
    card.filter(has_text="Tutorial").click()
    expect(desk.page.get_by_role("tab", name="first-look.ipynb")).to_be_visible()
    assert not desk.left_the_machine


@pytest.fixture
def _documents(demo_folder: Path, demo_python: Callable[[str], None]) -> None:
    """Put a graph and an exposure beside the tutorials."""
    graph = next((demo_folder / "runs").glob("*/*.qg"))
    shutil.copy(graph, demo_folder / "notebooks" / "night.qg")
    demo_python(
        "from pathlib import Path; from lsst.daf.butler import Butler\n"
        "butler = Butler.from_config('demo', collections='demo/single-visit')\n"
        "uri = butler.getURI('preliminary_visit_image', instrument='CerroCam', visit=61101402, detector=0)\n"
        "Path('notebooks/exposure.fits').write_bytes(uri.read())\n"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("_documents")
def test_graphs_and_images_open_as_documents(desk: Desk) -> None:
    open_lab(desk)
    desk.page.get_by_role("tab", name="File Browser").click()
    desk.page.locator(".jp-DirListing-item").filter(has_text="night.qg").dblclick()
    graph = desk.page.locator(".lv-graph")
    expect(graph.locator(".lv-node").filter(has_text="calibrateImage").first).to_be_visible()
    graph.locator(".lv-node").filter(has_text="calibrateImage").first.click()
    expect(graph.locator(".lv-quanta tbody tr").first).to_be_visible()
    desk.shoot("graph")
    desk.page.locator(".jp-DirListing-item").filter(has_text="exposure.fits").dblclick()
    image = desk.page.locator(".lv-fits")
    expect(image.locator("img.lv-image")).to_be_visible()
    expect(image.locator(".lv-cards")).to_contain_text("EXTNAME")
    desk.shoot("exposure")
    image.locator('[data-lv-control="stretch"]').select_option("log")
    expect(image.locator("img.lv-image")).to_be_visible()
    image.locator('.lv-hdus tr[data-hdu="3"]').click()
    expect(image.locator(".lv-cards")).to_contain_text("VARIANCE")
    desk.shoot("variance")
    assert not desk.left_the_machine
