"""The server of the views: on a Unix socket that only its owner can open."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from panel.io.server import Server

__all__ = ["main", "make_server"]

_PARENT_SECONDS = 1.0


def make_server(socket: Path, *, prefix: str = "", read_only: bool = True) -> Server:
    """Make the server, which listens but does not answer before it is started.

    Parameters
    ----------
    socket
        The socket; made with mode 0600. A port, even on loopback, would be
        open to every user of the machine.
    prefix
        What stands in an address before the view's name, as seen here; empty
        behind a proxy that takes it away. Pages refer to all they need
        relatively, so they need not know.
    read_only
        Whether runs are only looked at.

    Returns
    -------
    panel.io.server.Server
        With one page per view, at ``/workbench``, ``/collections``, ``/run``
        and ``/exposure``. It takes what it serves from this installation.
    """
    from panel.io.server import get_server

    from lenticular.widgets.page import enable
    from lenticular.widgets.serve.builders import TITLES
    from lenticular.widgets.serve.session import Pages

    enable()
    return get_server(
        {name: Pages(name, read_only=read_only).make for name in TITLES},
        title=dict(TITLES),
        location=False,
        unix_socket=str(socket),
        prefix=prefix,
        # The proxy has checked where the page is from; here every request
        # comes through the socket, whatever host its header names.
        websocket_origin="*",
        # The Jupyter server's cookies and token travel with each request;
        # without this they would be written into the page.
        include_headers=[],
        include_cookies=[],
        use_index=False,
        start=False,
        show=False,
    )


@click.command(help="Serve the views on a Unix socket, for a Jupyter server to pass on.")
@click.option("--unix-socket", "socket", type=click.Path(path_type=Path), required=True, help="The socket.")
@click.option("--prefix", default="", help="What stands before the name of a view in an address.")
@click.option("--read-only/--allow-runs", default=True, help="Whether runs are only looked at.")
def main(*, socket: Path, prefix: str, read_only: bool) -> None:
    """Serve until told to stop, or until whoever started this is gone."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for name in ("bokeh.server.util", "tornado.access"):
        # They warn of the open origin, and of answers that the proxy's log has as well.
        logging.getLogger(name).setLevel(logging.ERROR)
    _end_with(os.getppid())
    server = make_server(socket, prefix=prefix, read_only=read_only)
    server.start()
    server.io_loop.start()
    sys.exit(0)


def _end_with(parent: int) -> None:
    """End as soon as the parent is gone; a Jupyter server that was killed stops nobody."""

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(_PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
