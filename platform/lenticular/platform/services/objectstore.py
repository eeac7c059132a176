"""An S3 server for the demo, workshops and tests, which survives its own death.

::

    with ObjectStoreServer("store") as server:      # in this process
        server.make_bucket("survey")
        os.environ.update(server.environment())

    store = ObjectStoreProcess("store").start()     # in a child process

Objects are files below the folder. Stopped or killed and started again, the
server has the same buckets and objects at once.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from lenticular.butler.errors import LenticularError, PortInUseError, ServiceError
from lenticular.platform.services._objects import ObjectFolder
from lenticular.platform.services._s3 import ObjectStore
from lenticular.platform.services.process import ChildProcess, bound_socket, report, require_port

if TYPE_CHECKING:
    from types import TracebackType

    from lenticular.platform.services._wsgi import StoreServer

__all__ = ["ObjectStoreProcess", "ObjectStoreServer", "main"]

_START_TIMEOUT = 60.0
_MOTO = ((5, 2), (6, 0))


class ObjectStoreServer(ObjectStore):
    """An S3 server in threads of this process.

    Parameters
    ----------
    folder
        Where the objects are kept; created if it does not exist.
    port
        Port to listen on; 0 takes any free one.
    host
        Address to listen on.

    Notes
    -----
    It shares the interpreter with its clients: for anything but small tests,
    `ObjectStoreProcess` is faster.
    """

    def __init__(self, folder: str | Path, *, port: int = 0, host: str = "127.0.0.1") -> None:
        self.folder = Path(folder).absolute()
        self._host = host
        self._port = port
        self._server: StoreServer | None = None
        self._objects: ObjectFolder | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        if self._server is None:
            raise ServiceError(
                "the object store is not running", where=self.folder, hint="Call start() first"
            )
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Restore the objects of the folder and begin to serve.

        Raises
        ------
        PortInUseError
            Another program listens on the port.
        ServiceError
            The folder cannot be used, or moto is missing or of an unknown
            version.
        """
        if self._server is not None:
            return self
        _check_moto()
        from lenticular.platform.services import _moto, _wsgi  # moto is slow and optional

        with bound_socket(self._host, self._port) as listener:
            self._objects = ObjectFolder(self.folder)
            try:
                self._server = _wsgi.StoreServer(_moto.StoredBackend(self._objects), listener)
            except BaseException:
                self._objects.close()
                raise
        self._thread = threading.Thread(target=self._server.serve_forever, name="objectstore", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close all connections and release the folder and the port."""
        if self._server is None or self._thread is None or self._objects is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.drop_connections()
        self._objects.close()
        self._server = self._thread = None


def _check_moto() -> None:
    """Make sure that moto is there, and of a version that `_moto` knows."""
    hint = "Install the optional dependencies of the demo: pip install 'lenticular[demo]'"
    try:
        found = version("moto")
    except PackageNotFoundError as error:
        raise ServiceError("the demo's object store needs moto, which is not installed", hint=hint) from error
    oldest, beyond = _MOTO
    if not oldest <= tuple(int(part) for part in found.split(".")[:2]) < beyond:
        known = f"{oldest[0]}.{oldest[1]} and newer, before {beyond[0]}.{beyond[1]}"
        raise ServiceError(f"moto {found} is not supported; {known} is", hint=hint)


class ObjectStoreProcess(ObjectStore):
    """An S3 server in a child process, which ends with ours.

    Parameters
    ----------
    folder
        Where the objects are kept; created if it does not exist.
    port
        Port to listen on; 0 takes any free one.
    host
        Address to listen on.
    log
        Its log file; ``objectstore.log`` in the folder by default.
    """

    def __init__(
        self, folder: str | Path, *, port: int = 0, host: str = "127.0.0.1", log: Path | None = None
    ) -> None:
        self.folder = Path(folder).absolute()
        self._endpoint = ""
        self._host = host
        self._port = port
        module = "lenticular.platform.services.objectstore"
        command = ["-m", module, "--folder", str(self.folder), "--port", str(port), "--host", host]
        self.process = ChildProcess(
            [sys.executable, *command], name="the object store", log=log or self.folder / "objectstore.log"
        )

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        if not self.process.running:
            raise ServiceError(
                "the object store is not running", where=self.folder, hint="Call start() first"
            )
        return self._endpoint

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the process and wait until it serves.

        Raises
        ------
        PortInUseError
            Another program listens on the port.
        ServiceError
            The server did not start; the message has the end of its log.
        """
        if self.process.running:
            return self
        if self._port:
            require_port(self._port, self._host)  # said at once, not after the imports of a child
        try:
            self.process.start()
            answer = json.loads(self.process.read_report(_START_TIMEOUT))
        except BaseException:
            self.process.kill()
            raise
        if "endpoint" not in answer:
            self.process.stop()
            kind = PortInUseError if answer["kind"] == PortInUseError.__name__ else ServiceError
            raise kind(answer["what"], where=answer["where"], hint=answer["hint"])
        self._endpoint = answer["endpoint"]
        return self

    def stop(self) -> None:
        """Stop the process."""
        self.process.stop()


@click.command()
@click.option("--folder", required=True, type=click.Path(path_type=Path), help="Where the objects are kept.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def main(folder: Path, port: int, host: str) -> None:
    """Serve the objects in a folder over S3 until interrupted."""
    enough = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: enough.set())
    server = ObjectStoreServer(folder, port=port, host=host)
    try:
        server.start()
    except LenticularError as error:
        answer = {"kind": type(error).__name__, "what": error.what, "where": error.where, "hint": error.hint}
        report(json.dumps(answer))
        raise click.ClickException(str(error)) from error
    report(json.dumps({"endpoint": server.endpoint}))
    click.echo(f"S3 at {server.endpoint}")
    enough.wait()
    server.stop()


if __name__ == "__main__":
    main()
