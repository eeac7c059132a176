"""Opening a data repository: quickly, for reading, and with errors that help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from lenticular.butler import browse, index
from lenticular.butler.butlers import Butlers
from lenticular.butler.configuration import RepositoryConfiguration, read_configuration
from lenticular.butler.database import analyze, answering_within, open_engine
from lenticular.butler.guard.access import MAX_QUERIES, GuardedAccess
from lenticular.butler.guard.slots import Slots
from lenticular.butler.schema import Tables, check_schema, registry_tables
from lenticular.butler.store import Location

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    import pyarrow as pa
    import sqlalchemy
    from lsst.daf.butler import Butler

    from lenticular.butler.browse import CollectionInfo, CollectionKind, DatasetTypeInfo

__all__ = ["Repository"]


class Repository(GuardedAccess):
    """A data repository of the Butler kind.

    Made by `Repository.open`. Its own answers come from the registry's
    database directly; whatever else upstream's `~lsst.daf.butler.Butler` can
    do is at hand through `butler`, which is made when it is first asked for.

    Parameters
    ----------
    configuration
        What its ``butler.yaml`` says.
    engine
        Engine for the registry's database.
    label
        Label under which it was found, if any.
    writeable
        Whether it may be changed.
    timeout
        Seconds after which a database or store counts as unreachable.
    query_timeout
        Seconds that one of its own answers may take; `None` for any.
    max_queries
        How many it is asked for at once; others wait their turn.
    original
        The repository that this one is a clone of.
    """

    configuration: RepositoryConfiguration
    """What its ``butler.yaml`` says."""

    label: str | None
    """Label under which it was found, if any."""

    tables: Tables
    """The registry's own tables."""

    butlers: Butlers
    """Upstream's Butlers, as far as they have been made."""

    def __init__(
        self,
        configuration: RepositoryConfiguration,
        engine: sqlalchemy.Engine,
        *,
        label: str | None = None,
        writeable: bool = False,
        timeout: float = 5.0,
        query_timeout: float | None = None,
        max_queries: int = MAX_QUERIES,
        original: Repository | None = None,
    ) -> None:
        self.configuration = configuration
        self.engine = engine
        self.label = label
        self.writeable = writeable
        self.query_timeout = query_timeout
        self.slots = Slots(max_queries) if original is None else original.slots
        self._timeout = timeout
        self.tables = registry_tables(configuration.namespace)
        self.butlers = Butlers(
            configuration,
            where=self.name,
            writeable=writeable,
            timeout=timeout,
            original=None if original is None else original.butlers,
        )
        self._original = original

    @classmethod
    def open(
        cls,
        target: str | os.PathLike[str],
        *,
        writeable: bool = False,
        timeout: float = 5.0,
        query_timeout: float | None = None,
        max_queries: int = MAX_QUERIES,
    ) -> Self:
        """Open a repository.

        Parameters
        ----------
        target
            A label of the repository index, a folder, or the URI (file, s3,
            http) of a repository or of its configuration file.
        writeable
            Whether to allow changes. Reading is the default, and what a
            person at a browser nearly always wants.
        timeout
            Seconds after which a database or store counts as unreachable.
        query_timeout
            Seconds that one of the repository's own answers may take; `None`
            for any. `lenticular.butler.guard.guarded` binds more than one.
        max_queries
            How many it is asked for at once; others wait their turn.

        Raises
        ------
        RepositoryNotFoundError
            Raised if there is no repository of this name or at this place.
        ConfigurationError
            Raised if its configuration cannot be used.
        DatabaseUnreachableError
            Raised if its database does not answer in time, or refuses us.
        StoreUnreachableError
            Raised if the store with its configuration does not answer in time.
        SchemaVersionError
            Raised if its registry is of a version unknown here.
        ReadOnlyRepositoryError
            Raised if it is to be written and may not be.
        """
        uri, label = index.resolve(target, timeout=timeout)
        configuration = read_configuration(Location.parse(uri), timeout=timeout)
        engine = open_engine(
            configuration.database_url, writeable=writeable, timeout=timeout, queries=max_queries
        )
        repository = cls(
            configuration,
            engine,
            label=label,
            writeable=writeable,
            timeout=timeout,
            query_timeout=query_timeout,
            max_queries=max_queries,
        )
        try:
            with answering_within(engine, timeout, where=repository.name):
                check_schema(engine, repository.tables, where=repository.name)
        except BaseException:
            engine.dispose()
            raise
        return repository

    def clone(self) -> Self:
        """Return the same repository for another thread.

        A Butler may be used by one thread at a time, its clones by one each.
        Connections stay shared; this repository is to be closed last.
        """
        return type(self)(
            self.configuration,
            self.engine,
            label=self.label,
            writeable=self.writeable,
            timeout=self._timeout,
            query_timeout=self.query_timeout,
            original=self,
        )

    @property
    def uri(self) -> str:
        """Address of the repository, fit to be shown."""
        return str(self.configuration.root)

    @property
    def name(self) -> str:
        """Label if it has one, else its address."""
        return self.label or self.uri

    @property
    def butler(self) -> Butler:
        """Upstream's Butler on this repository.

        Raises
        ------
        StoreUnreachableError
            Raised, once, if a datastore does not answer in time: upstream
            would try for 90 seconds at every dataset.
        """
        return self.butlers.whole()

    @property
    def registry_butler(self) -> Butler:
        """Upstream's Butler as far as questions to the registry need it.

        It answers where the datastore does not, or is out of reach. Once there
        is a `butler`, it is that one.
        """
        return self.butlers.registry()

    def collections(
        self,
        patterns: str | Iterable[str] = "*",
        *,
        kinds: Iterable[CollectionKind] | None = None,
        counts: bool = False,
    ) -> tuple[CollectionInfo, ...]:
        """Return the collections whose names match.

        Parameters
        ----------
        patterns
            A glob, or several.
        kinds
            Kinds of collection wanted; all by default.
        counts
            Whether to count, exactly, the datasets that each holds, for which
            the database has to look at all of them.

        Returns
        -------
        tuple
            In alphabetical order. A chain's dataset types, instruments and maps
            of the sky are those of its members.
        """
        known = browse.list_collections(self)
        wanted = None if kinds is None else set(kinds)
        chosen = [known[name] for name in browse.match(known, patterns)]
        chosen = [info for info in chosen if wanted is None or info.kind in wanted]
        return tuple(browse.with_counts(self, chosen) if counts else chosen)

    def collection(self, name: str) -> CollectionInfo:
        """Return one collection.

        Raises
        ------
        NotFoundError
            Raised if there is none of this name; the hint has those nearest.
        """
        known = browse.list_collections(self)
        if name not in known:
            raise browse.not_found("collection", name, known, where=self.name)
        return known[name]

    def search_order(self, name: str) -> tuple[str, ...]:
        """Return the collections that a search of this one visits, in order."""
        known = browse.list_collections(self)
        if name not in known:
            raise browse.not_found("collection", name, known, where=self.name)
        return browse.flatten(name, known)

    def dataset_types(self, patterns: str | Iterable[str] = "*") -> tuple[DatasetTypeInfo, ...]:
        """Return the dataset types whose names match one of some globs."""
        known = browse.list_dataset_types(self)
        return tuple(known[name] for name in browse.match(known, patterns))

    def counts(self, names: str | Iterable[str]) -> Mapping[str, Mapping[str, int]]:
        """Count what some collections hold themselves by dataset type, exactly."""
        return browse.count_datasets(self, [names] if isinstance(names, str) else names)

    def visible_counts(self, name: str) -> Mapping[str, int]:
        """Count, exactly and by dataset type, what `datasets` finds in a collection.

        Raises
        ------
        NotFoundError
            Raised if there is no such collection.
        """
        return browse.count_visible(self, name)

    def dimension_records(
        self,
        element: str,
        *,
        where: str = "",
        order_by: Iterable[str] = (),
        limit: int | None = 1000,
        **data_id: object,
    ) -> pa.Table:
        """Return the records of a dimension as columns.

        Parameters
        ----------
        element
            Dimension, such as ``visit`` or ``detector``.
        where
            Butler expression that restricts them.
        order_by
            Dimensions or fields to sort by; ``-`` before a name reverses.
        limit
            Rows to return at most; `None` for all.
        **data_id
            Dimension values that restrict them.

        Returns
        -------
        pyarrow.Table
            One row a record; times in nanoseconds TAI, regions left out.
        """
        from lenticular.butler.columns import plain_table, query_dimension_records

        records = query_dimension_records(
            self, element, where=where, order_by=order_by, limit=limit, data_id=data_id
        )
        return plain_table(records)

    def datasets(
        self,
        dataset_type: str,
        collections: str | Iterable[str],
        *,
        where: str = "",
        order_by: Iterable[str] = (),
        limit: int | None = 1000,
        find_first: bool = True,
    ) -> pa.Table:
        """Return datasets as columns.

        Parameters
        ----------
        dataset_type
            Name of the dataset type.
        collections
            Collections to search, in order.
        where
            Butler expression that restricts them.
        order_by
            Dimensions or fields to sort by; ``-`` before a name reverses.
        limit
            Rows to return at most; `None` for all.
        find_first
            Whether to return, for a data ID, only what comes first.

        Returns
        -------
        pyarrow.Table
            ``dataset_id`` (string), ``run``, and one column for each dimension.

        Raises
        ------
        NotFoundError
            Raised if a collection or the dataset type does not exist.
        """
        from lenticular.butler.columns import plain_table, query_datasets

        names = [collections] if isinstance(collections, str) else list(collections)
        known = browse.list_dataset_types(self)
        if dataset_type not in known:
            raise browse.not_found("dataset type", dataset_type, known, where=self.name)
        for name in names:
            self.collection(name)
        datasets = query_datasets(
            self,
            dataset_type,
            names,
            find_first=find_first,
            where=where,
            order_by=order_by,
            limit=limit,
        )
        return plain_table(datasets)

    def analyze(self) -> None:
        """Bring the database's statistics up to date, as is due after an ingest.

        Raises
        ------
        ReadOnlyRepositoryError
            Raised if the repository was opened for reading.
        """
        with self.writing("update its statistics"):
            analyze(self.engine, where=self.name, namespace=self.configuration.namespace)

    def close(self) -> None:
        """Give back the connections to the database and upstream's Butler."""
        self.butlers.close()
        if self._original is None:
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        mode = "writeable" if self.writeable else "read-only"
        return f"<Repository {self.name}, {mode}, registry {self.configuration.shown_database}>"

    def _repr_html_(self) -> str:
        from lenticular.butler.overview import overview_html

        return overview_html(self)
