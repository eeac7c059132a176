"""A fault of the interpreter that breaks random access into ``.qg`` files.

In some patch releases of Python (3.12.1 and 3.13.0 among them; CPython issue
gh-127847) a relative seek inside a ZIP member moves from wherever the shared
file stands, not from where the member stands. A ``.qg`` file is a ZIP archive
whose readers keep two members open at once, so reading one quantum by its
identifier ends in an `EOFError` or in rubbish.
"""

from __future__ import annotations

import io
import threading
import zipfile
from typing import Any

__all__ = ["mend_zipfile", "zipfile_is_sound"]

_MEMBER_CLASS = "_SharedFile"


def zipfile_is_sound() -> bool:
    """Tell whether a relative seek starts where the member stands.

    The behaviour is tried rather than the version compared: distributions
    carry the mend to older patch releases.
    """
    shared = io.BytesIO(b"0123456789")
    member = _member_class()(shared, 5, lambda _: None, threading.RLock(), lambda: False)
    shared.seek(0)
    return bool(member.seek(1, io.SEEK_CUR) == 6)  # noqa: PLR2004  5 + 1


def mend_zipfile() -> None:
    """Mend `zipfile` in this process if, and only if, it has the fault.

    To be called in every process before it opens a ``.qg`` file. Calling it
    again does nothing.
    """
    if zipfile_is_sound():
        return
    member_class = _member_class()
    unmended = member_class.seek

    def seek(self: Any, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            return int(unmended(self, self.tell() + offset, io.SEEK_SET))
        return int(unmended(self, offset, whence))

    member_class.seek = seek


def _member_class() -> Any:
    return getattr(zipfile, _MEMBER_CLASS)
