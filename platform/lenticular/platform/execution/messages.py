"""What a driver and its workers say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from lenticular.platform.execution.measure import Cost

__all__ = ["Assignment", "Cause", "Death", "Ready", "Result", "Unusable", "WorkerSetup"]

_MESSAGE_LENGTH = 400

_TRANSIENT = frozenset(
    {
        "builtins.ConnectionError",
        "builtins.TimeoutError",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.HTTPClientError",
        "aiohttp.client_exceptions.ClientConnectionError",
        "urllib3.exceptions.HTTPError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
    }
)
"""Exceptions that may not come again. Everything else would: tasks are
deterministic."""


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker needs before its first quantum."""

    repository: str
    """Address of the repository."""

    graph: Path
    """The ``.qg`` file."""

    logs: Path
    """Folder for the logs of quanta that run, or have failed."""

    def log_of(self, assignment: Assignment) -> Path:
        """Return the file that a quantum's log is written to while it runs."""
        return self.logs / assignment.task / f"{assignment.quantum}.log"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One quantum to be executed."""

    quantum: UUID
    """Its identifier."""

    task: str
    """Label of its task."""

    attempt: int = 1
    """Which attempt this is, from 1."""

    fresh: bool = False
    """Whether no output of it can exist, which spares looking for them."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something failed."""

    error: str
    """Class of the exception."""

    message: str
    """Its first line, without credentials."""

    transient: bool = False
    """Whether the same thing may well succeed a moment later."""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Describe an exception."""
        lines = str(error).strip().splitlines()
        kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
        return cls(
            error=type(error).__name__,
            message=redact(lines[0] if lines else "")[:_MESSAGE_LENGTH],
            transient=bool(kinds & _TRANSIENT),
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker can take its first quantum."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A worker could not prepare itself; neither could another one."""

    cause: Cause
    """Why."""


@dataclass(frozen=True, slots=True)
class Result:
    """How the execution of a quantum ended."""

    assignment: Assignment
    """The quantum."""

    worker: int
    """Process that executed it."""

    cost: Cost
    """What it used."""

    cause: Cause | None = None
    """Why it failed; `None` if it succeeded."""

    skipped: bool = False
    """Whether it had succeeded before and was left as it is."""

    log: str | None = None
    """File with the log of a failure."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker died in the middle of a quantum."""

    assignment: Assignment
    """The quantum."""

    worker: int
    """The process."""

    exit_code: int
    """Its exit code; the negative number of the signal that killed it."""

    log: str | None = None
    """File with what the quantum had logged until then."""
