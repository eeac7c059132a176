"""The dimension records that come with files, and those that data IDs refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lsst.daf.butler import Butler, DimensionElement, DimensionRecord
    from lsst.daf.butler.registry import Registry

    from lenticular.butler.registration.prepared import Prepared

__all__ = ["KnownRecords", "insert_records"]

type Values = tuple[Any, ...]


def insert_records(registry: Registry, files: Iterable[Prepared]) -> None:
    """Insert the dimension records that files bring along, unless they are there."""
    found: dict[DimensionElement, dict[Any, DimensionRecord]] = {}
    for file in files:
        for record in file.file.records:
            found.setdefault(record.definition, {})[record.dataId] = record
    for element in sorted(found):
        # Sorted, so that two writers lock the same rows in the same order.
        records = found[element]
        registry.insertDimensionData(
            element, *(records[data_id] for data_id in sorted(records)), skip_existing=True
        )


class KnownRecords:
    """Which dimension records exist, each asked for once.

    Parameters
    ----------
    butler
        The repository.
    """

    def __init__(self, butler: Butler) -> None:
        self._butler = butler
        self._known: dict[str, set[Values]] = {}

    def check(self, files: Sequence[Prepared]) -> None:
        """Check that all that the data IDs of files of one dataset type name exists.

        Raises
        ------
        IngestError
            Raised for the first file whose data ID names something that does
            not exist.
        """
        dimensions = files[0].dataset_type.dimensions
        for name in dimensions.required:
            if name in dimensions.skypix:
                continue  # pixels of the sky have no records
            required = tuple(self._butler.dimensions[name].required.names)
            known = self._known.setdefault(name, set())
            wanted = {
                tuple(data_id[part] for part in required) for file in files for data_id in file.data_ids
            } - known
            known |= self._find(name, required, wanted)
            if missing := wanted - known:
                self._complain(files, name, required, missing)

    def forget(self) -> None:
        """Ask for everything again, as after a transaction that was undone."""
        self._known.clear()

    def _find(self, name: str, required: tuple[str, ...], wanted: set[Values]) -> set[Values]:
        """Return those of some records that exist."""
        parents: dict[Values, list[Any]] = {}
        for values in wanted:
            parents.setdefault(values[:-1], []).append(values[-1])
        found: set[Values] = set()
        for parent, own in parents.items():
            with self._butler.query() as query:
                data_ids = query.data_ids([name]).where(
                    dict(zip(required[:-1], parent, strict=True)),
                    f"{name} IN (wanted)",
                    bind={"wanted": sorted(own)},
                )
                found.update(data_id.required_values for data_id in data_ids)
        return found

    def _complain(
        self, files: Sequence[Prepared], name: str, required: tuple[str, ...], missing: set[Values]
    ) -> None:
        for file in files:
            for data_id in file.data_ids:
                values = tuple(data_id[part] for part in required)
                if values in missing:
                    named = ", ".join(f"{part} {value}" for part, value in zip(required, values, strict=True))
                    raise IngestError(
                        f"The repository knows no {name} of this kind: {named}",
                        where=file.uri,
                        hint="Insert its dimension record first, or mend the data ID.",
                    )
