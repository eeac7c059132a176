"""Moto's S3 on files: the only module that knows how moto works inside.

Moto answers the S3 protocol well, but keeps every object in memory, copies it
whole for each ranged read, and forgets everything when it stops. Here its
classes for keys, uploads, buckets, the backend and the HTTP answers are derived
from, so that the bytes are files of an `ObjectFolder` and every change enters
its manifest before it is acknowledged. Nothing in moto itself is altered: tests
that use moto's own decorators in the same process are not disturbed.

What moto keeps besides objects (policies, CORS rules, access lists, tags) lasts as
long as the server. Versioned buckets are refused.
"""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from moto.core.exceptions import ServiceException
from moto.moto_server.werkzeug_app import BackendRequest, MotoRequestHandler
from moto.s3 import exceptions, models
from moto.s3.responses import S3Response
from moto.s3.utils import STORAGE_CLASS, compute_checksum
from moto.settings import S3_UPLOAD_PART_MIN_SIZE

from lenticular.platform.services._objects import (
    BucketRecord,
    FileBytes,
    ObjectFolder,
    ObjectRecord,
    StoredFile,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Answer", "MotoRequestHandler", "Request", "StoredBackend", "answer"]

_PARTITION = "aws"
_ACCOUNT = "123456789012"
_COMPUTABLE = {"CRC32", "SHA1", "SHA256"}  # moto replaces others by CRC32 where a library is missing

type Answer = tuple[int, dict[str, Any], Any]


class StoredKey(models.FakeKey):
    """An object, or a part of one in the making, whose bytes are a file."""

    def __new__(cls, *_: Any, **__: Any) -> StoredKey:  # noqa: PYI034  # moto annotates with the class
        # Moto's own __new__ remembers every instance for ever.
        return object.__new__(cls)

    def __init__(self, path: Path, *, name: Any, size: int, etag: str, **options: Any) -> None:
        self.path = path
        super().__init__(name, b"", _ACCOUNT, _PARTITION, etag=etag, **options)
        self._value_buffer.close()
        self.contentsize = size

    @property
    def value(self) -> Any:
        """The bytes of the object, not yet read."""
        return FileBytes(self.path)

    @value.setter
    def value(self, _: bytes) -> None:
        """Moto sets the value of every new key; ours is in its file."""

    def dispose(self, garbage: bool = False) -> None:  # noqa: FBT001, FBT002  # moto's signature
        """Do nothing: there is no buffer to close."""
        del garbage
        self.disposed = True

    def __del__(self) -> None:
        """Do nothing, where moto complains about keys it has not disposed of."""


class StoredBucket(models.FakeBucket):
    """A bucket that is never versioned and whose name concerns nobody else."""

    def __init__(self, name: str, region: str) -> None:
        # Moto enters each bucket into a directory that all its backends share.
        names = models.s3_backends.bucket_accounts
        before = {name: names[name]} if name in names else {}
        super().__init__(name, _ACCOUNT, region)
        del names[name]
        names.update(before)

    def is_created(self) -> bool:
        """Tell that the bucket exists; moto's own class leaves this open."""
        return True

    @property
    def is_versioned(self) -> bool:
        """Whether old versions of objects are kept; they never are."""
        return False


class StoredMultipart(models.FakeMultipart):
    """A multipart upload whose parts are files."""

    def __new__(cls, *_: Any, **__: Any) -> StoredMultipart:  # noqa: PYI034  # moto annotates with the class
        return object.__new__(cls)

    def __init__(self, folder: ObjectFolder, *arguments: Any) -> None:
        self.folder = folder
        key, metadata, storage, tags, acl, encryption, kms_key = arguments
        super().__init__(key, metadata, _ACCOUNT, _PARTITION, storage, tags, acl, encryption, kms_key)

    def set_part(self, part_id: int, value: bytes | FileBytes) -> StoredKey:
        """Write one part; an earlier one of the same number is replaced."""
        if part_id < 1:
            raise exceptions.NoSuchUpload(upload_id=part_id)
        file = self.folder.write(value)
        earlier = self.parts.get(part_id)
        if isinstance(earlier, StoredKey):
            earlier.path.unlink()
        self.partlist = sorted({*self.partlist, part_id})
        part = StoredKey(file.path, name=part_id, size=file.size, etag=file.md5)
        self.parts[part_id] = part
        return part

    def complete(self, body: Iterable[tuple[int, str]]) -> tuple[Any, str, tuple[str, str, int] | None]:
        """Join the parts into one file; return it with its ETag and checksum."""
        chosen: list[StoredKey] = []
        for number, etag in body:
            part = self.parts.get(number)
            if not isinstance(part, StoredKey) or part.etag.strip('"') != etag.strip('"'):
                raise exceptions.InvalidPart
            if chosen and chosen[-1].size < S3_UPLOAD_PART_MIN_SIZE:
                raise exceptions.EntityTooSmall
            chosen.append(part)
        if not chosen:
            raise exceptions.MalformedXML
        digest = hashlib.md5(usedforsecurity=False)
        for part in chosen:
            digest.update(bytes.fromhex(part.etag.strip('"')))
        file = self.folder.join(part.path for part in chosen)
        return file, f"{digest.hexdigest()}-{len(chosen)}", self._checksum(chosen, file.path)

    def dispose(self) -> None:
        """Remove the parts."""
        for part in self.parts.values():
            if isinstance(part, StoredKey):
                part.path.unlink(missing_ok=True)
        self.parts.clear()

    def _checksum(self, parts: list[StoredKey], whole: Path) -> tuple[str, str, int] | None:
        algorithm = self.metadata.get("x-amz-checksum-algorithm")
        if algorithm not in _COMPUTABLE:
            return None
        if self.metadata.get("x-amz-checksum-type", "COMPOSITE") == "FULL_OBJECT":
            content: Any = FileBytes(whole)
            return "FULL_OBJECT", compute_checksum(content, algorithm).decode(), 1
        joined = b"".join(compute_checksum(part.value, algorithm, encode_base64=False) for part in parts)
        return "COMPOSITE", compute_checksum(joined, algorithm).decode(), len(parts)


class StoredBackend(models.S3Backend):
    """Moto's S3 over one `ObjectFolder`.

    Parameters
    ----------
    folder
        The files and their manifest. Everything in it is served at once.
    """

    def __init__(self, folder: ObjectFolder) -> None:
        super().__init__(_PARTITION, _ACCOUNT)
        self.folder = folder
        self.stored: dict[str, StoredBucket] = {}
        self.buckets = cast("dict[str, models.FakeBucket]", self.stored)
        self.writing = threading.RLock()
        self._changed: list[StoredKey | BucketRecord | tuple[str, ...]] = []
        self._discarded: list[Path] = []
        for bucket in folder.buckets.values():
            restored = StoredBucket(bucket.bucket, bucket.region)
            restored.creation_date = datetime.fromtimestamp(bucket.created, UTC)
            self.stored[bucket.bucket] = restored
        for record in folder.objects.values():
            self._restore(record)

    def commit(self) -> None:
        """Enter what the current request changed into the manifest.

        Raises
        ------
        OSError
            The manifest cannot be written. The changes stay for the next call.
        """
        changed = dict.fromkeys(self._changed)
        records = [self._record(item) if isinstance(item, StoredKey) else item for item in changed]
        self.folder.commit(record for record in records if record is not None)
        self._changed.clear()
        while self._discarded:
            self._discarded.pop().unlink(missing_ok=True)

    def log_incoming_request(self, request: Any, bucket_name: str) -> None:
        """Do nothing: buckets here do not log requests into other buckets."""

    def create_bucket(
        self, bucket_name: str, region_name: str, bucket_namespace: str | None = None
    ) -> StoredBucket:
        """Create a bucket."""
        del bucket_namespace
        if bucket_name in self.stored:
            raise exceptions.BucketAlreadyExists(bucket=bucket_name)
        if not models.MIN_BUCKET_NAME_LENGTH <= len(bucket_name) <= models.MAX_BUCKET_NAME_LENGTH:
            raise exceptions.InvalidBucketName
        bucket = self.stored[bucket_name] = StoredBucket(bucket_name, region_name)
        self._changed.append(BucketRecord(bucket_name, region_name, bucket.creation_date.timestamp()))
        return bucket

    def get_bucket(self, bucket_name: str) -> StoredBucket:
        """Return a bucket of this server."""
        try:
            return self.stored[bucket_name]
        except KeyError:
            raise exceptions.MissingBucket(bucket=bucket_name) from None

    def delete_bucket(self, bucket_name: str) -> StoredBucket | None:
        """Delete a bucket; return None if there are objects in it."""
        bucket = self.get_bucket(bucket_name)
        if bucket.keys:
            return None
        for upload in bucket.multiparts.values():
            upload.dispose()
        self._changed.append((bucket_name,))
        del self.stored[bucket_name]
        return bucket

    def put_bucket_versioning(self, bucket_name: str, status: str) -> None:
        """Refuse: only the newest version of an object is kept."""
        del bucket_name, status
        raise exceptions.S3ClientError("NotImplemented", "This server does not keep versions of objects")

    def get_object(self, bucket_name: str, key_name: str, *arguments: Any, **options: Any) -> Any:
        """Return an object, or None. Parts of a finished upload cannot be told apart any more."""
        options.pop("part_number", None)
        version_id = arguments[0] if arguments else None
        return super().get_object(bucket_name, key_name, options.pop("version_id", version_id), **options)

    def put_object(self, bucket_name: str, key_name: str, value: Any, *_: Any, **options: Any) -> StoredKey:
        """Store an object, ``bytes`` or a file, in place of an earlier one of the same key."""
        storage = options.get("storage")
        if storage is not None and storage not in STORAGE_CLASS:
            raise exceptions.InvalidStorageClass(storage=storage)
        bucket = self.get_bucket(bucket_name)
        file = value if isinstance(value, StoredFile) else self.folder.write(value)
        kept: dict[str, Any] = {name: options.get(name) for name in ("multipart", "checksum_value")}
        kept["etag"] = options.get("etag") or file.md5
        path = self.folder.path(self.folder.keep(file))
        key = StoredKey(path, name=key_name, size=file.size, bucket_name=bucket_name, storage=storage, **kept)
        self._discard(bucket, key_name)
        bucket.keys.setlist(key_name, [key])
        self._changed.append(key)
        return key

    def delete_object(
        self, bucket_name: str, key_name: str, *arguments: Any, **options: Any
    ) -> tuple[bool, dict[str, Any]]:
        """Delete an object."""
        self._discard(self.get_bucket(bucket_name), key_name)
        done: tuple[bool, dict[str, Any]] = super().delete_object(
            bucket_name, key_name, *arguments, **options
        )
        if done[0]:
            self._changed.append((bucket_name, key_name))
        return done

    def create_multipart_upload(
        self, bucket_name: str, key_name: str, metadata: Any, *arguments: Any
    ) -> StoredMultipart:
        """Begin an upload in parts."""
        upload = StoredMultipart(self.folder, key_name, metadata, *arguments)
        self.get_bucket(bucket_name).multiparts[upload.id] = upload
        return upload

    def _discard(self, bucket: StoredBucket, key_name: str) -> None:
        # The file goes after the manifest has said so.
        earlier = bucket.keys.get(key_name)
        if earlier is not None:
            self._discarded.append(earlier.path)

    def _record(self, key: StoredKey) -> ObjectRecord | None:
        bucket = self.stored.get(key.bucket_name or "")
        if bucket is None or bucket.keys.get(key.name) is not key:
            return None  # replaced or deleted within the same request
        return ObjectRecord(
            bucket=bucket.name,
            key=key.name,
            file=key.path.name,
            size=key.size,
            etag=key.etag.strip('"'),
            modified=key.last_modified.replace(tzinfo=UTC).timestamp(),
            metadata=dict(key.metadata),
            storage=key.storage_class or "STANDARD",
            checksum=(key.checksum_algorithm, key.checksum_value, key.checksum_type, key.checksum_parts),
        )

    def _restore(self, record: ObjectRecord) -> None:
        algorithm, value, kind, parts = record.checksum
        key = StoredKey(
            self.folder.path(record.file),
            name=record.key,
            size=record.size,
            etag=record.etag,
            bucket_name=record.bucket,
            storage=record.storage,
            checksum_value=value,
            checksum_type=kind,
            checksum_parts=parts,
        )
        key.checksum_algorithm = algorithm
        key.last_modified = datetime.fromtimestamp(record.modified, UTC).replace(tzinfo=None)
        key.metadata.update(record.metadata)
        self.buckets[record.bucket].keys.setlist(record.key, [key])


class _StoredResponse(S3Response):
    """Moto's translation of HTTP requests, bound to one backend."""

    def __init__(self, backend: StoredBackend) -> None:
        super().__init__()
        self._backend = backend

    @property
    def backend(self) -> StoredBackend:
        """The backend of this server, whatever account the request names."""
        return self._backend

    def get_current_account(self) -> str:
        """Return the one account there is."""
        return _ACCOUNT

    @staticmethod
    def subdomain_based_buckets(request: Any) -> bool:
        """Tell whether buckets are host names; they are the first part of the path."""
        del request
        return False

    def get_object(self) -> Any:
        """Answer a GET of an object."""
        while True:
            try:
                return super().get_object()
            except FileNotFoundError:  # replaced since it was looked up: look again
                continue

    @classmethod
    def _send_response(cls, response: Any) -> Answer:
        if isinstance(response, tuple) and isinstance(response[2], FileBytes):
            return response  # moto would search the whole object for an XML element
        answer: Answer = super()._send_response(response)
        return answer


class Request(BackendRequest):
    """A request as moto wants it."""


def answer(backend: StoredBackend, request: Request) -> Answer:
    """Answer one request.

    Parameters
    ----------
    backend
        The S3 to serve. Changes are made one at a time, so that conditional
        writes (``If-None-Match: *``) have exactly one winner.
    request
        The request.

    Returns
    -------
    tuple
        Status, headers, and content: ``bytes``, ``str`` or `FileBytes`.

    Raises
    ------
    OSError
        A file or the manifest cannot be read or written.
    """
    response = _StoredResponse(backend)
    _, _, key = request.raw_path.lstrip("/").partition("/")
    respond = response.key_response if key else response.bucket_response
    arguments = (request, request.raw_url, dict(request.headers))
    try:
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return respond(*arguments)
        _ = request.data  # received before the lock is taken: a slow client holds up nobody
        with backend.writing:
            try:
                return respond(*arguments)
            finally:
                backend.commit()
    except ServiceException as error:
        return 400, {}, f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
