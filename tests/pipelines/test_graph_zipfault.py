"""The interpreter's fault with seeks in ZIP members, and its mend."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from lenticular.pipelines.graph.zipfault import mend_zipfile, zipfile_is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBER: Any = getattr(zipfile, "_SharedFile")  # noqa: B009  a name that stubs do not have


def faulty_seek(self: Any, offset: int, whence: int = io.SEEK_SET) -> int:
    """Seek as 3.13.0 does, whatever interpreter this is."""
    with self._lock:
        self._file.seek(offset, whence)
        self._pos = self._file.tell()
        return int(self._pos)


@pytest.fixture
def _faulty() -> Iterator[None]:
    before = MEMBER.seek
    MEMBER.seek = faulty_seek
    yield
    MEMBER.seek = before


def archive() -> zipfile.ZipFile:
    """Return an archive with two members, as a ``.qg`` file has."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as writer:
        writer.writestr("first", bytes(range(100)))
        writer.writestr("second", bytes(range(100, 200)))
    return zipfile.ZipFile(buffer)


def read_by_turns(reader: zipfile.ZipFile) -> bytes:
    """Read single bytes of two open members by relative seeks."""
    with reader.open("first") as first, reader.open("second") as second:
        found = b""
        for step in (10, 20, 30):
            first.seek(step)
            found += first.read(1)
            second.seek(step)
            found += second.read(1)
        return found


@pytest.mark.usefixtures("_faulty")
def test_the_fault_is_noticed() -> None:
    assert not zipfile_is_sound()


@pytest.mark.usefixtures("_faulty")
def test_two_members_can_be_read_by_turns_once_mended() -> None:
    mend_zipfile()
    assert zipfile_is_sound()
    assert read_by_turns(archive()) == bytes([10, 110, 20, 120, 30, 130])


@pytest.mark.usefixtures("_faulty")
def test_mending_a_sound_interpreter_changes_nothing() -> None:
    mend_zipfile()
    mended = MEMBER.seek
    mend_zipfile()
    assert MEMBER.seek is mended
