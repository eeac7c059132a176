"""What is asked of a repository, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lenticular.butler.columns.layout import data_id_layout, dataset_layout, record_layout
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lsst.daf.butler import Butler
    from lsst.daf.butler.queries import Query

    from lenticular.butler.columns.layout import Column

__all__ = ["DataIdQuery", "DatasetQuery", "RecordQuery", "Request"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What all kinds of query have in common."""

    where: str = ""
    """Butler expression that restricts the rows."""

    bind: Mapping[str, Any] = field(default_factory=dict)
    """Values for identifiers of the expression."""

    data_id: Mapping[str, Any] = field(default_factory=dict)
    """Dimension values that restrict the rows."""

    order_by: Sequence[str] = ()
    """Dimensions or fields to sort by; ``-`` before a name reverses."""

    limit: int | None = None
    """Rows to return at most; `None` for all."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 0:
            raise DataError("A limit cannot be negative", where=self.limit, hint="None stands for all rows.")

    @property
    def names(self) -> set[str]:
        """Names given where a dimension, or one of its fields, is expected."""
        ordered = {name.removeprefix("-").partition(".")[0] for name in self.order_by}
        return ordered | set(self.data_id) | set(self._own_names())

    def _own_names(self) -> Sequence[str]:
        return ()

    def build(self, butler: Butler, query: Query) -> tuple[tuple[Column, ...], Any]:
        """Return the columns of the answer and upstream's results that they are read from.

        Parameters
        ----------
        butler
            The repository's Butler.
        query
            Its query, inside whose context the results are to be read.
        """
        raise NotImplementedError

    def value(self, item: Any, column: Column) -> Any:
        """Return the value of a column from one of upstream's results, as upstream has it.

        Parameters
        ----------
        item
            What iterating over the results gives.
        column
            A column of the answer.
        """
        raise NotImplementedError

    def _restrict(self, results: Any) -> Any:
        return (
            results.where(self.data_id, self.where, bind=self.bind).order_by(*self.order_by).limit(self.limit)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetQuery(Request):
    """Datasets of one type."""

    dataset_type: str
    """Name of the type."""

    collections: Sequence[str] | None = None
    """Collections to search, in order; the Butler's own by default. Without
    `find_first` also globs."""

    find_first: bool = True
    """Whether to return, for a data ID, only what comes first."""

    columns: Sequence[str] = ()
    """Fields wanted beside the UUID, run and data ID; see
    `~lenticular.butler.columns.layout.dataset_layout`."""

    def build(self, butler: Butler, query: Query) -> tuple[tuple[Column, ...], Any]:
        """See `Request.build`."""
        collections = self._expanded(butler)
        kind = butler.get_dataset_type(self.dataset_type)
        columns = dataset_layout(kind, self.columns)
        plain = 2 + len(kind.dimensions.names)
        if len(columns) == plain:
            datasets = query.datasets(self.dataset_type, collections, find_first=self.find_first)
            return columns, self._restrict(datasets)
        fields: dict[str, set[str]] = {}
        own: set[Any] = set()
        for column in columns:
            if column.table == kind.name:
                own.add(column.field)
            elif column.field is not None:
                fields.setdefault(column.table, set()).add(column.field)
        joined = query.join_dataset_search(self.dataset_type, collections)
        return columns, self._restrict(
            joined.general(
                kind.dimensions,
                dimension_fields=fields,
                dataset_fields={kind.name: own},
                find_first=self.find_first,
            )
        )

    def value(self, item: Any, column: Column) -> Any:
        """See `Request.value`."""
        if isinstance(item, dict):
            return item[column.table if column.field is None else f"{column.table}.{column.field}"]
        if column.field is None:
            return item.dataId[column.table]
        return {"dataset_id": item.id, "run": item.run}[column.field]

    def _expanded(self, butler: Butler) -> Sequence[str] | None:
        if self.collections is None or not any(sign in name for name in self.collections for sign in "*?["):
            return self.collections
        if self.find_first:
            raise DataError(
                "With a pattern for collections, none of them comes first",
                where=", ".join(self.collections),
                hint="Name the collections in order, or ask with find_first=False.",
            )
        return butler.collections.query(self.collections)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataIdQuery(Request):
    """Data IDs."""

    dimensions: Sequence[str]
    """Their dimensions; those that they imply are added."""

    def build(self, butler: Butler, query: Query) -> tuple[tuple[Column, ...], Any]:
        """See `Request.build`."""
        dimensions = butler.dimensions.conform(self.dimensions)
        return data_id_layout(dimensions), self._restrict(query.data_ids(dimensions))

    def value(self, item: Any, column: Column) -> Any:
        """See `Request.value`."""
        return item[column.table]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordQuery(Request):
    """Records of a dimension element."""

    element: str
    """The element, such as ``visit`` or ``visit_detector_region``."""

    def _own_names(self) -> Sequence[str]:
        return (self.element,)

    def build(self, butler: Butler, query: Query) -> tuple[tuple[Column, ...], Any]:
        """See `Request.build`."""
        results = query.dimension_records(self.element)
        return record_layout(butler.dimensions[self.element]), self._restrict(results)

    def value(self, item: Any, column: Column) -> Any:
        """See `Request.value`."""
        return getattr(item, column.name)
