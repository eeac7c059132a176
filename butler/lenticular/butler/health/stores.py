"""Looking at what is in a folder or a bucket: one file at a time, or all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lenticular.butler.store import Location, open_store, store_error

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Store", "open_files"]

_PAGE_OF_BUCKET = 1000
_PAGE_OF_FOLDER = 40


class Store(Protocol):
    """Files below a root."""

    @property
    def parallel(self) -> int:
        """How many questions it may be asked at once."""

    @property
    def page(self) -> int:
        """About how many files its listing tells in the time of one question."""

    def size(self, path: str) -> int | None:
        """Return the size of a file [bytes], or `None` if there is none.

        Parameters
        ----------
        path
            Path below the root.

        Raises
        ------
        StoreUnreachableError
            Raised if the store does not answer, or refuses access.
        """

    def listing(self) -> Iterator[tuple[str, int]]:
        """Yield path and size [bytes] of every file.

        Raises
        ------
        StoreUnreachableError
            Raised if the store does not answer, or refuses to be listed.
        """


def open_files(root: Location, *, timeout: float) -> Store:
    """Return the files below a root.

    Parameters
    ----------
    root
        A folder, or a prefix in a bucket.
    timeout
        Seconds after which a store counts as unreachable.
    """
    return _Folder(Path(root.path)) if root.is_local else _Bucket(root, timeout)


@dataclass(frozen=True, slots=True)
class _Folder:
    root: Path

    @property
    def parallel(self) -> int:
        """See `Store.parallel`."""
        return 4

    @property
    def page(self) -> int:
        """See `Store.page`."""
        return _PAGE_OF_FOLDER

    def size(self, path: str) -> int | None:
        """See `Store.size`."""
        try:
            return (self.root / path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._error(error) from error

    def listing(self) -> Iterator[tuple[str, int]]:
        """See `Store.listing`."""
        folders = [""] if self.root.is_dir() else []
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.root / folder) as entries:
                    for entry in entries:
                        path = f"{folder}{entry.name}"
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(f"{path}/")
                        elif (size := self.size(path)) is not None:  # a link that leads nowhere is no file
                            yield path, size
            except OSError as error:
                raise self._error(error) from error

    def _error(self, error: OSError) -> Exception:
        from lenticular.butler.errors import StoreUnreachableError

        return StoreUnreachableError(
            f"The datastore's folder cannot be read: {error.strerror}",
            where=error.filename or self.root,
            hint="Ask its owner for permission to read it.",
        )


class _Bucket:
    """Objects whose keys begin alike."""

    def __init__(self, root: Location, timeout: float) -> None:
        self._root = root
        self._timeout = timeout
        self._client: Any = open_store(root, timeout)
        self._prefix = f"{root.path.strip('/')}/".lstrip("/")

    @property
    def parallel(self) -> int:
        """See `Store.parallel`."""
        return 32

    @property
    def page(self) -> int:
        """See `Store.page`."""
        return _PAGE_OF_BUCKET

    def size(self, path: str) -> int | None:
        """See `Store.size`."""
        import obstore

        try:
            return int(obstore.head(self._client, f"{self._prefix}{path}")["size"])
        except FileNotFoundError:
            return None
        except Exception as error:
            raise store_error(error, self._root, self._timeout) from error

    def listing(self) -> Iterator[tuple[str, int]]:
        """See `Store.listing`."""
        import obstore

        try:
            for page in obstore.list(self._client, prefix=self._prefix, chunk_size=self.page):
                for one in page:
                    yield one["path"].removeprefix(self._prefix), int(one["size"])
        except Exception as error:
            raise store_error(error, self._root, self._timeout) from error
