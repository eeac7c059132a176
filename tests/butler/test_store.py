"""What an object store or web server answers, told apart from no answer."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from lenticular.butler.errors import RepositoryNotFoundError, StoreUnreachableError
from lenticular.butler.store import Location, probe_store, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def answering(status: int, body: str = "") -> Iterator[str]:
    """Start a server that answers everything alike; give its ``host:port``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


ANSWERS = [
    (400, "<Error><Code>ExpiredToken</Code></Error>", "have expired"),
    (301, "<Error><Code>PermanentRedirect</Code></Error>", "another region"),
    (500, "<Error><Code>InternalError</Code></Error>", "answers with an error: 500 InternalError"),
    (404, "<Error><Code>NoSuchBucket</Code></Error>", "The bucket does not exist"),
]


@pytest.mark.parametrize(("status", "body", "message"), ANSWERS)
def test_what_a_store_answers_is_told_with_the_endpoint_of_its_profile(
    status: int, body: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, body) as host:
        monkeypatch.setenv("LSST_RESOURCES_S3_PROFILE_far", f"http://key:s3cr3t@{host}")
        monkeypatch.setenv("S3_ENDPOINT_URL", "http://not.this.one")
        with pytest.raises(StoreUnreachableError, match=message) as raised:
            probe_store(Location.parse("s3://far@bucket/files"), timeout=2)
    assert "did not answer" not in str(raised.value)
    assert "not.this.one" not in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert host in (raised.value.hint or "") or "expired" in message


def test_a_bucket_that_refuses_only_to_be_listed_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(403, "<Error><Code>AccessDenied</Code></Error>") as host:
        monkeypatch.setenv("LSST_RESOURCES_S3_PROFILE_far", f"http://key:s3cr3t@{host}")
        location = Location.parse("s3://far@bucket/files")
        probe_store(location, timeout=2)
        with pytest.raises(StoreUnreachableError, match="refuses access"):
            read_bytes(location.join("butler.yaml"), timeout=2)


def test_what_a_web_server_answers_is_told_with_its_address() -> None:
    with answering(500) as host, pytest.raises(StoreUnreachableError, match="an error: 500") as raised:
        read_bytes(Location.parse(f"http://{host}/r/butler.yaml"), timeout=2)
    assert f"http://{host}" in (raised.value.hint or "")
    with answering(404) as host, pytest.raises(RepositoryNotFoundError):
        read_bytes(Location.parse(f"http://{host}/r/butler.yaml"), timeout=2)


def test_the_region_of_a_profile_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from lenticular.butler.store import _s3_options

    folder = tmp_path_factory.mktemp("aws")
    (folder / "config").write_text("[profile far]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    assert _s3_options("far")["region"] == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert _s3_options("far")["region"] == "us-west-2"
