"""The table of everything that can be asked of the extension."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PREFIX", "ROUTES", "Route"]

PREFIX = "lenticular/api"
"""Where the routes are, below the server's ``base_url``."""


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked."""

    method: str
    """``GET`` or ``POST``."""

    path: str
    """Path below `PREFIX`."""

    target: str
    """``module:function`` in `lenticular.platform.server.answers`. The
    function takes an `~lenticular.platform.server.access.Access` and a
    question; the annotations of both question and answer are the contract."""

    changes: bool = False
    """Whether it starts or changes something, which a read-only server refuses."""

    @property
    def function(self) -> Callable[..., Any]:
        """The function that answers; its module is imported when it is first needed."""
        module, _, name = self.target.partition(":")
        found: Callable[..., Any] = getattr(
            importlib.import_module(f"lenticular.platform.server.answers.{module}"), name
        )
        return found


ROUTES = (
    Route("GET", "repositories", "repositories:list_repositories"),
    Route("GET", "repository", "repositories:describe_repository"),
    Route("GET", "collections", "collections:list_collections"),
    Route("GET", "collection", "collections:describe_collection"),
    Route("GET", "dataset-types", "collections:list_dataset_types"),
    Route("GET", "datasets", "datasets:list_datasets"),
    Route("GET", "dataset", "datasets:describe_dataset"),
    Route("GET", "facets", "selections:describe_facets"),
    Route("GET", "explanation", "selections:explain_selection"),
    Route("GET", "pipelines", "pipelines:list_pipelines"),
    Route("POST", "graph-preview", "pipelines:preview"),
    Route("GET", "runs", "runs:list_runs"),
    Route("POST", "runs", "runs:launch_run", changes=True),
    Route("GET", "run", "runs:describe_run"),
    Route("POST", "run/cancel", "runs:cancel_run", changes=True),
    Route("POST", "run/restart", "runs:restart_run", changes=True),
    Route("GET", "graph", "graphs:describe_graph"),
    Route("GET", "graph/quanta", "graphs:list_quanta"),
    Route("GET", "fits", "fits:describe_fits"),
    Route("GET", "fits/header", "fits:list_cards"),
    Route("GET", "fits/picture", "fits:draw_picture"),
    Route("GET", "openapi.json", "description:describe_routes"),
)
"""All routes."""
