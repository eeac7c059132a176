"""What every view promises to the page that it is served on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lenticular.butler import Repository, create_repository
from lenticular.butler.errors import LenticularError
from lenticular.widgets import RunMonitor, Workbench
from lenticular.widgets.colours import INK, page_style, tint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """Open an empty repository."""
    create_repository(tmp_path / "repository").close()
    with Repository.open(tmp_path / "repository") as repository:
        yield repository


def parts(view: Workbench) -> list[Any]:
    return [view, view.browser, view.picker, view.tasks, view.preview, view.exposure, view.metrics]


def test_a_view_that_is_told_two_things_at_once_shows_the_last(repository: Repository) -> None:
    assert repository.label is None
    monitor = RunMonitor()
    monitor.error = LenticularError("something went wrong")
    monitor.param.update(busy="Looking", error=None)
    assert "Looking" in monitor._status.object


def test_where_runs_are_only_looked_at_none_is_launched_cancelled_or_restarted(
    repository: Repository,
) -> None:
    workbench = Workbench(repository, read_only=True)
    for view in parts(workbench):
        view.wait()
    with pytest.raises(LenticularError, match="only looked at"):
        workbench.launcher.launch()
    for attempt in (workbench.monitor.cancel, workbench.monitor.restart):
        workbench.monitor.error = None
        attempt()
        assert "only looked at" in workbench.monitor.error.what
    assert not workbench.launcher._button.visible
    assert not workbench.monitor._cancel.visible
    workbench.close()


def test_a_page_settles_every_colour_for_light_and_dark() -> None:
    style = page_style()
    assert style.count("--lv-ink:") == 2
    assert style.count("--lv-paper:") == 2
    assert INK == "var(--lv-ink, var(--jp-ui-font-color1, #1d2733))"
    assert tint("red", 9) == "color-mix(in srgb, red 9%, transparent)"
