"""What can go wrong with a request, and how a browser is told: one envelope for all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from lenticular.butler.errors import (
    ConfigurationError,
    DatabaseUnreachableError,
    LenticularError,
    NotFoundError,
    QueryTimeoutError,
    ReadOnlyRepositoryError,
    RepositoryBusyError,
    RepositoryNotFoundError,
    RunError,
    RunNotFoundError,
    SchemaVersionError,
    ServiceError,
    StoreUnreachableError,
)

__all__ = [
    "STATUSES",
    "ForbiddenError",
    "InternalError",
    "MethodNotAllowedError",
    "ParameterError",
    "Problem",
    "ReadOnlyServerError",
    "RequestError",
    "TimeLimitError",
]


class RequestError(LenticularError):
    """A request that cannot be answered as it was made."""


class ParameterError(RequestError):
    """A parameter is missing, unknown or has a value that it cannot have."""


class ForbiddenError(RequestError):
    """The request comes from someone, or from somewhere, that may not make it."""


class ReadOnlyServerError(RequestError):
    """The request would change something on a server that only reads."""


class MethodNotAllowedError(RequestError):
    """The route exists, but not for this method."""


class TimeLimitError(RequestError):
    """The answer took longer than the server waits for one."""


class InternalError(RequestError):
    """Something that nobody foresaw; the server's log has it."""


_STATUS: tuple[tuple[type[LenticularError], HTTPStatus], ...] = (
    (ParameterError, HTTPStatus.BAD_REQUEST),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (ReadOnlyServerError, HTTPStatus.FORBIDDEN),
    (ReadOnlyRepositoryError, HTTPStatus.FORBIDDEN),
    (MethodNotAllowedError, HTTPStatus.METHOD_NOT_ALLOWED),
    (TimeLimitError, HTTPStatus.GATEWAY_TIMEOUT),
    (QueryTimeoutError, HTTPStatus.GATEWAY_TIMEOUT),
    (InternalError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (RepositoryNotFoundError, HTTPStatus.NOT_FOUND),
    (RunNotFoundError, HTTPStatus.NOT_FOUND),
    (RunError, HTTPStatus.CONFLICT),
    (DatabaseUnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (RepositoryBusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreUnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ServiceError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ConfigurationError, HTTPStatus.BAD_GATEWAY),
    (SchemaVersionError, HTTPStatus.BAD_GATEWAY),
)

STATUSES: dict[int, str] = {
    400: "A parameter is missing, unknown or has a value that it cannot have.",
    403: "Not logged in, not allowed, or the server only reads.",
    404: "There is no such repository, collection, dataset, run or file.",
    409: "The run is not in a state in which this can be done.",
    422: "The question is well formed, but the data or the pipeline do not allow an answer.",
    500: "Something that nobody foresaw; the server's log has it.",
    502: "A repository's configuration cannot be used, or its registry is of an unknown version.",
    503: "A repository's database or store does not answer, or is asked too much at once.",
    504: "The answer took longer than the server waits for one.",
}
"""What each status of an error means, for the description of the routes."""

_HINTS = {
    HTTPStatus.FORBIDDEN: "Ask the operator of this server.",
    HTTPStatus.NOT_FOUND: "Check the name; what is there can be listed.",
    HTTPStatus.CONFLICT: "Look at the state of the run first.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Correct what was asked, and ask again.",
    HTTPStatus.BAD_GATEWAY: "Ask whoever set the repository up.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Try again later; if it stays so, ask its operator.",
}
"""What to do about an error that has no hint of its own, by status."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a browser sees it."""

    status: int
    """HTTP status."""

    kind: str
    """Name of the error's class."""

    what: str
    """What happened."""

    where: str | None
    """The repository, collection, file, task or parameter concerned."""

    hint: str
    """What to do."""

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """Return how an error is told.

        Of one that is not of the project's own tree nothing is told but that
        it happened: its text may hold anything.
        """
        if not isinstance(error, LenticularError):
            error = InternalError(
                "The server met an error that nobody foresaw",
                hint="Its log has the details: ask its operator, or report it.",
            )
        status = next(
            (status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.UNPROCESSABLE_ENTITY
        )
        hint = error.hint or _HINTS.get(status, "Ask again in another way.")
        return cls(int(status), type(error).__name__, error.what, error.where, hint)

    def to_json(self) -> str:
        """Return the envelope that every error travels in."""
        error = {"kind": self.kind, "what": self.what, "where": self.where, "hint": self.hint}
        return json.dumps({"error": error})
