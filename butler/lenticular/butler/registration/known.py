"""Which files are registered already, and whether they are the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import IngestError
from lenticular.butler.registration.files import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lsst.daf.butler import Butler, DatasetRef
    from lsst.resources import ResourcePath

    from lenticular.butler.registration.prepared import Prepared, Values

__all__ = ["find_registered", "lengths_of", "sort_out"]

_THREADS = 8

type Compare = Callable[[Sequence[tuple[Prepared, Sequence[DatasetRef]]]], list[IngestError | None]]
"""Tells what is wrong with files whose datasets, all or some, are registered; `None` if nothing."""


def find_registered(butler: Butler, files: Sequence[Prepared], run: str) -> dict[Values, DatasetRef]:
    """Return the datasets that a run has for the data IDs of some files.

    Parameters
    ----------
    butler
        The repository.
    files
        Files of one dataset type.
    run
        The run.
    """
    dataset_type = files[0].dataset_type
    governors = butler.dimensions.governor_dimensions
    own = [name for name in dataset_type.dimensions.required if name not in governors.names]
    data_ids = [data_id for file in files for data_id in file.data_ids]
    places = [name for name in dataset_type.dimensions.required if name in governors.names]
    wanted: dict[tuple[Any, ...], list[Any]] = {}
    for data_id in data_ids:
        wanted.setdefault(tuple(data_id[name] for name in places), []).append(data_id)
    found: dict[Values, DatasetRef] = {}
    for values, members in wanted.items():
        binding = {f"values_{name}": sorted({member[name] for member in members}) for name in own}
        refs = butler.query_datasets(
            dataset_type,
            collections=run,
            find_first=False,
            where=" AND ".join(f"{name} IN (values_{name})" for name in own),
            bind=binding,
            data_id=dict(zip(places, values, strict=True)),
            explain=False,
            limit=None,
        )
        found.update({ref.dataId.required_values: ref for ref in refs})
    return found


def sort_out(
    butler: Butler, files: Sequence[Prepared], run: str, compare: Compare
) -> tuple[list[Prepared], Outcome]:
    """Return the files that are not registered yet, and what is with the others.

    Parameters
    ----------
    butler
        The repository.
    files
        The files, sorted by dataset type.
    run
        The run.
    compare
        Tells what is wrong with files whose datasets, all or some, are registered.
    """
    new: list[Prepared] = []
    outcome = Outcome()
    for _, group in groupby(files, key=lambda file: file.dataset_type.name):
        members = list(group)
        known = find_registered(butler, members, run)
        there = [
            (file, [known[key] for key in file.keys if key in known])
            for file in members
            if known.keys() & set(file.keys)
        ]
        new += [file for file in members if not known.keys() & set(file.keys)]
        for (file, _refs), error in zip(there, compare(there) if there else (), strict=True):
            outcome += (
                Outcome(skipped=(file.file,)) if error is None else Outcome(failed=((file.file, error),))
            )
    return new, outcome


def lengths_of(uris: Sequence[ResourcePath | Exception]) -> list[int | Exception]:
    """Return the lengths of files, in bytes; for each that has none, why.

    Parameters
    ----------
    uris
        Addresses; what is an error already stays one.
    """
    if all(not isinstance(uri, Exception) and uri.isLocal for uri in uris):
        return [_length(uri) for uri in uris]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        return list(pool.map(_length, uris))


def _length(uri: ResourcePath | Exception) -> int | Exception:
    if isinstance(uri, Exception):
        return uri
    try:
        return uri.size()
    except Exception as error:  # noqa: BLE001 - each kind of store has errors of its own
        return error
