"""Who may ask, for what, and what is never given."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tornado.httpclient import HTTPClientError

from lenticular.butler.errors import NotFoundError
from lenticular.platform.server.answers import repositories
from lenticular.platform.server.files import ServedFolder
from lenticular.platform.server.routes import PREFIX, ROUTES

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_server.serverapp import ServerApp

    from lenticular.platform.server.routes import Route
    from tests.server.conftest import Ask

ROUTE_IDS = [f"{route.method} {route.path}" for route in ROUTES]


async def refused(http_server_client: Any, url: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Return the status and the error of a request that is refused."""
    with pytest.raises(HTTPClientError) as caught:
        await http_server_client.fetch(url, **options)
    assert caught.value.response is not None
    content = json.loads(caught.value.response.body)
    assert set(content["error"]) == {"kind", "what", "where", "hint"}
    return caught.value.code, content["error"]


@pytest.mark.parametrize("route", ROUTES, ids=ROUTE_IDS)
async def test_nobody_is_answered_who_is_not_logged_in(
    jp_serverapp: ServerApp, http_server_client: Any, jp_base_url: str, route: Route
) -> None:
    del jp_serverapp
    body = {"body": "{}"} if route.method == "POST" else {}
    url = f"{jp_base_url}{PREFIX}/{route.path}"
    for headers in ({}, {"Authorization": "token wrong"}):
        status, error = await refused(http_server_client, url, method=route.method, headers=headers, **body)
        assert status == 403
        assert error["kind"] == "ForbiddenError"


async def test_nobody_learns_without_login_which_routes_there_are(
    jp_serverapp: ServerApp, http_server_client: Any, jp_base_url: str
) -> None:
    del jp_serverapp
    status, _ = await refused(http_server_client, f"{jp_base_url}{PREFIX}/no/such")
    assert status == 403


@pytest.mark.filterwarnings("error::jupyter_server.serverapp.JupyterServerAuthWarning")
async def test_the_jupyter_server_finds_no_handler_that_forgets_to_ask_who_it_is(
    jp_serverapp: ServerApp, ask: Ask
) -> None:
    assert jp_serverapp.web_app.settings["allow_unauthenticated_access"] is False
    assert (await ask("repositories")).status == 200


@pytest.mark.parametrize("path", ["", "no-such", "run/cancelled", "fits/header/1"])
async def test_an_unknown_route_is_told_in_the_envelope(ask: Ask, path: str) -> None:
    answer = await ask(path)
    assert answer.status == 404
    assert "openapi.json" in answer.error["hint"]


async def test_a_method_that_a_route_has_not_is_told(ask: Ask) -> None:
    answer = await ask("collections", body={})
    assert answer.status == 405
    assert answer.response.headers["Allow"] == "GET"
    assert answer.error["kind"] == "MethodNotAllowedError"
    assert (await ask("run/cancel")).response.headers["Allow"] == "POST"


async def cookies_of(http_server_client: Any, jp_serverapp: ServerApp, jp_base_url: str) -> dict[str, str]:
    """Log in as a browser does and return the cookies."""
    token = jp_serverapp.identity_provider.token
    cookies: dict[str, str] = {}
    # The form sets the cookie against forgery, the token the one of the session.
    for address in ("login", f"login?token={token}"):
        response = await http_server_client.fetch(
            f"{jp_base_url}{address}", follow_redirects=False, raise_error=False
        )
        for header in response.headers.get_list("Set-Cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            cookies.setdefault(name, value)
    return cookies


async def test_a_post_by_cookie_needs_the_token_against_forgery(
    jp_serverapp: ServerApp, http_server_client: Any, jp_base_url: str
) -> None:
    cookies = await cookies_of(http_server_client, jp_serverapp, jp_base_url)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    url = f"{jp_base_url}{PREFIX}/run/cancel"
    assert (
        await http_server_client.fetch(f"{jp_base_url}{PREFIX}/repositories", headers=headers)
    ).code == 200
    status, error = await refused(http_server_client, url, method="POST", headers=headers, body="{}")
    assert status == 403
    assert "_xsrf" in error["hint"]
    status, error = await refused(
        http_server_client,
        url,
        method="POST",
        headers={**headers, "X-XSRFToken": cookies["_xsrf"]},
        body="{}",
    )
    assert error["kind"] == "ReadOnlyServerError"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.changes], ids=lambda route: route.path)
async def test_a_server_that_only_reads_refuses_to_change_anything(ask: Ask, route: Route) -> None:
    answer = await ask(route.path, body={})
    assert answer.status == 403
    assert answer.error["kind"] == "ReadOnlyServerError"
    assert "read_only" in answer.error["hint"]


def test_every_route_that_posts_either_changes_something_or_is_a_preview() -> None:
    assert {route.path for route in ROUTES if route.method == "POST" and not route.changes} == {
        "graph-preview"
    }


@pytest.mark.parametrize("body", ["", "[]", "{", '"x"', '{"label": 7}', "\xff", '{"label": "\\ud800"}'])
async def test_a_body_that_is_not_what_it_should_be_is_told(ask: Ask, body: str) -> None:
    answer = await ask("graph-preview", body=body)
    assert answer.status == 400
    assert answer.error["kind"] == "ParameterError"


# Files


@pytest.fixture
def served(tmp_path: Path) -> ServedFolder:
    """Return a folder with files, links that lead out of it, and hidden files."""
    root = tmp_path / "root"
    (root / "sub" / ".secret").mkdir(parents=True)
    (tmp_path / "outside.fits").write_bytes(b"outside")
    (root / "a.fits").write_bytes(b"a")
    (root / "sub" / "b.fits").write_bytes(b"b")
    (root / ".hidden.fits").write_bytes(b"h")
    (root / "sub" / ".secret" / "c.fits").write_bytes(b"c")
    (root / "out.fits").symlink_to(tmp_path / "outside.fits")
    (root / "up").symlink_to(tmp_path)
    (root / "alias.fits").symlink_to(root / "sub" / "b.fits")
    (root / "bare.fits").symlink_to(root / ".hidden.fits")
    (root / "loop.fits").symlink_to(root / "loop.fits")
    return ServedFolder(root)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a.fits", "a.fits"), ("/sub/b.fits", "b.fits"), ("sub//b.fits", "b.fits"), ("alias.fits", "b.fits")],
)
def test_a_file_below_the_root_is_given(served: ServedFolder, path: str, name: str) -> None:
    assert served.file(path).name == name


@pytest.mark.parametrize(
    "path",
    [
        "../outside.fits",
        "sub/../../outside.fits",
        "sub/../a.fits",
        "out.fits",
        "up/outside.fits",
        ".hidden.fits",
        "bare.fits",
        "sub/.secret/c.fits",
        "loop.fits",
        "sub",
        "",
        "no.fits",
        "a.fits/b",
        "a\x00.fits",
        "x" * 5000,
    ],
)
def test_nothing_else_is_given_and_nothing_is_told_of_it(served: ServedFolder, path: str) -> None:
    with pytest.raises(NotFoundError, match="There is no such file"):
        served.file(path)


def test_hidden_files_are_given_if_the_server_allows_it(served: ServedFolder) -> None:
    allowed = ServedFolder(served.root, allow_hidden=True)
    assert allowed.file(".hidden.fits").name == ".hidden.fits"
    assert allowed.file("sub/.secret/c.fits").name == "c.fits"
    with pytest.raises(NotFoundError):
        allowed.file("out.fits")


@pytest.mark.parametrize("route", ["graph", "fits"])
@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "link", ".hidden"])
async def test_routes_give_no_file_outside_the_root(
    ask: Ask, jp_root_dir: Path, tmp_path: Path, route: str, path: str
) -> None:
    (tmp_path / "outside").write_text("secret")
    (jp_root_dir / "link").symlink_to(tmp_path / "outside")
    (jp_root_dir / ".hidden").write_text("secret")
    answer = await ask(route, path=path)
    assert answer.status == 404
    assert answer.error["what"] == "There is no such file"


# Credentials


async def test_an_unforeseen_error_gives_nothing_away(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @functools.wraps(repositories.list_repositories)
    def broken(*_: object) -> None:
        message = "postgresql://ana:geheim@db/registry is broken"
        raise RuntimeError(message)

    monkeypatch.setattr(repositories, "list_repositories", broken)
    answer = await ask("repositories")
    assert answer.status == 500
    assert answer.error["kind"] == "InternalError"
    assert b"broken" not in answer.response.body
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "postgresql://ana:***@db/registry is broken" in told
    assert not re.search("geheim", told)
