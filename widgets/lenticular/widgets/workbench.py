"""The whole loop on one page: choose, preview, launch, watch, look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from lenticular.butler.errors import LenticularError
from lenticular.widgets.collection_browser import CollectionBrowser
from lenticular.widgets.dataset_picker import DatasetPicker
from lenticular.widgets.exposure_viewer import ExposureViewer
from lenticular.widgets.graph_preview import GraphPreviewView
from lenticular.widgets.launcher import Launcher
from lenticular.widgets.look import TABS_CSS
from lenticular.widgets.metrics_view import MetricsView
from lenticular.widgets.run_monitor import RunMonitor
from lenticular.widgets.task_configurator import TaskConfigurator
from lenticular.widgets.view import View, opened

if TYPE_CHECKING:
    import os

    from lenticular.butler import Repository
    from lenticular.platform.runs import RunStatus

__all__ = ["Workbench"]

STEPS = ("Data", "Tasks", "Preview and launch", "Run", "Exposure", "Metrics")


class Workbench(View):
    """All views on one repository, sharing their state.

    Parameters
    ----------
    repository
        The repository, or its label, folder or URI.
    pipeline
        Name, path or URI of the pipeline.
    collections
        Collections chosen to begin with.
    output
        Output collection to begin with.
    read_only
        Whether runs are only looked at: not launched, cancelled or restarted.
    **params
        `step` to begin with.
    """

    heading: ClassVar[str] = "Workbench"

    step: Any = param.Selector(default=STEPS[0], objects=list(STEPS), doc="Step that is open.")

    def __init__(
        self,
        repository: Repository | str | os.PathLike[str],
        *,
        pipeline: str = "single-visit",
        collections: list[str] | None = None,
        output: str = "",
        read_only: bool = False,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.repository = repo = opened(repository)
        self.browser = CollectionBrowser(repo, selected=collections or [])
        self.picker = DatasetPicker(repo, collections=self.browser.param.selected)
        self.tasks = TaskConfigurator(pipeline)
        self.preview = GraphPreviewView(
            repo,
            pipeline=self.tasks.param.uri,
            config=self.tasks.param.config,
            inputs=self.browser.param.selected,
            where=self.picker.param.where,
        )
        self.launcher = Launcher(repo, request=self.preview.param.request, output=output, read_only=read_only)
        self.monitor = RunMonitor(read_only=read_only)
        self.exposure = ExposureViewer(repo)
        self.metrics = MetricsView(repo)
        # A step is drawn when it is opened first: all at once would take the page seconds.
        self._tabs = pn.Tabs(
            *zip(STEPS, self._pages(), strict=True),
            dynamic=True,
            sizing_mode="stretch_width",
            stylesheets=[TABS_CSS],
        )
        self._tabs.active = STEPS.index(self.step)
        self._listen(self._tabs, "active", lambda: self.param.update(step=STEPS[self._tabs.active]))
        self._watch(lambda: self._tabs.param.update(active=STEPS.index(self.step)), ["step"])
        self._listen(self.launcher, "run", self._run_launched)
        self._listen(self.monitor, "status", self._run_changed)
        # What is pointed at in one is shown by the other.
        self._listen(self.metrics, "data_id", self._row_chosen)
        self._subtitle.object = f'<span class="lv-sub">{repo.name}</span>'

    def close(self) -> None:
        """Follow the run no longer."""
        self.monitor.close()

    def as_python(self) -> str:
        """Return Python that does what has been chosen, from the request to its run."""
        try:
            return self.launcher.as_python()
        except LenticularError:
            return self.preview.as_python()

    def as_command(self) -> str:
        """Return the command that runs what has been chosen."""
        return self.launcher.as_command()

    def _pages(self) -> list[pn.Column]:
        groups: list[tuple[View, ...]] = [
            (self.browser, self.picker),
            (self.tasks,),
            (self.preview, self.launcher),
            (self.monitor,),
            (self.exposure,),
            (self.metrics,),
        ]
        return [pn.Column(*views, sizing_mode="stretch_width", margin=(10, 0)) for views in groups]

    def _body(self) -> list[Any]:
        return [self._tabs]

    def _run_launched(self) -> None:
        # Not linked: the monitor shows earlier runs, too, if they are chosen there.
        self.monitor.run = self.launcher.run
        self.step = "Run"

    def _run_changed(self) -> None:
        status: RunStatus | None = self.monitor.status
        if status is None or not status.is_over or self.monitor.run is None:
            return
        collections = [self.monitor.run.record.output_run]
        self.browser.refresh()
        if self.exposure.collections != collections:
            self.exposure.data_id = None
            self.exposure.collections = collections
            self.metrics.data_id = None
            self.metrics.collections = collections

    def _row_chosen(self) -> None:
        chosen = self.metrics.data_id
        shown = self.exposure.data_id
        if chosen and (shown is None or any(shown.get(key) != value for key, value in chosen.items())):
            self.exposure.data_id = dict(chosen)
