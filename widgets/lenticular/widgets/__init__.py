"""Seeing: views that work alone in a notebook, in a served application, and together.

Each view is a `panel.viewable.Viewer` whose state are parameters that can be
read, set and linked. Nothing is imported before a view is asked for: panel
costs seconds, and lsst's packages more.

``%load_ext lenticular`` shows the middleware's own objects as tables; see
`lenticular.widgets.displays`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.lazy import loaded_on_use

if TYPE_CHECKING:
    from lenticular.widgets.collection_browser import CollectionBrowser
    from lenticular.widgets.dataset_picker import DatasetPicker
    from lenticular.widgets.displays.extension import load_ipython_extension, unload_ipython_extension
    from lenticular.widgets.exposure_viewer import ExposureViewer
    from lenticular.widgets.graph_preview import GraphPreviewView
    from lenticular.widgets.launcher import Launcher
    from lenticular.widgets.metrics_view import MetricsView
    from lenticular.widgets.page import enable
    from lenticular.widgets.run_monitor import RunMonitor
    from lenticular.widgets.task_configurator import TaskConfigurator
    from lenticular.widgets.view import View
    from lenticular.widgets.workbench import Workbench

__all__ = [
    "CollectionBrowser",
    "DatasetPicker",
    "ExposureViewer",
    "GraphPreviewView",
    "Launcher",
    "MetricsView",
    "RunMonitor",
    "TaskConfigurator",
    "View",
    "Workbench",
    "enable",
    "load_ipython_extension",
    "unload_ipython_extension",
]

__getattr__, __dir__ = loaded_on_use(
    __name__,
    {
        "CollectionBrowser": "collection_browser",
        "DatasetPicker": "dataset_picker",
        "ExposureViewer": "exposure_viewer",
        "GraphPreviewView": "graph_preview",
        "Launcher": "launcher",
        "MetricsView": "metrics_view",
        "RunMonitor": "run_monitor",
        "TaskConfigurator": "task_configurator",
        "View": "view",
        "Workbench": "workbench",
        "enable": "page",
        "load_ipython_extension": "displays.extension",
        "unload_ipython_extension": "displays.extension",
    },
)
