"""Children that do not outlive the process that made them."""

from __future__ import annotations

import os
import threading
from multiprocessing import connection, parent_process

__all__ = ["end_with_parent"]


def end_with_parent() -> None:
    """End this process as soon as its parent is gone, whatever it is doing.

    For processes of `multiprocessing`. A parent that was killed may be
    started again at once; two children must not write the same outputs.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
