"""The record of a run: what was asked, where, and when; written before it starts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Self

from lenticular.butler.errors import LenticularError, RunNotFoundError
from lenticular.butler.redact import redact
from lenticular.pipelines.graph.request import GraphRequest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunRecord"]

_FILE = "record.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of a run before it starts, and never changes."""

    id: str
    """Identifier: when it was made, and a few random letters."""

    repository: str
    """Address or label of the repository; it never holds a credential."""

    request: GraphRequest
    """What was asked, with the output run settled."""

    created: datetime
    """When it was made, UTC."""

    engine: str
    """What executes the quanta: ``processes`` on this machine."""

    workers: int
    """How many quanta are executed at once."""

    folder: Path
    """Where the record, the journal, the graph and the logs are."""

    @property
    def output_run(self) -> str:
        """RUN collection of the outputs."""
        return str(self.request.output_run)

    @property
    def pipeline(self) -> str:
        """The pipeline, with the selection of tasks."""
        return self.request.pipeline

    @property
    def where(self) -> str:
        """Constraint on data IDs."""
        return self.request.where

    @property
    def journal_path(self) -> Path:
        """File of the journal."""
        return self.folder / "journal.jsonl"

    @property
    def graph_path(self) -> Path:
        """File of the QuantumGraph."""
        return self.folder / "graph.qg"

    @property
    def logs_path(self) -> Path:
        """Folder for the logs of quanta that run, or have failed."""
        return self.folder / "logs"

    @property
    def cancel_path(self) -> Path:
        """File that exists if the run is to stop."""
        return self.folder / "cancel"

    @property
    def cache_path(self) -> Path:
        """Folder where workers keep what they fetched from a remote store."""
        return self.folder / "cache"

    @property
    def driver_log_path(self) -> Path:
        """File with what the driver itself had to say."""
        return self.folder / "driver.log"

    def to_json(self) -> dict[str, Any]:
        """Return the record as a mapping that JSON can hold; the folder is left out."""
        return {
            "version": _VERSION,
            "id": self.id,
            "repository": self.repository,
            "request": self.request.to_json(),
            "created": self.created.isoformat(),
            "engine": self.engine,
            "workers": self.workers,
        }

    def write(self) -> None:
        """Write the record into its folder, whole or not at all."""
        target = self.folder / _FILE
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps(self.to_json(), indent=1) + "\n")
        partial.replace(target)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the record in a folder.

        Raises
        ------
        RunNotFoundError
            Raised if there is none, or none that this version can read.
        """
        try:
            found = json.loads((folder / _FILE).read_text())
            version = found["version"]
            if version == _VERSION:
                return cls._of(found, folder)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunNotFoundError("There is no record of such a run", where=folder) from error
        except (OSError, LenticularError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunNotFoundError("The run's record cannot be read", where=folder) from error
        raise RunNotFoundError(
            f"The run's record is of version {version}, which is unknown here", where=folder
        )

    @classmethod
    def _of(cls, found: dict[str, Any], folder: Path) -> Self:
        return cls(
            id=str(found["id"]),
            repository=str(found["repository"]),
            request=GraphRequest.from_json(found["request"]),
            created=datetime.fromisoformat(found["created"]).astimezone(UTC),
            engine=str(found["engine"]),
            workers=int(found["workers"]),
            folder=folder,
        )

    def _repr_html_(self) -> str:
        rows = {
            "repository": redact(self.repository),
            "output": self.output_run,
            "pipeline": self.pipeline,
            "where": self.where or "-",
            "created": f"{self.created:%Y-%m-%d %H:%M:%S} UTC",
            "engine": f"{self.workers} {self.engine}",
        }
        body = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items())
        return f"<table><caption>run {escape(self.id)}</caption>{body}</table>"
