"""Which view an address means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenticular.butler import Repository, labels
from lenticular.butler.errors import DataError, RepositoryNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lenticular.widgets.serve.arguments import ViewArguments
    from lenticular.widgets.view import View

__all__ = ["TITLES", "load", "make", "open_repository"]

TITLES = {"workbench": "Workbench", "collections": "Collections", "run": "Run", "exposure": "Exposure"}
"""Title of each view, by the last part of its address."""

_DEFAULT_DATASET_TYPE = "preliminary_visit_image"


def load(name: str) -> None:
    """Import what a view needs; the middleware takes seconds.

    Parameters
    ----------
    name
        The view, one of `TITLES`.
    """
    from lenticular import widgets

    kinds = {"collections": "CollectionBrowser", "run": "RunMonitor", "exposure": "ExposureViewer"}
    getattr(widgets, kinds.get(name, "Workbench"))


def open_repository(name: str, arguments: ViewArguments) -> Repository | None:
    """Open the repository that an address means, by its label.

    Returns
    -------
    Repository or None
        `None` for a run that is named without a repository: its record has all.

    Raises
    ------
    RepositoryNotFoundError
        Raised if no repository has this label here.
    RepositoryError
        Raised if it cannot be opened.
    """
    if name == "run" and not arguments.label:
        return None
    known = labels()
    if arguments.label not in known:
        what = f"No repository has the label {arguments.label!r}" if arguments.label else "Which repository?"
        listed = f"Known labels: {', '.join(sorted(known))}." if known else "This server knows no repository."
        raise RepositoryNotFoundError(what, hint=listed)
    return Repository.open(arguments.label)


def make(name: str, arguments: ViewArguments, repository: Repository | None, *, read_only: bool) -> View:
    """Make the view that an address means.

    Parameters
    ----------
    name
        The view, one of `TITLES`.
    arguments
        What the address asks for.
    repository
        What `open_repository` gave.
    read_only
        Whether runs are only looked at.

    Raises
    ------
    DataError
        Raised if the address leaves out what the view cannot do without.
    RunNotFoundError
        Raised if there is no such run.
    """
    if repository is None:
        return _run(arguments, read_only=read_only)
    builders: dict[str, Callable[[], View]] = {
        "workbench": lambda: _workbench(arguments, repository, read_only=read_only),
        "collections": lambda: _collections(arguments, repository),
        "run": lambda: _run(arguments, read_only=read_only),
        "exposure": lambda: _exposure(arguments, repository),
    }
    return builders[name]()


def _workbench(arguments: ViewArguments, repository: Repository, *, read_only: bool) -> View:
    from lenticular import widgets

    chosen = list(arguments.collections)
    view = widgets.Workbench(repository, collections=chosen, read_only=read_only)
    if arguments.run:
        view.monitor.run = _found(arguments.run)
        view.step = "Run"
    return view


def _collections(arguments: ViewArguments, repository: Repository) -> View:
    from lenticular import widgets

    return widgets.CollectionBrowser(repository, selected=list(arguments.collections))


def _run(arguments: ViewArguments, *, read_only: bool) -> View:
    from lenticular import widgets

    return widgets.RunMonitor(_found(arguments.run) if arguments.run else None, read_only=read_only)


def _exposure(arguments: ViewArguments, repository: Repository) -> View:
    from lenticular import widgets

    collections = list(arguments.collections)
    if not collections and arguments.run:
        collections = [_found(arguments.run).record.output_run]
    if not collections:
        hint = "Add collection=NAME to the address, such as the output of a run."
        raise DataError("The address names no collection", hint=hint)
    return widgets.ExposureViewer(
        repository,
        collections=collections,
        dataset_type=arguments.dataset_type or _DEFAULT_DATASET_TYPE,
        data_id=dict(arguments.data_id) or None,
        stars=True,
    )


def _found(run: str) -> Any:
    from lenticular.platform.runs import RunStore

    return RunStore().get(run)
