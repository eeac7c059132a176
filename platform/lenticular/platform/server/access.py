"""What the answers may reach, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lenticular.butler.errors import NotFoundError
from lenticular.butler.redact import redact
from lenticular.pipelines.definitions import pipeline_names, pipeline_uri
from lenticular.platform.server.problems import ReadOnlyServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lenticular.platform.server.files import ServedFolder
    from lenticular.platform.server.repositories import RepositoryPool
    from lenticular.platform.server.runs import RunWatch

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """The repositories, files, runs and pipelines of one server."""

    repositories: RepositoryPool
    """Repositories, by label."""

    files: ServedFolder
    """Files below the server's root folder."""

    runs: RunWatch
    """Runs of the server's user."""

    read_only: bool = True
    """Whether starting, cancelling and restarting runs is refused."""

    further_pipelines: Mapping[str, str] = field(default_factory=dict)
    """URI of each pipeline beside those that are shipped, by name."""

    def pipelines(self) -> Mapping[str, str]:
        """Return the URI of every pipeline that may be used, by name."""
        shipped = {name: pipeline_uri(name) for name in pipeline_names()}
        return {**shipped, **self.further_pipelines}

    def pipeline(self, name: str) -> str:
        """Return the URI of a pipeline, with the selection of tasks kept.

        Parameters
        ----------
        name
            Name of a pipeline, with ``#label,label`` or ``#subset`` at its
            end if it is not wanted whole. A path or URI is not one: a file of
            a pipeline can hold Python, which a browser may not bring in.

        Raises
        ------
        NotFoundError
            Raised if there is no pipeline of this name.
        """
        stem, mark, selection = name.partition("#")
        known = self.pipelines()
        if stem not in known:
            raise NotFoundError(
                f"There is no pipeline called {stem!r}",
                hint=f"There are {', '.join(sorted(known))}. The operator of the server can add others.",
            )
        return f"{known[stem]}{mark}{selection}"

    def pipeline_name(self, uri: str) -> str:
        """Return the name of the pipeline that a URI is of, or the URI, fit to be shown."""
        stem, mark, selection = uri.partition("#")
        names = {known: name for name, known in self.pipelines().items()}
        return redact(f"{names.get(stem, stem)}{mark}{selection}")

    def refuse_changes(self) -> None:
        """Raise if this server only reads.

        Raises
        ------
        ReadOnlyServerError
            Raised if so.
        """
        if self.read_only:
            raise ReadOnlyServerError(
                "This server only reads: it neither starts, cancels nor restarts runs",
                hint="Use a notebook or the command line, or set LenticularApp.read_only to False.",
            )
