"""The extension: its settings, and what it sets up in the Jupyter server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Dict, Float, Integer, TraitError, Unicode, validate

from lenticular.platform.runs.store import RunStore
from lenticular.platform.server.access import Access
from lenticular.platform.server.files import ServedFolder
from lenticular.platform.server.handlers import handlers
from lenticular.platform.server.repositories import RepositoryPool
from lenticular.platform.server.runs import RunWatch
from lenticular.platform.server.views import configure_views
from lenticular.platform.server.work import Workers

__all__ = ["LenticularApp"]


class LenticularApp(ExtensionApp):
    """Data repositories, QuantumGraphs and runs, for JupyterLab.

    Settings are those of a Jupyter server: ``c.LenticularApp.read_only`` in
    ``jupyter_server_config.py``, or ``--LenticularApp.read_only=False``.
    """

    name = "lenticular"
    extension_url = "/lab"
    load_other_extensions = True

    repositories = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="URI of each repository that is shown, by label. "
        "With none, the labels of the repository index (DAF_BUTLER_REPOSITORY_INDEX).",
    ).tag(config=True)

    read_only = Bool(
        default_value=True, help="Whether starting, cancelling and restarting runs is refused."
    ).tag(config=True)

    runs = Unicode(
        help="Folder of the records of runs. Empty for that of LENTICULAR_RUNS, or the usual one."
    ).tag(config=True)

    pipelines = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Path or URI of each pipeline that may be used beside those that are shipped, by name. "
        "A pipeline can hold Python: name only those that you trust.",
    ).tag(config=True)

    timeout = Float(
        default_value=60.0, help="Seconds after which an answer is given up, and its queries are interrupted."
    ).tag(config=True)

    threads = Integer(
        default_value=4, help="How many questions are answered at once; others wait their turn."
    ).tag(config=True)

    _workers: Workers | None = None
    _pool: RepositoryPool | None = None

    @validate("timeout", "threads")
    def _check_positive(self, proposal: Any) -> Any:
        if proposal["value"] <= 0:
            message = f"LenticularApp.{proposal['trait'].name} must be more than 0."
            raise TraitError(message)
        return proposal["value"]

    def initialize_handlers(self) -> None:
        """Put the routes into the server."""
        self._workers = Workers(self.threads)
        self._pool = RepositoryPool(self.repositories)
        access = Access(
            repositories=self._pool,
            files=self._served_folder(),
            runs=RunWatch(RunStore(Path(self.runs).expanduser() if self.runs else None)),
            read_only=self.read_only,
            further_pipelines=self.pipelines,
        )
        configure_views(
            repositories=self.repositories or None, runs=self.runs or None, read_only=self.read_only
        )
        self.handlers.extend(handlers(access, self._workers, self.timeout))

    async def stop_extension(self) -> None:
        """Give up what is being answered, and close the repositories."""
        if self._workers is not None:
            self._workers.close()
        if self._pool is not None:
            self._pool.close()

    def _served_folder(self) -> ServedFolder:
        server: Any = self.serverapp
        contents = server.contents_manager
        root = getattr(contents, "root_dir", None) or server.root_dir
        return ServedFolder(Path(root), allow_hidden=bool(contents.allow_hidden))
