"""Registering files that stay where they are, row by row in bulk.

Upstream's ingest makes several objects of every dataset and converts the time
of registration once for each. Here the same rows are written straight into the
same tables, in one transaction and after the same checks.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from lenticular.butler.copying.forms import layout_of
from lenticular.butler.copying.tables import write_block
from lenticular.butler.errors import IngestError
from lenticular.butler.registration.known import lengths_of
from lenticular.butler.registration.records import KnownRecords, insert_records
from lenticular.butler.registration.upstream import formatter_name, places_of, update_summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    import sqlalchemy
    from lsst.daf.butler import Butler, DataCoordinate, DatasetIdGenEnum, DatasetRef

    from lenticular.butler.registration.prepared import Prepared
    from lenticular.butler.registration.upstream import Places

__all__ = ["LinkedFiles"]

_NO_COMPONENT = "__NULL_STRING__"
"""What the datastore's table has for a dataset that is one file."""

_AT_ONCE = 1000


class LinkedFiles:
    """Registers files without touching them.

    Parameters
    ----------
    butler
        The repository.
    run
        Run collection, registered.
    ids
        How datasets get their UUIDs.
    """

    def __init__(self, butler: Butler, run: str, ids: DatasetIdGenEnum) -> None:
        self._butler = butler
        self._run = run
        self._ids = ids
        self._known = KnownRecords(butler)
        self._formatters: dict[tuple[Any, ...], str] = {}

    def can_write(self, files: Sequence[Prepared]) -> bool:
        """Tell whether these files are of the kind whose rows are known here."""
        types = {file.dataset_type.name: file.dataset_type for file in files}
        return all(file.bare for file in files) and all(
            not one.dimensions.skypix and places_of(self._butler, one, self._run) is not None
            for one in types.values()
        )

    def write(self, files: Sequence[Prepared]) -> None:
        """Register files that are new, all or none of them.

        Raises
        ------
        IngestError
            Raised for the first file that cannot be registered.
        """
        lengths = [
            _checked(file, length)
            for file, length in zip(files, lengths_of([file.uri for file in files]), strict=True)
        ]
        try:
            with self._butler.transaction():
                insert_records(self._butler.registry, files)
                pairs = zip(files, lengths, strict=True)
                for _, group in groupby(pairs, key=lambda pair: pair[0].dataset_type.name):
                    self._write_type(list(group))
        except BaseException:
            self._known.forget()
            raise

    def _write_type(self, pairs: Sequence[tuple[Prepared, int]]) -> None:
        """Write the rows of files of one dataset type."""
        files = [file for file, _ in pairs]
        kind = files[0].dataset_type
        self._known.check(files)
        places = places_of(self._butler, kind, self._run)
        assert places is not None  # noqa: S101 - as `can_write` has seen
        assert places.connection is not None  # noqa: S101 - inside a transaction there is one
        data_ids = [data_id for file in files for data_id in file.data_ids]
        update_summary(self._butler, kind, self._run, data_ids)
        ids = self._make_ids(data_ids, files)
        for table, rows in self._rows(places, pairs, ids).items():
            _insert(places.connection, table, rows)

    def _make_ids(self, data_ids: Sequence[DataCoordinate], files: Sequence[Prepared]) -> list[UUID]:
        from lsst.daf.butler import DatasetIdFactory

        factory, kind = DatasetIdFactory(), files[0].dataset_type
        return [factory.makeDatasetId(self._run, kind, data_id, self._ids) for data_id in data_ids]

    def _rows(
        self, places: Places, pairs: Sequence[tuple[Prepared, int]], ids: Sequence[UUID]
    ) -> dict[sqlalchemy.Table, list[dict[str, Any]]]:
        """Return the rows of each table, in an order in which they can be written."""
        rows: dict[sqlalchemy.Table, list[dict[str, Any]]] = {
            places.dataset: [],
            places.tags: [],
            places.location: [],
            places.records: [],
        }
        now, remaining = _now(nanoseconds=places.nanoseconds), iter(ids)
        for file, length in pairs:
            common = {
                "path": file.address,
                "formatter": None,
                "storage_class": file.dataset_type.storageClass.name,
                "component": _NO_COMPONENT,
                "checksum": _checksum(file) if places.checksums else None,
                "file_size": length,
            }
            for data_id in file.data_ids:
                id_ = next(remaining)
                name = common["formatter"] or self._formatter(file, data_id, id_)
                common["formatter"] = name
                number = id_.hex
                rows[places.dataset].append(
                    {
                        "id": number,
                        "dataset_type_id": places.type_id,
                        places.run_column: places.run_id,
                        "ingest_date": now,
                    }
                )
                rows[places.tags].append(
                    {
                        "dataset_type_id": places.type_id,
                        "dataset_id": number,
                        places.collection_column: places.run_id,
                        **data_id.required,
                    }
                )
                rows[places.location].append({"datastore_name": places.datastore, "dataset_id": number})
                rows[places.records].append({"dataset_id": number, **common})
        return rows

    def _formatter(self, file: Prepared, data_id: DataCoordinate, id_: UUID) -> str:
        """Return the name of the class that reads a file; it may depend on the instrument."""
        from lsst.daf.butler import DatasetRef

        given = file.file.formatter
        key = (file.dataset_type.name, data_id.get("instrument"), given)
        if key not in self._formatters:
            ref = DatasetRef(file.dataset_type, data_id, self._run, id=id_)
            self._formatters[key] = formatter_name(self._butler, ref, given)
        return self._formatters[key]

    def compare(self, there: Sequence[tuple[Prepared, Sequence[DatasetRef]]]) -> list[IngestError | None]:
        """Tell what is wrong with files whose datasets, all or some, are registered."""
        recorded = self._recorded(there)
        lengths = lengths_of([file.uri for file, _ in there])
        return [
            self._difference(file, refs, [recorded.get(ref.id.hex) for ref in refs], length)
            for (file, refs), length in zip(there, lengths, strict=True)
        ]

    def _recorded(
        self, there: Sequence[tuple[Prepared, Sequence[DatasetRef]]]
    ) -> dict[str, Mapping[str, Any]]:
        """Return what the datastore has on record of some datasets, by UUID."""
        from itertools import batched

        places = places_of(self._butler, there[0][0].dataset_type, self._run)
        assert places is not None  # noqa: S101 - as `can_write` has seen
        ids = [ref.id for _, refs in there for ref in refs]
        found: dict[str, Mapping[str, Any]] = {}
        with self._butler.transaction():
            opened = places_of(self._butler, there[0][0].dataset_type, self._run)
            assert opened is not None  # noqa: S101 - as above
            assert opened.connection is not None  # noqa: S101 - inside a transaction there is one
            for some in batched(ids, _AT_ONCE, strict=False):
                query = places.records.select().where(places.records.c.dataset_id.in_(some))
                for row in opened.connection.execute(query).mappings():
                    found[row["dataset_id"].hex] = dict(row)
        return found

    def _difference(
        self,
        file: Prepared,
        refs: Sequence[DatasetRef],
        recorded: Sequence[Mapping[str, Any] | None],
        length: int | Exception,
    ) -> IngestError | None:
        if isinstance(length, Exception):
            return _unreadable(file, length)
        again = f"Prune that dataset from {self._run} first, or ingest into another run."
        changed = f"The file was changed after it was registered. {again}"
        what, hint = "", ""
        for record in (*recorded, *([{}] if len(refs) < len(file.data_ids) else [])):
            if record is None:
                what, hint = "but the datastore knows no file of it", again
            elif record.get("path") != file.address:
                what, hint = f"with another file, {record.get('path', 'or none')}", again
            elif record["file_size"] not in {length, -1}:
                what, hint = f"with {record['file_size']} bytes, and has {length} now", changed
            elif record["checksum"] is not None and record["checksum"] != _checksum(file):
                what, hint = "with another checksum than it has now", changed
            if what:
                break
        return (
            IngestError(f"{file.describe()} is registered {what}", where=file.uri, hint=hint)
            if what
            else None
        )


def _checked(file: Prepared, length: int | Exception) -> int:
    """Return the length of a file, or raise why it has none."""
    if isinstance(length, Exception):
        raise _unreadable(file, length) from length
    return length


def _unreadable(file: Prepared, error: Exception) -> IngestError:
    gone = isinstance(error, FileNotFoundError)
    return IngestError(
        "The file does not exist"
        if gone
        else f"The file cannot be looked at: {type(error).__name__}: {error}",
        where=file.uri,
        hint="Check its address." if gone else "Nothing was changed. Ingest again when the store answers.",
    )


def _checksum(file: Prepared) -> str | None:
    from lsst.daf.butler.datastores.fileDatastore import FileDatastore

    return FileDatastore.computeChecksum(file.uri)


def _now(*, nanoseconds: bool) -> int | str:
    """Return the time of registration, as the registry keeps it."""
    from datetime import UTC, datetime

    if not nanoseconds:
        return datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    from astropy.time import Time
    from lsst.daf.butler.time_utils import TimeConverter

    return TimeConverter().astropy_to_nsec(Time.now())


def _insert(
    connection: sqlalchemy.Connection, table: sqlalchemy.Table, rows: Iterable[Mapping[str, Any]]
) -> None:
    layout = layout_of(table)
    names = [field.name for field in layout.fields]
    write_block(connection, layout, [tuple(row[name] for name in names) for row in rows])
