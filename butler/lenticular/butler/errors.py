"""Every error that lenticular raises on purpose.

::

    LenticularError
    ├── RepositoryError              a data repository, as a whole
    │   ├── RepositoryNotFoundError      no repository under this label or URI
    │   ├── RepositoryExistsError        something is already there
    │   ├── ConfigurationError           its configuration cannot be used
    │   ├── DatabaseUnreachableError     its registry does not answer
    │   │   └── InterruptedWriteError        ... in the middle of a change
    │   ├── RepositoryBusyError          it is asked too much at once
    │   ├── StoreUnreachableError        its object store does not answer
    │   ├── SchemaVersionError           its registry is of a version unknown here
    │   └── ReadOnlyRepositoryError      a write to a repository opened for reading
    ├── DataError                    what a repository holds, or is given
    │   ├── ExpressionError              an expression that says nothing
    │   ├── IngestError                  a file that cannot be registered
    │   ├── NotFoundError                no such collection, dataset or data ID
    │   ├── MeasurementError             pixels that cannot be measured
    │   ├── QueryCancelledError          an answer that is no longer wanted
    │   └── QueryTimeoutError            an answer that took too long
    ├── GraphError                   a QuantumGraph that cannot be made
    │   └── EmptyGraphError              one without a quantum
    ├── ConfigError                  a task's configuration that cannot be used
    ├── ServiceError                 a server that lenticular starts itself
    │   └── PortInUseError               another program holds its port
    └── RunError                     the execution of a QuantumGraph
        └── RunNotFoundError             no record of such a run

Each says *what* happened, *where*, and, in `LenticularError.hint`, what to do
next. All three pass through `lenticular.butler.redact.redact`.
"""

from __future__ import annotations

from html import escape

from lenticular.butler.redact import redact

__all__ = [
    "ConfigError",
    "ConfigurationError",
    "DataError",
    "DatabaseUnreachableError",
    "EmptyGraphError",
    "ExpressionError",
    "GraphError",
    "IngestError",
    "InterruptedWriteError",
    "LenticularError",
    "MeasurementError",
    "NotFoundError",
    "PortInUseError",
    "QueryCancelledError",
    "QueryTimeoutError",
    "ReadOnlyRepositoryError",
    "RepositoryBusyError",
    "RepositoryError",
    "RepositoryExistsError",
    "RepositoryNotFoundError",
    "RunError",
    "RunNotFoundError",
    "SchemaVersionError",
    "ServiceError",
    "StoreUnreachableError",
]


class LenticularError(Exception):
    """Base of every error that lenticular raises on purpose.

    Parameters
    ----------
    what
        What happened, as one sentence without a final stop.
    where
        The repository, collection, file, task or address concerned.
    hint
        What the reader can do about it.
    """

    what: str
    """What happened."""

    where: str | None
    """The repository, collection, file, task or address concerned."""

    hint: str | None
    """What the reader can do about it."""

    def __init__(self, what: str, *, where: object = None, hint: str | None = None) -> None:
        self.what = redact(what)
        self.where = None if where is None else redact(where)
        self.hint = None if hint is None else redact(hint)
        super().__init__(self.what)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (workers, servers); keyword-only
        # arguments do not survive the default pickling of exceptions.
        return (_rebuild, (type(self), self.what, self.where, self.hint))

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.what} ({self.where})"
        return text if self.hint is None else f"{text}. {self.hint}"


def _rebuild(kind: type[LenticularError], what: str, where: str | None, hint: str | None) -> LenticularError:
    return kind(what, where=where, hint=hint)


class RepositoryError(LenticularError):
    """A data repository, as a whole, cannot be used."""


class RepositoryNotFoundError(RepositoryError):
    """No repository is known under this label, or found at this URI."""


class RepositoryExistsError(RepositoryError):
    """A repository was to be created where something already is."""


class ConfigurationError(RepositoryError):
    """A repository's configuration is missing, unreadable or contradictory."""


class DatabaseUnreachableError(RepositoryError):
    """The registry's database does not answer, or refuses us."""


class InterruptedWriteError(DatabaseUnreachableError):
    """A change was cut short; the hint says whether it was done, as far as can be known."""


class RepositoryBusyError(RepositoryError):
    """Too many queries are running already."""


class StoreUnreachableError(RepositoryError):
    """The object store does not answer, or refuses us."""


class SchemaVersionError(RepositoryError):
    """The registry was made by a version of the middleware unknown here."""


class ReadOnlyRepositoryError(RepositoryError):
    """Something was to be written to a repository opened for reading."""


class DataError(LenticularError):
    """Data that a repository holds, or is given, cannot be used."""


class ExpressionError(DataError):
    """An expression of a query is wrong.

    Parameters
    ----------
    what, where, hint
        As for `LenticularError`; ``where`` is the expression.
    position
        Where in the expression the fault begins, counted from 0; `None` if it
        is nowhere in particular.
    length
        How many characters it has.
    """

    position: int | None
    """Where in the expression the fault begins, counted from 0."""

    length: int
    """How many characters it has."""

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        hint: str | None = None,
        position: int | None = None,
        length: int = 1,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        # A masked credential moves what follows it.
        self.position = position if self.where == str(where) else None
        self.length = length

    def __reduce__(self) -> tuple[object, ...]:
        place = {"position": self.position, "length": self.length}
        return (_rebuild, (type(self), self.what, self.where, self.hint), place)

    @property
    def pointer(self) -> str:
        """The line of the expression with the fault, and below it carets at the fault."""
        if self.position is None or self.where is None:
            return self.where or ""
        start = self.where.rfind("\n", 0, self.position) + 1
        line = self.where[start:].partition("\n")[0]
        column = self.position - start
        carets = "^" * max(1, min(self.length, len(line) - column))
        return f"{line}\n{' ' * column}{carets}"

    def __str__(self) -> str:
        if self.position is None:
            return super().__str__()
        text = self.what if self.hint is None else f"{self.what}. {self.hint}"
        return "\n    ".join((text, *self.pointer.splitlines()))

    def _repr_html_(self) -> str:
        text = f"<p>{escape(self.what)}. {escape(self.hint or '')}</p>"
        return f"{text}<pre>{escape(self.pointer)}</pre>"


class IngestError(DataError):
    """A file cannot be registered."""


class NotFoundError(DataError):
    """There is no such collection, dataset type, dataset or data ID."""


class MeasurementError(DataError):
    """Pixels do not allow the measurement that was asked of them."""


class QueryCancelledError(DataError):
    """A query was given up, since its answer is no longer wanted."""


class QueryTimeoutError(DataError):
    """A query was given up, since it took longer than allowed."""


class GraphError(LenticularError):
    """A QuantumGraph cannot be made."""


class EmptyGraphError(GraphError):
    """A QuantumGraph came out without a quantum."""


class ConfigError(LenticularError):
    """A task's configuration value does not exist or is not allowed."""


class ServiceError(LenticularError):
    """A server that lenticular starts itself did not start or has stopped."""


class PortInUseError(ServiceError):
    """Another program holds the port of a server that is to be started."""


class RunError(LenticularError):
    """The execution of a QuantumGraph cannot be started, read or changed."""


class RunNotFoundError(RunError):
    """No record of such a run exists."""
