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
        self.launcher = Launcher(repo, request=self.preview.param.request, output=output)
        self.monitor = RunMonitor(self.launcher.param.run)
        self.exposure = ExposureViewer(repo)
        self.metrics = MetricsView(repo)
        self._tabs = pn.Tabs(*zip(STEPS, self._pages(), strict=True), sizing_mode="stretch_width")
        self._tabs.active = STEPS.index(self.step)
        self._listen(self._tabs, "active", lambda: self.param.update(step=STEPS[self._tabs.active]))
        self._watch(lambda: self._tabs.param.update(active=STEPS.index(self.step)), ["step"])
        self.launcher.param.watch(lambda _: self.param.update(step="Run"), ["run"])
        self.monitor.param.watch(self._run_changed, ["status"])
        # What is pointed at in one is shown by the other.
        self.metrics.param.watch(self._row_chosen, ["data_id"])
        self._subtitle.object = f'<span class="lv-sub">{repo.name}</span>'

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
