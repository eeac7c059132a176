"""The tutorial in a real browser, by clicking: from collections to pixels and metrics."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import Desk

LONG_MS = 240_000
"""A run of a few quanta on a machine that is busy with other tests."""

PAINTED = 20.0
"""Standard deviation of the grey values of an exposure on the page; an empty frame has less."""

expect.set_options(timeout=60_000)


def open_notebook(desk: Desk) -> None:
    """Open the demo's address and wait for the kernel."""
    # Without the layout that an earlier test left behind.
    desk.page.goto(f"{desk.address}&reset")
    expect(desk.page.get_by_role("tab", name="first-look.ipynb").first).to_be_visible()
    expect(desk.page.get_by_text("| Idle").first).to_be_visible()
    # The file browser takes the room of the views.
    desk.page.keyboard.press("Control+b")


def run_cells_until(desk: Desk, name: str) -> Locator:
    """Click on one code cell after the other and run it, through the one that makes a view."""
    cells = desk.page.locator(".jp-Notebook .jp-CodeCell")
    while desk.cells_run < cells.count():
        cell = cells.nth(desk.cells_run)
        desk.cells_run += 1
        cell.locator(".jp-InputArea-prompt").click()
        desk.page.keyboard.press("Shift+Enter")
        expect(cell.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]"))
        if f"widgets.{name}(" in cell.inner_text():
            break
    expect(desk.view(name)).to_be_visible()
    return desk.view(name)


def pick_visit(desk: Desk) -> None:
    """Tick the first visit of the table."""
    picker = desk.view("DatasetPicker")
    expect(picker.locator(".tabulator-row")).to_have_count(2)
    picker.locator(".tabulator-row").first.locator("input[type=checkbox]").click()
    expect(picker.get_by_text("1 visit ticked")).to_be_visible()
    expect(picker.get_by_text("visit IN (")).to_be_visible()
    desk.shoot("visits", picker)


def change_threshold(desk: Desk) -> None:
    """Type a wrong value, read what is wrong with it, and type a right one."""
    tasks = desk.view("TaskConfigurator")
    field = tasks.locator(".lenticular-field-detectionThreshold")
    field.locator("input").fill("many")
    field.locator("input").press("Enter")
    expect(field.get_by_text("It wants a number")).to_be_visible()
    desk.shoot("wrong-value", tasks)
    field.locator("input").fill("8")
    field.locator("input").press("Enter")
    expect(field.get_by_text("It wants a number")).to_be_hidden()
    expect(tasks.get_by_text("calibrateImage:detectionThreshold=8.0")).to_be_visible()
    desk.shoot("configuration", tasks)


def contrast_of(picture: Locator) -> float:
    """Return the standard deviation of the grey values of what is painted."""
    grey = Image.open(io.BytesIO(picture.screenshot())).convert("L")
    return float(np.asarray(grey, dtype=float).std())


def wait_until_painted(desk: Desk, picture: Locator) -> None:
    """Wait until a picture shows more than its empty frame."""
    expect(picture).to_be_visible()
    for _ in range(200):
        desk.settle()
        if contrast_of(picture) > PAINTED:
            return
    pytest.fail("The exposure was never painted.")


def look_at_exposure(desk: Desk, viewer: Locator) -> None:
    """Read a pixel, zoom in until pixels are single, and lay mask planes over them."""
    expect(viewer.locator(".lv-busy:visible")).to_have_count(0)
    expect(viewer.get_by_text(re.compile(r"\d+ stars"))).to_be_visible()
    # The outer one holds the axes, too; the middle of both is the exposure's.
    picture = viewer.locator(".bk-Canvas").first
    picture.scroll_into_view_if_needed()
    wait_until_painted(desk, picture)
    picture.hover()
    expect(viewer.get_by_text("Dec")).to_be_visible()
    expect(viewer.get_by_text("mean of 2")).to_be_visible()
    desk.shoot("exposure", viewer)
    picture.hover()
    for _ in range(3):
        desk.page.mouse.wheel(0, -240)
        desk.settle()
    # The readout follows the cursor; what is under it changes when finer pixels arrive.
    for step in range(200):
        picture.hover(position={"x": 300 + step % 5, "y": 300})
        desk.settle()
        if not viewer.get_by_text("mean of 2").is_visible():
            break
    expect(viewer.get_by_text("mean of 2")).to_be_hidden()
    desk.shoot("zoomed", viewer)
    viewer.get_by_text("Show mask planes").click()
    viewer.get_by_text("DETECTED (").click()
    expect(viewer.locator("label", has_text="DETECTED (").locator("input")).to_be_checked()
    desk.shoot("mask", viewer)


def look_at_metrics(desk: Desk, metrics: Locator) -> None:
    """Read the metrics of a detector, and tick the other one."""
    expect(metrics.locator(".tabulator-row")).to_have_count(2)
    expect(metrics.get_by_text("psf_fwhm").first).to_be_visible()
    desk.shoot("metrics", metrics)
    expect(metrics.get_by_text(re.compile(r"^visit \d+, detector 0$"))).to_be_visible()
    metrics.locator(".tabulator-row").last.click()
    expect(metrics.get_by_text(re.compile(r"^visit \d+, detector 1$"))).to_be_visible()
    expect(metrics.get_by_text("psf_fwhm").first).to_be_visible()


@pytest.mark.slow
def test_a_newcomer_clicks_through(desk: Desk) -> None:
    open_notebook(desk)
    desk.shoot("opened")
    run_cells_until(desk, "CollectionBrowser")
    expect(desk.view("CollectionBrowser").get_by_text("datasets in its runs")).to_be_visible()
    desk.shoot("collections", desk.view("CollectionBrowser"))
    run_cells_until(desk, "DatasetPicker")
    pick_visit(desk)
    run_cells_until(desk, "TaskConfigurator")
    change_threshold(desk)
    run_cells_until(desk, "GraphPreviewView")
    desk.view("GraphPreviewView").get_by_role("button", name="Preview graph").click()
    expect(desk.view("GraphPreviewView").get_by_text("5 quanta, reading")).to_be_visible()
    desk.shoot("preview", desk.view("GraphPreviewView"))
    run_cells_until(desk, "Launcher")
    desk.view("Launcher").get_by_role("button", name="Launch").click()
    expect(desk.view("Launcher").get_by_text("Launched run")).to_be_visible()
    desk.shoot("launched", desk.view("Launcher"))
    monitor = run_cells_until(desk, "RunMonitor")
    desk.shoot("running", monitor)
    bar = monitor.get_by_role("progressbar").first
    expect(bar).to_have_attribute("aria-valuenow", "100", timeout=LONG_MS)
    expect(monitor.get_by_text("succeeded 5")).to_be_visible()
    expect(monitor.get_by_text("took")).to_be_visible()
    desk.shoot("finished", monitor)
    look_at_exposure(desk, run_cells_until(desk, "ExposureViewer"))
    look_at_metrics(desk, run_cells_until(desk, "MetricsView"))
    assert desk.requests
    assert not desk.left_the_machine


@pytest.mark.slow
def test_all_cells_run_on_a_small_screen(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 800, "height": 900})
    open_notebook(desk)
    desk.page.get_by_role("menuitem", name="Run", exact=True).click()
    desk.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    views = ("CollectionBrowser", "DatasetPicker", "TaskConfigurator", "GraphPreviewView", "Launcher")
    for name in (*views, "RunMonitor", "ExposureViewer", "MetricsView"):
        view = desk.page.locator(f".lenticular-{name}").last
        expect(view).to_be_attached(timeout=LONG_MS)
        view.scroll_into_view_if_needed()
        expect(view.locator(".lv-busy:visible")).to_have_count(0)
        desk.shoot(name, view)
    wait_until_painted(desk, desk.view("ExposureViewer").locator(".bk-Canvas").first)
    expect(desk.view("MetricsView").get_by_text("psf_fwhm").first).to_be_visible()
    expect(desk.page.locator(".lv-error:visible")).to_have_count(0)
    expect(desk.page.get_by_text("Traceback (most recent call last)")).to_have_count(0)
    assert not desk.left_the_machine
