"""Patience with object stores, for what upstream reads and writes on them.

Upstream tries ten times, each for three minutes, and then for another minute
around these: a dead endpoint blocks it for long. For the stores of opened
repositories its client is replaced by one that tries as often as helps, and
then says what is wrong.
"""

from __future__ import annotations

import time
from contextlib import suppress
from http import HTTPStatus
from threading import local
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import LenticularError, StoreUnreachableError
from lenticular.butler.guard.scope import current_scope
from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ATTEMPTS", "BUDGET", "SILENCE", "make_client"]

ATTEMPTS = 5
"""How often a request is made at most, and a body read."""

BUDGET = 15.0
"""Seconds after which a request that failed is not made again."""

SILENCE = 20.0
"""Seconds without a byte after which a request has failed."""

_CONNECT = 5.0
_BEGAN = "lenticular_began"
_broken = local()


def make_client(profile: str | None, *, connections: int, **options: Any) -> Any:
    """Return a client of S3 that gives up in time, with an error that helps.

    Parameters
    ----------
    profile
        Name of a profile of the shared credentials file; `None` for the default.
    connections
        Connections that it keeps at most.
    **options
        Endpoint and credentials, as `boto3.session.Session.client` takes them.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT,
        read_timeout=SILENCE,
        max_pool_connections=connections,
        # One more than the last that is judged below, which never lets it come to that.
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS + 1},
    )
    client = boto3.Session(profile_name=profile).client("s3", config=config, **options)
    events = client.meta.events
    events.register("before-call.s3", _begin)
    events.register_first("needs-retry.s3", _judge)
    events.register("after-call.s3.GetObject", _watch_body)
    return client


def _begin(context: dict[str, Any], **_: object) -> None:
    scope = current_scope()
    if scope is not None:
        scope.check()
    context[_BEGAN] = time.monotonic()


def _judge(
    response: tuple[Any, Mapping[str, Any]] | None,
    endpoint: Any,
    attempts: int,
    caught_exception: BaseException | None,
    request_dict: Mapping[str, Any],
    **_: object,
) -> None:
    """Raise if a request has failed and is not to be made again; leave all else to botocore."""
    reason = _failure(response, caught_exception)
    if reason is None:
        return
    scope = current_scope()
    if scope is not None:
        scope.check()
    elapsed = time.monotonic() - request_dict["context"].get(_BEGAN, 0.0)
    if attempts >= ATTEMPTS or elapsed >= BUDGET:
        tries = f"{attempts} attempt{'s' if attempts > 1 else ''}"
        raise StoreUnreachableError(
            f"The object store does not serve us: {reason} ({tries} in {elapsed:.1f} s)",
            where=redact(endpoint.host),
            hint="Is it running, reachable and not overloaded? Try again later, or ask its operator.",
        ) from caught_exception


def _failure(response: tuple[Any, Mapping[str, Any]] | None, error: BaseException | None) -> str | None:
    """Return why a request has failed in a way that may pass, if it has."""
    if isinstance(error, LenticularError):
        raise error
    if error is not None:
        from botocore import exceptions

        if isinstance(error, (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError)):
            return "it does not answer"
        passing = isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError))
        return "it cannot be reached" if passing else None
    status = 0 if response is None else response[0].status_code
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    code = "" if response is None else response[1].get("Error", {}).get("Code", "")
    return f"it answers {status}" if code in {"", str(status)} else f"it answers {status} {code}"


def _watch_body(parsed: dict[str, Any], **_: object) -> None:
    if "Body" in parsed:
        parsed["Body"] = _Body(parsed["Body"])


class _Body:
    """What an object is read from; upstream reads it anew if the connection breaks.

    Upstream does so for errors of connections, of which that of botocore is none.
    """

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, amount: int | None = None) -> bytes:
        """Read some bytes, or all.

        Raises
        ------
        ConnectionError
            Raised if the connection broke.
        StoreUnreachableError
            Raised if it did so again and again.
        """
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        try:
            text: bytes = self._body.read(amount)
        except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError) as error:
            with suppress(Exception):  # no use to the pool any more
                self._body.close()
            _broken.times = getattr(_broken, "times", 0) + 1
            silent = isinstance(error, ReadTimeoutError)
            if _broken.times < ATTEMPTS and not silent:
                message = "the connection to the object store broke off"
                raise ConnectionResetError(message) from error
            times, _broken.times = _broken.times, 0
            raise StoreUnreachableError(
                "The object store fell silent in the middle of an object"
                if silent
                else f"The connection to the object store broke off {times} times in the middle of an object",
                hint="Is the network sound, and the store not overloaded? Try again later.",
            ) from error
        if amount is None or not text:
            _broken.times = 0
        return text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __iter__(self) -> Any:
        return iter(self._body)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._body.close()
