"""Which repositories there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler import redact
from lenticular.platform.server.models.base import Nothing
from lenticular.platform.server.models.registry import (
    Repositories,
    Repository,
    RepositoryAddress,
    RepositoryQuestion,
)

if TYPE_CHECKING:
    from lenticular.platform.server.access import Access

__all__ = ["describe_repository", "list_repositories"]


def list_repositories(access: Access, question: Nothing) -> Repositories:
    """List the repositories of this server; none of them is opened."""
    del question
    known = access.repositories.addresses()
    return Repositories(
        repositories=tuple(
            RepositoryAddress(label=label, address=redact(uri)) for label, uri in sorted(known.items())
        ),
        read_only=access.read_only,
    )


def describe_repository(access: Access, question: RepositoryQuestion) -> Repository:
    """Open a repository and say how large it is."""
    with access.repositories.use(question.label) as repository:
        return Repository(
            label=question.label,
            address=redact(repository.uri),
            registry=repository.configuration.shown_database,
            datastores=tuple(redact(root) for root in repository.configuration.datastores),
            collections=len(repository.collections()),
            dataset_types=len(repository.dataset_types()),
        )
