"""The repositories that a server may read: by label, opened when first asked for."""

from __future__ import annotations

import difflib
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lenticular.butler import Repository, labels
from lenticular.butler.errors import RepositoryNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["RepositoryPool"]


class RepositoryPool:
    """Open repositories, one for each label.

    Parameters
    ----------
    configured
        URI of each repository, by label; with none, the labels of the
        repository index, which is read anew each time.
    """

    def __init__(self, configured: Mapping[str, str] | None = None) -> None:
        self._configured = dict(configured or {})
        self._open: dict[tuple[str, str], Future[Repository]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def addresses(self) -> Mapping[str, str]:
        """Return the URI of every repository, by label; not fit to be shown.

        Raises
        ------
        ConfigurationError
            Raised if the repository index cannot be read.
        """
        return dict(self._configured) if self._configured else labels()

    def label_of(self, target: str) -> str | None:
        """Return the label of a repository by its label or URI; `None` if it is none of these."""
        known = self.addresses()
        if target in known:
            return target
        return next((label for label, uri in known.items() if uri == target), None)

    def launchable(self, label: str) -> str:
        """Return what another process finds a repository by.

        Labels of the index are known to every process, others to this one.
        """
        return self._configured.get(label, label)

    @contextmanager
    def use(self, label: str) -> Iterator[Repository]:
        """Give a repository to this thread.

        Parameters
        ----------
        label
            Its label. A path or a URI is not one.

        Yields
        ------
        Repository
            A clone, to be used inside the ``with`` block.

        Raises
        ------
        RepositoryNotFoundError
            Raised if no repository has this label.
        RepositoryError
            Raised if it cannot be opened.
        """
        known = self.addresses()
        if label not in known:
            near = difflib.get_close_matches(label, known, n=3, cutoff=0.4)
            others = ", ".join(sorted(known)) or "none"
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Labels of this server: {others}."
            raise RepositoryNotFoundError(f"No repository of this server is called {label!r}", hint=hint)
        clone = self._repository(label, known[label]).clone()
        try:
            yield clone
        finally:
            clone.close()

    def close(self) -> None:
        """Close all repositories."""
        with self._lock:
            self._closed = True
            futures, self._open = list(self._open.values()), {}
        for future in futures:
            if future.done() and future.exception() is None:
                future.result().close()

    def _repository(self, label: str, uri: str) -> Repository:
        """Return the open repository; of several threads that want it, the first opens it."""
        with self._lock:
            future = self._open.get((label, uri))
            first = future is None
            if future is None:
                future = self._open[label, uri] = Future()
        if first:
            try:
                future.set_result(self._opened(label, uri))
            except BaseException as error:
                with self._lock:
                    self._open.pop((label, uri), None)  # the next request tries again
                future.set_exception(error)
                raise
        repository = future.result()
        if self._closed:
            repository.close()
        return repository

    @staticmethod
    def _opened(label: str, uri: str) -> Repository:
        repository = Repository.open(uri)
        repository.label = label
        return repository
