"""Objects of an S3 bucket as plain files, with a manifest that brings them back.

::

    folder/
        manifest.jsonl   one JSON line for each change, in order
        objects/         one file for each object, named by chance, never changed
        uploads/         what is being written; emptied at the start
        lock             held while a server runs

A change is first written to the manifest, in one piece, and then acknowledged.
A server may therefore be killed at any moment: the last line, if torn, belongs
to a change that nobody was told of. (A loss of power is another matter: files
are handed to the operating system, not forced to the disk.)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import mmap
import os
import shutil
import uuid
import weakref
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["BucketRecord", "FileBytes", "ObjectFolder", "ObjectRecord", "StoredFile"]

_LOG = logging.getLogger(__name__)
_BLOCK = 1 << 20
_FORMAT = {"op": "format", "version": 1}
_SLACK = 200  # lines of history that are not worth a compaction


@dataclass(frozen=True, slots=True)
class BucketRecord:
    """A bucket, as the manifest knows it."""

    bucket: str
    """Its name."""
    region: str
    """The region it was asked for in."""
    created: float
    """When, in seconds since 1970 (UTC)."""


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """An object, as the manifest knows it."""

    bucket: str
    """Name of its bucket."""
    key: str
    """Its key."""
    file: str
    """Name of its file in ``objects/``."""
    size: int
    """Size in bytes."""
    etag: str
    """ETag, without quotes: the MD5, or S3's MD5 of MD5s of a multipart upload."""
    modified: float
    """When it was written, in seconds since 1970 (UTC)."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Headers to return with it, the content type among them."""
    storage: str = "STANDARD"
    """Storage class."""
    checksum: tuple[str | None, str | None, str | None, int | None] = (None, None, None, None)
    """Algorithm, value, type and number of parts."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A complete file, not yet known to the manifest."""

    path: Path
    """Where it is."""
    size: int
    """Size in bytes."""
    md5: str
    """MD5 of its bytes, in hexadecimal digits; empty if it was not computed."""


class FileBytes:
    """The bytes of a file, read when they are asked for.

    It stands where a server expects ``bytes``: it has a length, gives ``bytes``
    for a slice (by one ``pread``, so the memory in use is that of the slice),
    and is a buffer for those who want to hash it (a memory map).

    Parameters
    ----------
    path
        The file. It stays readable here when it is unlinked meanwhile.
    """

    __slots__ = ("__weakref__", "_descriptor", "_size", "path")

    path: Path
    """The file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        self._size = os.fstat(self._descriptor).st_size
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, step = part.indices(self._size)
        if step != 1:
            raise ValueError("only contiguous slices of a file can be read")
        pieces = []
        while start < stop:
            piece = os.pread(self._descriptor, stop - start, start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __buffer__(self, flags: int) -> memoryview:
        if self._size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(self._descriptor, self._size, access=mmap.ACCESS_READ))

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes from the first to the last, 1 MiB at a time."""
        for start in range(0, self._size, _BLOCK):
            yield self[start : start + _BLOCK]


class ObjectFolder:
    """The files and the manifest of one object store.

    Parameters
    ----------
    folder
        Where they are; created if it does not exist.

    Raises
    ------
    ServiceError
        Another server uses the folder, it cannot be written, or its manifest
        is damaged other than by an interrupted last write.
    """

    buckets: dict[str, BucketRecord]
    """Buckets found at the start, by name."""

    objects: dict[tuple[str, str], ObjectRecord]
    """Objects found at the start, by bucket and key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.buckets = {}
        self.objects = {}
        self._objects = folder / "objects"
        self._uploads = folder / "uploads"
        self._manifest = folder / "manifest.jsonl"
        try:
            self._objects.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
            shutil.rmtree(self._uploads, ignore_errors=True)
            self._uploads.mkdir(exist_ok=True)
        except OSError as error:
            what = f"the object store's folder cannot be used: {error.strerror}"
            raise ServiceError(what, where=folder, hint="Choose a folder that can be written to") from error
        try:
            lines = self._replay()
            self._forget_the_lost()
            self._remove_orphans()
            if lines > 2 * (len(self.buckets) + len(self.objects)) + _SLACK:
                self._compact()
            self._log: BinaryIO = self._manifest.open("ab", buffering=0)
            if self._log.tell() == 0:
                self._log.write(_line(_FORMAT))
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Release the folder; another server may use it then."""
        self._log.close()
        self._lock.close()

    def path(self, file: str) -> Path:
        """Return where the file of an object is."""
        return self._objects / file

    def write(self, data: bytes | FileBytes) -> StoredFile:
        """Write a file in ``uploads/``.

        Parameters
        ----------
        data
            Its bytes. Those of another file are linked to, not copied, where
            the file system can: no file is ever changed.
        """
        path = self._new_path()
        if isinstance(data, FileBytes):
            try:
                os.link(data.path, path)
            except OSError:  # no links here, or too many
                shutil.copyfile(data.path, path)
        else:
            with path.open("wb", buffering=0) as file:
                _write_all(file, memoryview(data))
        digest = hashlib.md5(data, usedforsecurity=False)
        return StoredFile(path, len(data), digest.hexdigest())

    def join(self, sources: Iterable[Path]) -> StoredFile:
        """Write one file from several; its MD5 is not computed."""
        path = self._new_path()
        with path.open("wb") as target:
            for source in sources:
                with source.open("rb") as part:
                    shutil.copyfileobj(part, target, _BLOCK)
        return StoredFile(path, path.stat().st_size, "")

    def keep(self, file: StoredFile) -> str:
        """Move a complete file to ``objects/`` and return its name there."""
        file.path.rename(self._objects / file.path.name)
        return file.path.name

    def commit(self, changes: Iterable[BucketRecord | ObjectRecord | tuple[str, ...]]) -> None:
        """Write changes to the manifest, all or none.

        Parameters
        ----------
        changes
            Records that are new or replace others; and ``(bucket,)`` or
            ``(bucket, key)`` for what is no more.

        Raises
        ------
        OSError
            The manifest cannot be written; it is as it was before.
        """
        text = b"".join(_line(_described(change)) for change in changes)
        if not text:
            return
        end = os.fstat(self._log.fileno()).st_size
        try:
            _write_all(self._log, memoryview(text))
        except OSError:
            self._log.truncate(end)  # else the next line would be glued to half of this one
            raise

    def _new_path(self) -> Path:
        return self._uploads / uuid.uuid4().hex

    def _take_lock(self) -> BinaryIO:
        lock = (self.folder / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            hint = "Stop that server, or give this one a folder of its own"
            raise ServiceError("another server uses this folder", where=self.folder, hint=hint) from error
        return lock

    def _replay(self) -> int:
        """Read the manifest; return its number of lines."""
        try:
            content = self._manifest.read_bytes()
        except FileNotFoundError:
            return 0
        whole = content.rfind(b"\n") + 1
        if whole < len(content):  # torn: nobody was told of this change
            os.truncate(self._manifest, whole)
        lines = content[:whole].splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                self._apply(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                what = f"line {number} of the manifest cannot be read"
                hint = "Restore the file from a copy, or start with an empty folder"
                raise ServiceError(what, where=self._manifest, hint=hint) from error
        return len(lines)

    def _apply(self, change: dict[str, Any]) -> None:
        operation = change.pop("op")
        if operation == "put":
            record = ObjectRecord(**{**change, "checksum": tuple(change["checksum"])})
            self.objects[record.bucket, record.key] = record
        elif operation == "bucket":
            bucket = BucketRecord(**change)
            self.buckets[bucket.bucket] = bucket
        elif operation == "delete":
            self.objects.pop((change["bucket"], change["key"]), None)
        elif operation == "delete bucket":
            self.buckets.pop(change["bucket"], None)
        elif change != {"version": _FORMAT["version"]}:
            raise ValueError(operation)

    def _forget_the_lost(self) -> None:
        for name, record in list(self.objects.items()):
            try:
                size = self.path(record.file).stat().st_size
            except FileNotFoundError:
                size = -1
            if size != record.size or record.bucket not in self.buckets:
                _LOG.warning("s3://%s/%s is lost: its file was removed or changed", *name)
                del self.objects[name]

    def _remove_orphans(self) -> None:
        known = {record.file for record in self.objects.values()}
        with os.scandir(self._objects) as entries:
            for entry in entries:
                if entry.name not in known:
                    (self._objects / entry.name).unlink()

    def _compact(self) -> None:
        fresh = self._manifest.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(_line(_FORMAT))
            for bucket in self.buckets.values():
                file.write(_line(_described(bucket)))
            for record in self.objects.values():
                file.write(_line(_described(record)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._manifest)


def _described(change: BucketRecord | ObjectRecord | tuple[str, ...]) -> dict[str, Any]:
    if isinstance(change, ObjectRecord):
        return {"op": "put", **asdict(change)}
    if isinstance(change, BucketRecord):
        return {"op": "bucket", **asdict(change)}
    if len(change) == 1:
        return {"op": "delete bucket", "bucket": change[0]}
    return {"op": "delete", "bucket": change[0], "key": change[1]}


def _line(change: dict[str, Any]) -> bytes:
    return json.dumps(change, separators=(",", ":")).encode() + b"\n"


def _write_all(file: BinaryIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]
