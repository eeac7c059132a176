"""Where the records of runs are kept."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lenticular.butler.errors import RunError, RunNotFoundError
from lenticular.butler.redact import redact
from lenticular.platform.runs.record import RunRecord

if TYPE_CHECKING:
    from lenticular.pipelines.graph.request import GraphRequest
    from lenticular.platform.runs.run import Run

__all__ = ["RUNS_VARIABLE", "RunStore"]

RUNS_VARIABLE = "LENTICULAR_RUNS"
"""Environment variable that names the folder of the records of runs."""


class RunStore:
    """A folder with one folder per run.

    Parameters
    ----------
    folder
        The folder; by default the one that ``LENTICULAR_RUNS`` names, or
        ``lenticular/runs`` in ``$XDG_STATE_HOME``. It is made,
        readable by its owner only, when the first run is recorded.
    """

    folder: Path
    """The folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (_default_folder() if folder is None else Path(folder)).absolute()

    def list(self) -> tuple[RunRecord, ...]:
        """Return the records of all runs, the latest first.

        A folder whose record cannot be read is left out.
        """
        records = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if not path.is_dir():
                continue
            try:
                records.append(RunRecord.read(path))
            except RunNotFoundError:
                continue
        return tuple(sorted(records, key=lambda record: (record.created, record.id), reverse=True))

    def get(self, run_id: str) -> Run:
        """Return a run.

        Parameters
        ----------
        run_id
            Its identifier, or an unmistakable beginning of it.

        Raises
        ------
        RunNotFoundError
            Raised if there is no such run, or more than one.
        """
        from lenticular.platform.runs.run import Run

        matching = [record for record in self.list() if record.id == run_id]
        matching = matching or [record for record in self.list() if run_id and record.id.startswith(run_id)]
        if len(matching) == 1:
            return Run(matching[0])
        known = ", ".join(record.id for record in (matching or self.list())[:5])
        raise RunNotFoundError(
            f"{'More than one' if matching else 'No'} run is called {run_id!r}",
            where=self.folder,
            hint=f"The latest: {known}." if known else "Nothing was launched yet.",
        )

    def create(self, repository: str, request: GraphRequest, *, workers: int, engine: str) -> RunRecord:
        """Make a run's folder and settle its record, which is not written yet.

        Parameters
        ----------
        repository
            Address or label of the repository.
        request
            What is wanted.
        workers
            How many quanta are executed at once.
        engine
            What executes them.

        Raises
        ------
        RunError
            Raised if the address or the request holds a password, which must
            not be stored, or the number of workers makes no sense.
        GraphError
            Raised if the request names no output.
        """
        if redact(repository) != repository:
            raise RunError(
                "The repository's address holds a credential, which a run's record must not",
                where=repository,
                hint="Use a label of the repository index, and credentials from the environment.",
            )
        _refuse_credentials(request)
        if workers < 1:
            raise RunError(f"A run needs at least one worker, not {workers}")
        now = datetime.now(UTC)
        settled = request.with_output_run(now)
        taken = {record.output_run for record in self.list() if record.repository == repository}
        if settled.output_run in taken and request.output_run is None:
            # Two launches within one second.
            settled = replace(settled, output_run=f"{settled.output_run}-{secrets.token_hex(2)}")
        run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = self.folder / run_id
        folder.mkdir(mode=0o700)
        return RunRecord(
            id=run_id,
            repository=repository,
            request=settled,
            created=now,
            engine=engine,
            workers=workers,
            folder=folder,
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(record.id)}</td><td>{escape(record.output_run)}</td>"
            f"<td>{escape(record.pipeline)}</td></tr>"
            for record in self.list()
        )
        return f"<table><tr><th>run</th><th>output</th><th>pipeline</th></tr>{rows}</table>"


def _refuse_credentials(request: GraphRequest) -> None:
    texts = {
        "The pipeline's address": [request.pipeline],
        "The constraint on data IDs": [request.where],
        "A configuration value": [str(override) for override in request.config],
    }
    for name, values in texts.items():
        for value in values:
            if redact(value) != value:
                raise RunError(
                    f"{name} holds a credential, which a run's record must not",
                    where=value,
                    hint="Leave it out, and give credentials in the environment.",
                )


def _default_folder() -> Path:
    if os.environ.get(RUNS_VARIABLE):
        return Path(os.environ[RUNS_VARIABLE]).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "lenticular" / "runs"
