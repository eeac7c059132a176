"""What datastores wrote down of their files: where each is, and how large."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.configuration import ROOT_MARK
from lenticular.butler.health.memberships import ask
from lenticular.butler.health.report import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.repository import Repository
    from lenticular.butler.store import Location

__all__ = ["Datastore", "file_datastores", "file_of", "measure", "totals"]

_DEFAULT_TABLE = "file_datastore_records"

type _Key = tuple[str, str]
"""Dataset type and run."""


@dataclass(frozen=True, slots=True)
class Datastore:
    """A file datastore: where its files are, and the table of its records."""

    name: str
    """Name under which the registry knows it."""

    root: Location
    records: sqlalchemy.TableClause

    @property
    def is_in_archive(self) -> sqlalchemy.ColumnElement[bool]:
        """Whether a record's dataset is one file inside another."""
        return self.records.c.path.contains("#")


def file_datastores(repository: Repository) -> tuple[Datastore, ...]:
    """Return the file datastores of a repository whose tables exist, in their order."""
    import sqlalchemy

    configuration = repository.configuration
    settings = list(_settings(configuration.content.get("datastore") or {}))
    present = set(
        repository.read(
            lambda connection: sqlalchemy.inspect(connection).get_table_names(configuration.namespace)
        )
    )
    return tuple(
        Datastore(name, root, _records(table, configuration.namespace))
        for (name, table), root in zip(settings, configuration.datastores, strict=True)
        if table in present
    )


def _records(name: str, namespace: str | None) -> sqlalchemy.TableClause:
    import sqlalchemy

    columns = ("dataset_id", "path", "component", "file_size")
    return sqlalchemy.table(name, *(sqlalchemy.column(column) for column in columns), schema=namespace)


def _settings(datastore: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and table of each file datastore, as upstream chooses them.

    These are those that have a root in `RepositoryConfiguration.datastores`.
    """
    for child in datastore.get("datastores") or ():
        yield from _settings(child.get("datastore", child))
    kind = str(datastore.get("cls", "FileDatastore")).rpartition(".")[2]
    if "datastores" in datastore or not (datastore.get("root") is not None or kind == "FileDatastore"):
        return
    root = datastore.get("root") or f"{ROOT_MARK}/datastore"
    table = (datastore.get("records") or {}).get("table") or _DEFAULT_TABLE
    yield str(datastore.get("name") or f"{kind}@{root}"), str(table)


def measure(repository: Repository, datastores: Sequence[Datastore]) -> tuple[Usage, ...]:
    """Return what each dataset type takes up in each run, the largest first."""
    sums: dict[_Key, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for kind, run, *numbers in ask(repository, _datasets(repository, datastores)):
        sums[kind, run][:2] = [int(number) for number in numbers]
    for datastore in datastores:
        statements = [_plain(repository, datastore), _repeated(repository, datastore)]
        statements.append(_archived(repository, datastore))
        for sign, statement in zip((1, -1, -1), statements, strict=True):
            for kind, run, files, size in ask(repository, statement):
                sums[kind, run][2] += sign * int(files)
                sums[kind, run][3] += sign * int(size)
    made = [Usage(kind, run, *numbers) for (kind, run), numbers in sums.items()]
    return tuple(sorted(made, key=lambda one: (-one.bytes, one.dataset_type, one.run)))


def totals(repository: Repository, datastores: Sequence[Datastore]) -> tuple[int, int]:
    """Return the number of all files and their size [bytes], each counted once."""
    import sqlalchemy

    files = size = 0
    for datastore in datastores:
        column, call = datastore.records.c, sqlalchemy.func
        parts = [
            sqlalchemy.select(call.count(), _size_of(column.file_size)).where(~datastore.is_in_archive),
            _surplus(datastore),
            sqlalchemy.select(
                call.count(sqlalchemy.distinct(file_of(repository, column.path))), _size_of(column.file_size)
            ).where(datastore.is_in_archive),
        ]
        for sign, statement in zip((1, -1, 1), parts, strict=True):
            number, taken = ask(repository, statement)[0]
            files, size = files + sign * int(number or 0), size + sign * int(taken or 0)
    return files, size


def _size_of(column: sqlalchemy.ColumnElement[Any]) -> sqlalchemy.ColumnElement[Any]:
    """Return the sum of sizes, without those that were not written down."""
    import sqlalchemy

    known = sqlalchemy.case((column > 0, column), else_=0)
    return sqlalchemy.func.coalesce(sqlalchemy.func.sum(known), 0)


def file_of(repository: Repository, path: sqlalchemy.ColumnElement[Any]) -> sqlalchemy.ColumnElement[Any]:
    """Return the path of a file without what says where inside it a dataset is."""
    import sqlalchemy

    call = sqlalchemy.func
    if repository.engine.dialect.name == "sqlite":
        return call.substr(path, 1, call.instr(path, "#") - 1)
    return call.split_part(path, "#", 1)


def _by_type_and_run(repository: Repository, datastore: Datastore) -> sqlalchemy.Select[Any]:
    """Return a statement over all records with their dataset's type and run, and no numbers yet."""
    import sqlalchemy

    tables = repository.tables
    return (
        sqlalchemy.select(tables.dataset.c.dataset_type_id, tables.dataset.c.run_id)
        .select_from(datastore.records)
        .join(tables.dataset, tables.dataset.c.id == datastore.records.c.dataset_id)
        .group_by(tables.dataset.c.dataset_type_id, tables.dataset.c.run_id)
    )


def _named(repository: Repository, grouped: sqlalchemy.Select[Any]) -> sqlalchemy.Select[Any]:
    """Return a statement with the names of types and runs instead of their numbers."""
    import sqlalchemy

    tables, inner = repository.tables, grouped.subquery()
    numbers = [column for column in inner.c if column.name not in {"dataset_type_id", "run_id"}]
    return (
        sqlalchemy.select(tables.dataset_type.c.name, tables.collection.c.name.label("run"), *numbers)
        .select_from(inner)
        .join(tables.dataset_type, tables.dataset_type.c.id == inner.c.dataset_type_id)
        .join(tables.collection, tables.collection.c.collection_id == inner.c.run_id)
    )


def _datasets(repository: Repository, datastores: Sequence[Datastore]) -> sqlalchemy.Select[Any]:
    """Return the statement that counts datasets, and those of which there is a record."""
    import sqlalchemy

    dataset = repository.tables.dataset.c
    held = [
        sqlalchemy.exists().where(datastore.records.c.dataset_id == dataset.id) for datastore in datastores
    ]
    stored = sqlalchemy.case((sqlalchemy.or_(sqlalchemy.false(), *held), 1), else_=0)
    return _named(
        repository,
        sqlalchemy.select(
            dataset.dataset_type_id,
            dataset.run_id,
            sqlalchemy.func.count().label("datasets"),
            sqlalchemy.func.sum(stored).label("stored"),
        ).group_by(dataset.dataset_type_id, dataset.run_id),
    )


def _plain(repository: Repository, datastore: Datastore) -> sqlalchemy.Select[Any]:
    """Return the statement that sums up all records, as if each had a file of its own."""
    import sqlalchemy

    return _named(
        repository,
        _by_type_and_run(repository, datastore).add_columns(
            sqlalchemy.func.count().label("files"), _size_of(datastore.records.c.file_size).label("size")
        ),
    )


def _shared(datastore: Datastore) -> sqlalchemy.Select[Any]:
    """Return the statement that gives the files with several datasets, as some raws are."""
    import sqlalchemy

    path = datastore.records.c.path
    return sqlalchemy.select(path).group_by(path).having(sqlalchemy.func.count() > 1)


def _repeated(repository: Repository, datastore: Datastore) -> sqlalchemy.Select[Any]:
    """Return the statement that sums up what was counted too often of such files."""
    import sqlalchemy

    column, call = datastore.records.c, sqlalchemy.func
    each = (
        _by_type_and_run(repository, datastore)
        .add_columns((call.count() - 1).label("extra"), call.max(column.file_size).label("file_size"))
        .where(column.path.in_(_shared(datastore)))
        .group_by(column.path)
        .subquery()
    )
    return _named(
        repository,
        sqlalchemy.select(
            each.c.dataset_type_id,
            each.c.run_id,
            call.sum(each.c.extra).label("files"),
            _size_of(each.c.extra * each.c.file_size).label("size"),
        ).group_by(each.c.dataset_type_id, each.c.run_id),
    )


def _surplus(datastore: Datastore) -> sqlalchemy.Select[Any]:
    """Return `_repeated` for all types and runs together."""
    import sqlalchemy

    column, call = datastore.records.c, sqlalchemy.func
    each = (
        sqlalchemy.select((call.count() - 1).label("extra"), call.max(column.file_size).label("file_size"))
        .where(~datastore.is_in_archive)
        .group_by(column.path)
        .having(call.count() > 1)
        .subquery()
    )
    return sqlalchemy.select(call.sum(each.c.extra), _size_of(each.c.extra * each.c.file_size))


def _archived(repository: Repository, datastore: Datastore) -> sqlalchemy.Select[Any]:
    """Return the statement that counts what was counted too often of archives."""
    import sqlalchemy

    column, call = datastore.records.c, sqlalchemy.func
    surplus = call.count(sqlalchemy.distinct(column.path)) - call.count(
        sqlalchemy.distinct(file_of(repository, column.path))
    )
    return _named(
        repository,
        _by_type_and_run(repository, datastore)
        .add_columns(surplus.label("files"), sqlalchemy.literal_column("0").label("size"))
        .where(datastore.is_in_archive),
    )
