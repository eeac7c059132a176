"""Asking a PostgreSQL server to stop a statement, without holding up this process.

`psycopg2.extensions.connection.cancel` does the same, but keeps Python's global
lock while it waits for the server: where the network stalls, the whole process
stands still until TCP gives up. Called through `ctypes`, libpq lets others run.
"""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from functools import cache
from typing import Any

__all__ = ["Canceller"]

_ERROR_BYTES = 256
"""What libpq recommends for the text of an error."""


class Canceller:
    """Asks a server to stop what it does for a connection, as often as necessary.

    It holds what libpq needs for that, and not the connection, which may be
    closed at any time.

    Parameters
    ----------
    connection
        psycopg2's connection, not in use by another thread just now.
    """

    def __init__(self, connection: Any) -> None:
        self._library = _library()
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._handle: int | None = self._library.PQgetCancel(connection.pgconn_ptr)

    def fire(self) -> None:
        """Send a request, unless the one before is still on its way; does not wait."""
        with self._lock:
            if self._closed or not self._handle or self._thread is not None:
                return
            self._thread = threading.Thread(target=self._send, name="lenticular-cancel", daemon=True)
            self._thread.start()

    def settle(self, seconds: float) -> bool:
        """Wait for the request on its way; tell whether there is none left.

        Parameters
        ----------
        seconds
            How long to wait at most.
        """
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._thread is None

    def close(self) -> None:
        """Send no more requests; does not wait for the one on its way."""
        with self._lock:
            self._closed = True
            if self._thread is None:
                self._free()

    def _send(self) -> None:
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        # Whether the server was reached does not matter: whoever waits looks at the connection.
        self._library.PQcancel(self._handle, error, _ERROR_BYTES)
        with self._lock:
            self._thread = None
            if self._closed:
                self._free()

    def _free(self) -> None:
        if self._handle:
            self._library.PQfreeCancel(self._handle)
            self._handle = None


@cache
def _library() -> Any:
    """Return the libpq that psycopg2 itself has loaded."""
    found = importlib.util.find_spec("psycopg2._psycopg")
    library = ctypes.CDLL(None if found is None else found.origin)
    library.PQgetCancel.argtypes, library.PQgetCancel.restype = [ctypes.c_void_p], ctypes.c_void_p
    library.PQcancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    library.PQcancel.restype = ctypes.c_int
    library.PQfreeCancel.argtypes, library.PQfreeCancel.restype = [ctypes.c_void_p], None
    return library
