"""How a repository's registry is asked, and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.database import reader
from lenticular.butler.errors import ReadOnlyRepositoryError
from lenticular.butler.guard.writing import writing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import sqlalchemy
    from lsst.daf.butler import Butler

    from lenticular.butler.guard.slots import Slots

__all__ = ["MAX_QUERIES", "GuardedAccess"]

MAX_QUERIES = 8
"""How many answers a repository is asked for at once, unless another number is asked for."""


class GuardedAccess:
    """What a `~lenticular.butler.Repository` has to ask its registry with."""

    engine: sqlalchemy.Engine
    """Engine for the registry's database; its sessions only read unless the
    repository was opened for writing."""

    writeable: bool
    """Whether it may be changed."""

    query_timeout: float | None
    """Seconds that one of its own answers may take; `None` for any."""

    slots: Slots
    """How many answers it is asked for at once."""

    @property
    def name(self) -> str:
        """What it is called in errors."""
        raise NotImplementedError

    @property
    def butler(self) -> Butler:
        """Upstream's Butler on it."""
        raise NotImplementedError

    @property
    def registry_butler(self) -> Butler:
        """Upstream's Butler as far as questions to the registry need it."""
        raise NotImplementedError

    def read[T](self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        """Ask the registry's database something: in turn, in time, and with errors that help.

        Parameters
        ----------
        work
            What is to be asked. It may be called a second time, with a fresh
            connection, if the first was lost.

        Raises
        ------
        DatabaseUnreachableError
            Raised if the database does not answer, also on a fresh connection.
        RepositoryBusyError
            Raised if too many queries are running already.
        QueryTimeoutError, QueryCancelledError
            Raised if time was up, or the answer is no longer wanted; see
            `lenticular.butler.guard.guarded`.
        RepositoryError
            Raised for anything else that the database has to complain of.
        """

        def ask() -> T:
            with reader(self.engine).connect() as connection:
                return work(connection)

        return self._read(ask)

    def read_butler[T](self, work: Callable[[Butler], T]) -> T:
        """Ask upstream's Butler something, as `read` asks the database.

        Parameters
        ----------
        work
            What is to be asked, which may be called a second time. Inside a
            transaction of the Butler it is not.

        Raises
        ------
        RepositoryError, DataError
            As for `read`, and whatever the Butler raises.
        """
        return self._ask(self.butler, work)

    def read_registry[T](self, work: Callable[[Butler], T]) -> T:
        """Ask upstream's Butler something that needs no datastore, as `read` asks the database.

        Parameters
        ----------
        work
            What is to be asked of `registry_butler`, which may be called a second time.

        Raises
        ------
        RepositoryError, DataError
            As for `read`, and whatever the Butler raises.
        """
        return self._ask(self.registry_butler, work)

    def _ask[T](self, butler: Butler, work: Callable[[Butler], T]) -> T:
        from lenticular.butler import upstream

        return self._read(lambda: work(butler), repeatable=not upstream.in_transaction(butler))

    def _read[T](self, work: Callable[[], T], *, repeatable: bool = True) -> T:
        from lenticular.butler.guard.reading import run_read

        return run_read(
            work, where=self.name, slots=self.slots, timeout=self.query_timeout, repeatable=repeatable
        )

    def writing(self, what: str) -> AbstractContextManager[None]:
        """Say of a change that is cut short whether it was done, as far as can be known.

        Parameters
        ----------
        what
            What is done inside, as in "register datasets".

        Raises
        ------
        ReadOnlyRepositoryError
            Raised if the repository was opened for reading.
        InterruptedWriteError
            Raised, at the end, if the change was cut short. It is never
            repeated of itself.
        """
        self.require_writeable(what)
        return writing(what, where=self.name)

    def require_writeable(self, what: str) -> None:
        """Raise unless the repository was opened for writing.

        Parameters
        ----------
        what
            What is to be done, as it follows "cannot".
        """
        if not self.writeable:
            raise ReadOnlyRepositoryError(
                f"A repository opened for reading cannot {what}",
                where=self.name,
                hint="Open it with `Repository.open(..., writeable=True)`.",
            )
