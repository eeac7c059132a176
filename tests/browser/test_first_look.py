"""The tutorial in a real browser, by clicking: from collections to a finished run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import Desk

LONG_MS = 240_000
"""A run of a few quanta on a machine that is busy with other tests."""

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
    assert desk.requests
    assert not desk.left_the_machine
