"""What a repository has, at a glance, for its display."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lenticular.butler.browse import CollectionKind
from lenticular.butler.display import display, grouped, labels, pairs
from lenticular.butler.errors import LenticularError
from lenticular.butler.guard import guarded

if TYPE_CHECKING:
    from lenticular.butler.repository import Repository

__all__ = ["overview_html"]

_PATIENCE = 2.0
"""Seconds that the registry has to answer, since nobody asked it anything."""


def overview_html(repository: Repository) -> str:
    """Return the display of a repository.

    Parameters
    ----------
    repository
        The repository. Short statements over small tables are sent to its
        registry; if it does not answer, the display says so instead.
    """
    configuration = repository.configuration
    return display(
        "Repository",
        repository.name,
        pairs(
            [
                ("address", repository.uri),
                ("registry", configuration.shown_database),
                ("namespace", configuration.namespace),
                ("datastores", labels(map(str, configuration.datastores))),
                ("access", "read and write" if repository.writeable else "read only"),
                *_contents(repository),
            ]
        ),
    )


def _contents(repository: Repository) -> list[tuple[str, object]]:
    """Return what the registry has to be asked for."""
    try:
        with guarded(timeout=_PATIENCE):
            kinds = Counter(info.kind for info in repository.collections())
            types = len(repository.dataset_types())
            instruments, skymaps = (_names(repository, element) for element in ("instrument", "skymap"))
    except LenticularError as error:
        return [("holds", f"not known now: {error.what}")]
    counted = (f"{grouped(kinds[kind])} {kind}" for kind in CollectionKind if kinds[kind])
    return [
        ("collections", ", ".join(counted) or "none"),
        ("dataset types", grouped(types)),
        ("instruments", labels(instruments) or "none"),
        ("maps of the sky", labels(skymaps)),
    ]


def _names(repository: Repository, element: str) -> list[str]:
    """Return the names of all instruments, or maps of the sky."""
    import sqlalchemy

    table = sqlalchemy.table(element, sqlalchemy.column("name"), schema=repository.configuration.namespace)
    query = sqlalchemy.select(table.c.name).order_by(table.c.name)
    return [name for (name,) in repository.read(lambda connection: connection.execute(query).all())]
