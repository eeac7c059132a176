"""The one place of this package that leans on how daf_butler works inside.

It makes a repository in its two steps, of which the public interface has only
the sum, turns answers into columns, and complaints into errors that help.
"""

from __future__ import annotations

import difflib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import DataError, RepositoryExistsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from lsst.daf.butler import Butler, Config

__all__ = ["dataset_table", "dimension_record_table", "make_registry", "write_configuration"]


def write_configuration(root: str, settings: Mapping[str, Any]) -> Config:
    """Write a new repository's ``butler.yaml``; the first half of ``Butler.makeRepo``.

    Parameters
    ----------
    root
        Folder or S3 URI of the repository.
    settings
        Its configuration, as far as it is not the default.

    Returns
    -------
    lsst.daf.butler.Config
        What was written, for `make_registry`.

    Raises
    ------
    FileExistsError
        Raised if there is a configuration already.
    """
    from lsst.daf.butler import Butler, Config

    written, _ = Butler._make_repo_butler_config(root, config=Config(settings), forceConfigRoot=False)
    return written


def make_registry(configuration: Config, root: str) -> None:
    """Make a new repository's registry; the second half of ``Butler.makeRepo``.

    Parameters
    ----------
    configuration
        What `write_configuration` returned.
    root
        Folder or S3 URI of the repository.

    Raises
    ------
    RepositoryExistsError
        Raised if the database holds a registry already.
    """
    from lsst.daf.butler import Butler
    from lsst.daf.butler.registry.interfaces import SchemaAlreadyDefinedError
    from lsst.resources import ResourcePath

    try:
        Butler._make_repo_registry(configuration, root_uri=ResourcePath(root, forceDirectory=True))
    except SchemaAlreadyDefinedError as error:
        raise RepositoryExistsError(
            "The database holds the registry of a repository already",
            where=root,
            hint="Choose another database or, on PostgreSQL, another namespace.",
        ) from error


def dimension_record_table(
    butler: Butler,
    element: str,
    *,
    where: str,
    order_by: Sequence[str],
    limit: int | None,
    data_id: Mapping[str, object],
) -> pa.Table:
    """Return dimension records as columns; see `Repository.dimension_records`."""
    import pyarrow as pa

    names = {name.removeprefix("-").partition(".")[0] for name in order_by} | data_id.keys() | {element}
    with _explained(butler, where, names):
        records = butler.query_dimension_records(
            element, where=where, order_by=order_by, limit=limit, explain=False, data_id=dict(data_id)
        )
    return pa.Table.from_pylist([dict(_plain_fields(record.toDict())) for record in records])


def dataset_table(
    butler: Butler,
    dataset_type: str,
    collections: Sequence[str],
    *,
    where: str,
    order_by: Sequence[str],
    limit: int | None,
    find_first: bool,
) -> pa.Table:
    """Return datasets as columns; see `Repository.datasets`."""
    import pyarrow as pa

    names = {name.removeprefix("-").partition(".")[0] for name in order_by}
    with _explained(butler, where, names):
        refs = butler.query_datasets(
            dataset_type,
            collections,
            where=where,
            order_by=order_by,
            limit=limit,
            find_first=find_first,
            explain=False,
        )
    dimensions = butler.get_dataset_type(dataset_type).dimensions
    columns: dict[str, list[Any]] = {
        "dataset_id": [str(ref.id) for ref in refs],
        "run": [ref.run for ref in refs],
    }
    for name in dimensions.names if refs and refs[0].dataId.hasFull() else dimensions.required:
        columns[name] = [ref.dataId[name] for ref in refs]
    return pa.table(columns)


def _plain_fields(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a record's fields in types that Arrow knows."""
    for name, value in fields.items():
        if name == "region":
            continue
        if name == "timespan":
            nanoseconds = (None, None) if value is None else (value.nsec[0], value.nsec[1])
            yield from zip(("timespan_begin", "timespan_end"), nanoseconds, strict=True)
        else:
            yield name, value


_SYNTAX = "Strings take single quotes, as in instrument = 'HSC' AND visit IN (1, 2)."


@contextmanager
def _explained(butler: Butler, where: str, names: Iterable[str]) -> Iterator[None]:
    """Turn upstream's complaints about an expression into ours.

    Parameters
    ----------
    butler
        The repository's Butler, which knows its dimensions.
    where
        The expression.
    names
        What else was given where a dimension or one of its fields is expected.
    """
    from lsst.daf.butler import ButlerUserError

    try:
        yield
    except (ButlerUserError, ValueError, LookupError) as error:
        text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
        # Upstream lists every dimension there is; the nearest is enough.
        text = text.partition(", available dimensions:")[0].rstrip(".")
        if text in names:
            text = f"No such dimension '{text}'"
        raise DataError(
            f"The registry cannot answer this: {text}",
            where=where or None,
            hint=_advice(butler, text, names),
        ) from error


def _advice(butler: Butler, complaint: str, names: Iterable[str]) -> str:
    """Return what to do about a complaint of upstream's."""
    elements = butler.dimensions.elements
    field = re.search(r"Unrecognized field '([^']+)' for (\w+)", complaint)
    if field and field[2] in elements.names:
        return _nearest(field[1], butler.dimensions[field[2]].schema.names, f"field of {field[2]}")
    quoted = re.search(r"Unrecognized identifier '([^']+)'|No such dimension '([^']+)'", complaint)
    unknown = (quoted[1] or quoted[2]).partition(".")[0] if quoted else None
    if unknown is not None:
        advice = _nearest(unknown, elements.names, "dimension")
        return advice if unknown in names else f"{advice} {_SYNTAX}"
    if "do not agree" in complaint:
        return f"Compare numbers with numbers and text with text. {_SYNTAX}"
    if "without constraining it" in complaint:
        return "Name it as well, as in instrument = 'HSC' AND visit IN (1, 2)."
    return _SYNTAX


def _nearest(unknown: str, known: Iterable[str], kind: str) -> str:
    choices = sorted(known)
    near = difflib.get_close_matches(unknown, choices, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    shown = [name for name in choices if not re.fullmatch(r"(?:healpix|htm)\d+", name)]
    return f"There is no such {kind}; there are {', '.join(shown)}."
