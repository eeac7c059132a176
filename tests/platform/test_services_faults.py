"""Each fault of the proxy, and that it passes everything else through unharmed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler.errors import PortInUseError, ServiceError
from lenticular.platform.services import Counters, FaultProxy, Faults
from lenticular.platform.services._http import HttpRequests
from lenticular.platform.services._spoiled import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lenticular.platform.services import ObjectStoreProcess

PAYLOAD = bytes(range(256)) * 400  # 102 400 bytes


class Upstream:
    """A server that handles each connection in a thread."""

    def __init__(self, listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
        self.listener = listener
        self.handle = handle
        self.threads: list[threading.Thread] = []
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self) -> None:
        """Take connections until closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(connection,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def serve(self, connection: socket.socket) -> None:
        """Handle one connection and close it."""
        with connection, contextlib.suppress(OSError):
            self.handle(connection)

    def close(self) -> None:
        """Take no more connections, and wait for those there are."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in (self.acceptor, *self.threads):
            thread.join(30)


def echo(connection: socket.socket) -> None:
    while block := connection.recv(65536):
        connection.sendall(block)


def fountain(connection: socket.socket) -> None:
    connection.sendall(PAYLOAD)


@pytest.fixture
def echo_address() -> Iterator[tuple[str, int]]:
    upstream = Upstream(socket.create_server(("127.0.0.1", 0)), echo)
    yield upstream.listener.getsockname()
    upstream.close()


@pytest.fixture
def fountain_address() -> Iterator[tuple[str, int]]:
    upstream = Upstream(socket.create_server(("127.0.0.1", 0)), fountain)
    yield upstream.listener.getsockname()
    upstream.close()


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(proxy.address, timeout=30)


def receive(client: socket.socket, size: int | None = None) -> bytes:
    received = bytearray()
    while size is None or len(received) < size:
        block = client.recv(65536 if size is None else size - len(received))
        if not block:
            break
        received += block
    return bytes(received)


def is_reset(proxy: FaultProxy) -> bool:
    try:
        with connect(proxy) as client:  # which may see the reset already
            client.recv(1)
    except ConnectionResetError:
        return True
    return False


def exchange(proxy: FaultProxy, data: bytes) -> bytes:
    with connect(proxy) as client:

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        answer = receive(client)
        sender.join()
    return answer


def test_without_faults_bytes_pass_both_ways_and_are_counted(echo_address: tuple[str, int]) -> None:
    with FaultProxy(echo_address) as proxy:
        assert exchange(proxy, PAYLOAD) == PAYLOAD
    size = len(PAYLOAD)
    assert proxy.counters == Counters(connections=1, bytes_up=size, bytes_down=size)


def test_a_unix_socket_is_reached(open_folder: Path) -> None:
    path = open_folder / "echo.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        upstream = Upstream(listener, echo)
        with FaultProxy(path) as proxy:
            assert exchange(proxy, PAYLOAD) == PAYLOAD
        upstream.close()


def test_the_round_trip_becomes_longer(echo_address: tuple[str, int]) -> None:
    with FaultProxy(echo_address, faults=Faults(rtt=0.05)) as proxy:
        began = time.monotonic()
        assert exchange(proxy, PAYLOAD) == PAYLOAD
        # A lower bound holds under any load: the handshake, and there and back.
        assert time.monotonic() - began >= 0.1


def test_the_bandwidth_is_limited_for_all_together(fountain_address: tuple[str, int]) -> None:
    with FaultProxy(fountain_address, faults=Faults(bandwidth=2_048_000)) as proxy:
        began = time.monotonic()
        with connect(proxy) as one, connect(proxy) as other:
            assert receive(one) == receive(other) == PAYLOAD
        assert time.monotonic() - began >= 0.1  # 204 800 bytes


@given(sizes=st.lists(st.integers(1, 10**6), min_size=1), bandwidth=st.integers(1, 10**7))
def test_what_is_reserved_at_once_takes_its_time(sizes: list[int], bandwidth: int) -> None:
    async def unused() -> Any:
        raise AssertionError

    line = Line(Faults(bandwidth=bandwidth), FaultProxy(("127.0.0.1", 1)).counters, unused, http=False)
    ends = [line.reserve(size, 100.0) for size in sizes]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(100.0 + sum(sizes) / bandwidth)
    assert line.reserve(bandwidth, ends[-1] + 50.0) == pytest.approx(ends[-1] + 51.0)


def test_a_connection_is_reset_after_so_many_bytes(fountain_address: tuple[str, int]) -> None:
    with FaultProxy(fountain_address, faults=Faults(reset_after=10_000)) as proxy:
        with connect(proxy) as client:
            assert receive(client, 10_000) == PAYLOAD[:10_000]
            with pytest.raises(ConnectionResetError):
                receive(client)
        assert (proxy.counters.resets, proxy.counters.bytes_down) == (1, 10_000)


def test_a_connection_is_reset_before_the_first_byte(fountain_address: tuple[str, int]) -> None:
    with FaultProxy(fountain_address, faults=Faults(reset_after=0)) as proxy:
        assert is_reset(proxy)
    assert (proxy.counters.resets, proxy.counters.bytes_down) == (1, 0)


def test_a_stalled_connection_stays_open_and_goes_on(fountain_address: tuple[str, int]) -> None:
    with FaultProxy(fountain_address, faults=Faults(stall_after=10_000)) as proxy, connect(proxy) as client:
        assert receive(client, 10_000) == PAYLOAD[:10_000]
        assert proxy.counters.bytes_down == 10_000
        client.setblocking(False)  # noqa: FBT003  # the name of the socket's method says it
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.settimeout(30)
        proxy.faults.stall_after = None
        assert receive(client) == PAYLOAD[10_000:]


def test_a_client_can_leave_a_stalled_connection() -> None:
    left = threading.Event()

    def hold(connection: socket.socket) -> None:
        connection.sendall(b"x" * 20)
        with contextlib.suppress(OSError):
            connection.recv(1)
        left.set()

    upstream = Upstream(socket.create_server(("127.0.0.1", 0)), hold)
    with FaultProxy(upstream.listener.getsockname(), faults=Faults(stall_after=10)) as proxy:
        with connect(proxy) as client:
            receive(client, 10)
        assert left.wait(30)
    upstream.close()


def test_connections_are_refused_and_let_in_again(echo_address: tuple[str, int]) -> None:
    with FaultProxy(echo_address) as proxy:
        with connect(proxy) as client:
            proxy.faults.refuse = True
            with pytest.raises(ConnectionRefusedError):
                connect(proxy)
            client.sendall(b"an open connection goes on")
            assert receive(client, 26) == b"an open connection goes on"
        proxy.faults.refuse = False
        assert exchange(proxy, b"again") == b"again"
        assert proxy.counters.connections == 2


def test_a_server_that_is_not_there_resets_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with FaultProxy(address) as proxy:
        assert is_reset(proxy)


def test_every_third_request_is_told_to_slow_down(object_store: ObjectStoreProcess, bucket: str) -> None:
    client = object_store.client()
    client.put_object(Bucket=bucket, Key="k", Body=PAYLOAD)
    client.close()
    with FaultProxy(object_store.endpoint, http=True, faults=Faults(slow_down_every=3)) as proxy:
        answers = [get(proxy, f"/{bucket}?list-type=2") for _ in range(6)]
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200", b"200", b"503"] * 2
    assert b"<Code>SlowDown</Code>" in answers[2]
    assert (proxy.counters.requests, proxy.counters.slow_downs) == (6, 2)


def get(proxy: FaultProxy, path: str) -> bytes:
    with connect(proxy) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n".encode())
        return receive(client)


def test_boto3_tries_again_when_told_to_slow_down(object_store: ObjectStoreProcess, bucket: str) -> None:
    with FaultProxy(object_store.endpoint, http=True, faults=Faults(slow_down_every=2)) as proxy:
        client = through(proxy, object_store)
        for number in range(3):
            client.put_object(Bucket=bucket, Key=f"k{number}", Body=PAYLOAD)
        assert client.get_object(Bucket=bucket, Key="k2")["Body"].read() == PAYLOAD
        client.close()
    assert proxy.counters.slow_downs == 3
    assert proxy.counters.bytes_up > 3 * len(PAYLOAD)


def test_boto3_sees_the_refusal_of_a_head(object_store: ObjectStoreProcess, bucket: str) -> None:
    with FaultProxy(object_store.endpoint, http=True, faults=Faults(slow_down_every=1)) as proxy:
        client = through(proxy, object_store)
        with pytest.raises(ClientError) as caught:
            client.head_object(Bucket=bucket, Key="k")
        client.close()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def through(proxy: FaultProxy, store: ObjectStoreProcess) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=proxy.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 3, "mode": "standard"}),
    )


def requests_in(data: bytes) -> list[bytes]:
    """Return the requests that the parser finds, each as a whole."""

    async def parse() -> list[bytes]:
        reader = asyncio.StreamReader(limit=1 << 18)
        reader.feed_data(data)
        reader.feed_eof()
        found: list[bytes] = []
        async for starts, block in HttpRequests(reader):
            if starts:
                found.append(b"")
            found[-1] += block
        return found

    return asyncio.run(parse())


BODIES = st.tuples(st.binary(max_size=50), st.booleans(), st.booleans())


@given(bodies=st.lists(BODIES, max_size=5))
def test_requests_are_told_apart(bodies: list[tuple[bytes, bool, bool]]) -> None:
    requests = []
    for body, chunked, trailer in bodies:
        if chunked:
            chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
            end = b"0\r\n" + (b"x-amz-checksum: abc\r\n" if trailer else b"") + b"\r\n"
            requests.append(b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + end)
        else:
            requests.append(b"PUT /k HTTP/1.1\r\ncontent-LENGTH:  %d \r\n\r\n%s" % (len(body), body))
    assert requests_in(b"".join(requests)) == requests


def test_half_a_request_is_an_end_of_file() -> None:
    with pytest.raises(EOFError):
        requests_in(b"PUT /k HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")


def test_the_server_sees_what_is_not_http(echo_address: tuple[str, int]) -> None:
    with FaultProxy(echo_address, http=True) as proxy:
        assert exchange(proxy, b"no request at all") == b"no request at all"


def test_faults_are_switched_off_together() -> None:
    faults = Faults(rtt=1, bandwidth=2, slow_down_every=3, reset_after=4, stall_after=5, refuse=True)
    faults.clear()
    assert faults == Faults()


@pytest.mark.parametrize(
    ("name", "value"),
    [("rtt", -0.1), ("bandwidth", 0), ("slow_down_every", 0), ("reset_after", -1), ("rtt", float("nan"))],
)
def test_a_fault_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    faults = Faults()
    with pytest.raises(ValueError, match=name):
        setattr(faults, name, value)
    assert faults == Faults()


def test_a_port_in_use_is_named(echo_address: tuple[str, int]) -> None:
    with pytest.raises(PortInUseError, match=str(echo_address[1])):
        FaultProxy(echo_address, port=echo_address[1]).start()


def test_an_incomplete_address_is_refused() -> None:
    with pytest.raises(ServiceError, match="incomplete"):
        FaultProxy("http://localhost")


def test_a_proxy_that_does_not_run_has_no_port() -> None:
    with pytest.raises(ServiceError, match="not running"):
        _ = FaultProxy(("127.0.0.1", 1)).port
