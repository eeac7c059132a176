"""Upstream's Butlers on a repository, made when they are first needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lenticular.butler.database import explained
from lenticular.butler.guard.upstream import make_s3_patient
from lenticular.butler.store import probe_store

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

    from lenticular.butler.configuration import RepositoryConfiguration

__all__ = ["Butlers"]


class Butlers:
    """The Butler of a repository, and one without a datastore.

    Parameters
    ----------
    configuration
        What the repository's ``butler.yaml`` says.
    where
        What the repository is called in errors.
    writeable
        Whether it may be changed.
    timeout
        Seconds after which a store counts as unreachable.
    original
        Those of the repository that this one is a clone of.
    """

    def __init__(
        self,
        configuration: RepositoryConfiguration,
        *,
        where: str,
        writeable: bool,
        timeout: float,
        original: Butlers | None = None,
    ) -> None:
        self._configuration = configuration
        self._where = where
        self._writeable = writeable
        self._timeout = timeout
        self._original = original
        self._lock = threading.Lock()
        self._whole: Butler | None = None
        self._bare: Butler | None = None

    def whole(self) -> Butler:
        """Return the Butler.

        Raises
        ------
        StoreUnreachableError
            Raised, once, if a datastore does not answer in time: upstream
            would try for 90 seconds at every dataset.
        """
        with self._lock:
            if self._whole is None and self._original is not None:
                self._whole = self._original.whole().clone()
            if self._whole is None:
                for datastore in self._configuration.datastores:
                    probe_store(datastore, timeout=self._timeout)
                    if datastore.scheme == "s3":
                        make_s3_patient(datastore.profile)
                self._whole = self._make(stored=True)
            return self._whole

    def registry(self) -> Butler:
        """Return one to ask the registry with, which is the whole one if that is there."""
        with self._lock:
            known = self._whole or self._bare
            if known is None and self._original is not None:
                known = self._bare = self._original.registry().clone()
            if known is None:
                known = self._bare = self._make(stored=False)
            return known

    def close(self) -> None:
        """Close them; another call makes new ones."""
        with self._lock:
            for butler in (self._whole, self._bare):
                if butler is not None:
                    butler.close()
            self._whole = self._bare = None

    def _make(self, *, stored: bool) -> Butler:
        from lsst.daf.butler import Butler

        from lenticular.butler.guard.hooks import adopting

        uri = self._configuration.location.uri
        with adopting(), explained(self._where):
            return Butler.from_config(uri, writeable=self._writeable, without_datastore=not stored)
