"""The routes as the Jupyter server knows them: who may ask, and how long it may take."""

from __future__ import annotations

import asyncio
import traceback
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from lenticular.butler.errors import LenticularError, NotFoundError
from lenticular.butler.redact import redact
from lenticular.platform.server.problems import (
    ForbiddenError,
    InternalError,
    MethodNotAllowedError,
    ParameterError,
    Problem,
    TimeLimitError,
)
from lenticular.platform.server.routes import PREFIX, ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lenticular.platform.server.access import Access
    from lenticular.platform.server.reading import Reply
    from lenticular.platform.server.routes import Route
    from lenticular.platform.server.work import Job, Workers

__all__ = ["RouteHandler", "UnknownRouteHandler", "handlers"]

_CLIENT_GONE = 499
"""Status in the log of a request whose client has gone; nginx's convention."""


class _Handler(APIHandler):
    """What all of our handlers have in common: the envelope of errors."""

    auth_resource = "lenticular"

    def compute_etag(self) -> str | None:
        """Leave it to the answers whether they have one."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Put what the Jupyter server refuses, or nobody foresaw, into our envelope."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        self.finish_problem(Problem.of(self._told(status_code, error)), status_code)

    def finish_problem(self, problem: Problem, status: int | None = None) -> None:
        """Answer with an error."""
        self.set_status(problem.status if status is None else status)
        if self.get_status() == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.allowed_methods()))
        self.finish(problem.to_json())

    def allowed_methods(self) -> list[str]:
        """Return the methods that this path has."""
        return []

    def _told(self, status: int, error: BaseException | None) -> LenticularError:
        """Return what the Jupyter server refuses as an error of ours."""
        where = self.request.path
        if status == HTTPStatus.FORBIDDEN:
            return self._forbidden(str(getattr(error, "log_message", "")))
        if status == HTTPStatus.NOT_FOUND:
            hint = f"{PREFIX}/openapi.json describes those there are."
            return NotFoundError("There is no such route", where=where, hint=hint)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            hint = f"Allowed is {', '.join(self.allowed_methods()) or 'nothing'}."
            return MethodNotAllowedError(f"{self.request.method} is not allowed here", where=where, hint=hint)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return ParameterError(f"The request cannot be used: {responses[status]}", where=where)
        return InternalError("The server met an error that nobody foresaw", hint="Its log has the details.")

    def _forbidden(self, said: str) -> ForbiddenError:
        where = self.request.path
        if "xsrf" in said.lower():
            hint = "Send the value of the cookie `_xsrf` in the header `X-XSRFToken`."
            return ForbiddenError("The request may come from another site", where=where, hint=hint)
        if self.current_user is None:
            hint = "Log in, or send the header `Authorization: token ...`."
            return ForbiddenError("You are not logged in to this server", where=where, hint=hint)
        return ForbiddenError("You may not do this here", where=where)


class RouteHandler(_Handler):
    """Answers what is asked at one path."""

    def initialize(
        self, routes: Mapping[str, Route], access: Access, workers: Workers, timeout: float
    ) -> None:
        """Take what `handlers` gives."""
        self._routes = routes
        self._access = access
        self._workers = workers
        self._timeout = timeout
        self._job: Job[Reply] | None = None
        self._waiting: asyncio.Future[Reply] | None = None

    def allowed_methods(self) -> list[str]:
        """Return the methods that this path has."""
        return sorted(self._routes)

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer a question."""
        await self._answer()

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer a question that has a body, or do something."""
        await self._answer()

    def on_connection_close(self) -> None:
        """Give up the work for a client that has gone."""
        if self._job is not None:
            self._job.abandon()
        if self._waiting is not None:
            self._waiting.cancel()
        super().on_connection_close()

    async def _answer(self) -> None:
        route = self._routes.get(str(self.request.method))
        if route is None:
            raise web.HTTPError(HTTPStatus.METHOD_NOT_ALLOWED)
        outcome = await self._outcome(route)
        if outcome is None:
            self.set_status(_CLIENT_GONE)
        elif isinstance(outcome, BaseException):
            if not isinstance(outcome, LenticularError):
                # As text, since a traceback may quote an address with a password.
                trace = redact("".join(traceback.format_exception(outcome)))
                self.log.error("%s failed:\n%s", self.request.path, trace)
            self.finish_problem(Problem.of(outcome))
        else:
            self.set_status(outcome.status)
            for name, value in outcome.headers.items():
                self.set_header(name, value)
            self.finish(outcome.body or None, set_content_type=outcome.content_type)

    async def _outcome(self, route: Route) -> Reply | BaseException | None:
        """Wait for what a worker brings; `None` if the client has gone before it."""
        request = self.request
        etags = request.headers.get("If-None-Match", "")

        def work() -> Reply:
            # Imported here, off the event loop, when the first question comes.
            from lenticular.platform.server.reading import Asked, reply

            return reply(route, self._access, Asked(request.query_arguments, request.body, etags))

        self._job = self._workers.submit(work)
        self._waiting = asyncio.wrap_future(self._job.future)
        done, _ = await asyncio.wait({self._waiting}, timeout=self._timeout)
        if not done:
            self._job.abandon()
            self._waiting.cancel()
            return TimeLimitError(
                f"The answer took longer than {self._timeout:g} s",
                where=self.request.path,
                hint="Ask for less: a narrower pattern or expression, a smaller limit. "
                "The operator can raise LenticularApp.timeout.",
            )
        if self._waiting.cancelled():
            return None
        return self._waiting.exception() or self._waiting.result()


class UnknownRouteHandler(_Handler):
    """Says, below our prefix too, that there is nothing, in our envelope."""

    @web.authenticated
    @authorized
    def get(self) -> None:
        """Refuse."""
        raise web.HTTPError(HTTPStatus.NOT_FOUND)

    head = post = put = patch = delete = get


def handlers(
    access: Access, workers: Workers, timeout: float
) -> list[tuple[str, type[_Handler], dict[str, Any]]]:
    """Return the handlers of all routes, for `~jupyter_server.extension.application.ExtensionApp`.

    Parameters
    ----------
    access
        What the answers may reach.
    workers
        Threads on which they are found.
    timeout
        How long one may take [s].
    """
    by_path: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = route
    found: list[tuple[str, type[_Handler], dict[str, Any]]] = [
        (
            f"{PREFIX}/{path.replace('.', r'\.')}",
            RouteHandler,
            {"routes": routes, "access": access, "workers": workers, "timeout": timeout},
        )
        for path, routes in by_path.items()
    ]
    return [*found, (f"{PREFIX}(?:/.*)?", UnknownRouteHandler, {})]
