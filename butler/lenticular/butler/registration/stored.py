"""Registering files that go into the datastore, through upstream's own ingest.

The datasets are claimed in the registry *before* their files are touched: a
second writer of the same files waits for the first, finds them claimed, and
leaves them alone. The order matters. Files are transferred over what has their
name, and a transaction that is undone removes what it transferred; a writer
who copied first and was refused afterwards would take the other's files away.

A file that is to be moved is linked or copied, and removed when its dataset is
safely registered: whoever is killed in between loses nothing, and the next
attempt removes it.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import IngestError
from lenticular.butler.registration.known import lengths_of
from lenticular.butler.registration.records import KnownRecords, insert_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsst.daf.butler import Butler, DatasetIdGenEnum, DatasetRef
    from lsst.resources import ResourcePath

    from lenticular.butler.registration.prepared import Prepared

__all__ = ["StoredFiles"]


class StoredFiles:
    """Registers files and puts them into the datastore.

    Parameters
    ----------
    butler
        The repository.
    run
        Run collection, registered.
    transfer
        How the files get into the datastore.
    ids
        How datasets get their UUIDs.
    """

    def __init__(self, butler: Butler, run: str, transfer: str, ids: DatasetIdGenEnum) -> None:
        self._butler = butler
        self._run = run
        self._moves = transfer == "move"
        self._transfer = transfer
        self._ids = ids
        self._known = KnownRecords(butler)

    def write(self, files: Sequence[Prepared]) -> None:
        """Register files that are new, all or none of them."""
        try:
            self._register(files)
        except BaseException:
            self._known.forget()
            raise
        if self._moves:
            for file in files:
                _remove(file.uri)

    def _register(self, files: Sequence[Prepared]) -> None:
        from lsst.daf.butler import FileDataset

        registry = self._butler.registry
        with self._butler.transaction():
            insert_records(registry, files)
            datasets: list[Any] = []
            for _, group in groupby(files, key=lambda file: file.dataset_type.name):
                members = list(group)
                self._known.check(members)
                data_ids = [data_id for file in members for data_id in file.data_ids]
                refs = iter(
                    registry.insertDatasets(
                        members[0].dataset_type, data_ids, run=self._run, idGenerationMode=self._ids
                    )
                )
                datasets += [
                    FileDataset(
                        path=file.uri,
                        refs=[next(refs) for _ in file.data_ids],
                        formatter=file.file.formatter,
                    )
                    for file in members
                ]
            self._butler.ingest(*datasets, transfer=self._way(files))

    def _way(self, files: Sequence[Prepared]) -> str:
        """Return how to transfer these files."""
        if not self._moves:
            return self._transfer
        return "hardlink" if all(_can_be_linked(file.uri, self._roots()) for file in files) else "copy"

    def _roots(self) -> list[ResourcePath]:
        return [root for root in self._butler.get_datastore_roots().values() if root is not None]

    def compare(self, there: Sequence[tuple[Prepared, Sequence[DatasetRef]]]) -> list[IngestError | None]:
        """Tell what is wrong with files whose datasets, all or some, are registered."""
        stored = lengths_of([_place(self._butler, refs[0]) for _, refs in there])
        given = lengths_of([file.uri for file, _ in there])
        answers: list[IngestError | None] = []
        for (file, refs), length, here in zip(there, stored, given, strict=True):
            if self._moves and isinstance(here, FileNotFoundError) and isinstance(length, int):
                answers.append(None)  # moved by an attempt before
                continue
            error = self._difference(file, refs, length, here)
            if error is None and self._moves:
                _remove(file.uri)  # all that an attempt before has left to do
            answers.append(error)
        return answers

    def _difference(
        self, file: Prepared, refs: Sequence[DatasetRef], length: int | Exception, here: int | Exception
    ) -> IngestError | None:
        what = f"{file.describe()} is registered"
        if isinstance(length, FileNotFoundError):
            return IngestError(
                f"{what}, but its file is gone",
                where=file.uri,
                hint=f"Prune that dataset from {self._run}, then ingest this file again.",
            )
        for place, answer in (("its file", length), ("the file to ingest", here)):
            if isinstance(answer, Exception):
                # No answer is no proof that anything is wrong with either.
                failure = IngestError(
                    f"{what}, but {place} cannot be looked at: {type(answer).__name__}: {answer}",
                    where=file.uri,
                    hint="Nothing was changed. Ingest again when the store answers.",
                )
                failure.__cause__ = answer
                return failure
        if len(refs) < len(file.data_ids) or length != here:
            return IngestError(
                f"{what} with another file",
                where=file.uri,
                hint=f"Prune that dataset from {self._run} first, or ingest into another run.",
            )
        return None


def _place(butler: Butler, ref: DatasetRef) -> ResourcePath | Exception:
    try:
        return butler.getURI(ref)
    except LookupError as error:
        # The datastore has no record of it.
        return FileNotFoundError(str(error))
    except OSError as error:
        return error


def _can_be_linked(uri: ResourcePath, roots: Sequence[ResourcePath]) -> bool:
    """Tell whether a file can have a second name in all of some folders."""
    if not uri.isLocal or not all(root.isLocal for root in roots):
        return False
    path = Path(uri.ospath)
    try:
        devices = {path.stat().st_dev, *(Path(root.ospath).stat().st_dev for root in roots)}
    except OSError:
        return False
    return len(devices) == 1 and not path.is_symlink()


def _remove(uri: ResourcePath) -> None:
    with suppress(FileNotFoundError):
        uri.remove()
