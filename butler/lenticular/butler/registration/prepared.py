"""Files with their dataset types and data IDs as upstream's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsst.daf.butler import Butler, DataCoordinate, DatasetType
    from lsst.resources import ResourcePath

    from lenticular.butler.registration.files import FileToRegister

__all__ = ["Preparation", "Prepared"]

type Values = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that is fit to be registered, as far as it tells by itself."""

    file: FileToRegister
    """What was given."""

    uri: ResourcePath
    """Its address, absolute."""

    address: str
    """The same as text."""

    dataset_type: DatasetType
    """Dataset type as it is registered."""

    data_ids: tuple[DataCoordinate, ...]
    """Data IDs of its datasets."""

    bare: bool
    """Whether the data IDs were given by their required dimensions alone."""

    @property
    def keys(self) -> tuple[Values, ...]:
        """Required values of each data ID."""
        return tuple(data_id.required_values for data_id in self.data_ids)

    @property
    def order(self) -> tuple[str, tuple[Values, ...], str]:
        """By what files are sorted, so that all writers insert in the same order."""
        return self.dataset_type.name, self.keys, self.address

    def describe(self) -> str:
        """Return what it holds, for messages, as in "raw of exposure 12, detector 3"."""
        first = self.data_ids[0].required
        named = ", ".join(f"{name} {value}" for name, value in first.items())
        return f"{self.dataset_type.name} of {named}" if named else self.dataset_type.name


def _check_kinds(dataset_type: DatasetType, data_ids: Sequence[DataCoordinate]) -> None:
    """Check that numbers are numbers and names are names, which upstream leaves to the database."""
    universe = dataset_type.dimensions.universe
    kinds = {name: universe.dimensions[name].primary_key.pytype for name in dataset_type.dimensions.required}
    for data_id in data_ids:
        for name, kind in kinds.items():
            if not isinstance(data_id[name], kind):
                message = f"{name} is of type {kind.__name__}, and {data_id[name]!r} is not"
                raise TypeError(message)


class Preparation:
    """Brings files into upstream's terms; looks each dataset type up once.

    Parameters
    ----------
    butler
        The repository.
    """

    def __init__(self, butler: Butler) -> None:
        self._butler = butler
        self._types: dict[str, DatasetType] = {}

    def prepare(
        self, files: Sequence[FileToRegister]
    ) -> tuple[list[Prepared], list[tuple[FileToRegister, IngestError]]]:
        """Sort files into those that are fit and those that are not.

        A data ID that comes twice is fit once: the first file counts.
        """
        fit: list[Prepared] = []
        failed: list[tuple[FileToRegister, IngestError]] = []
        taken: dict[tuple[str, Values], str] = {}
        for file in files:
            try:
                one = self._prepare(file)
            except IngestError as error:
                failed.append((file, error))
                continue
            keys = [(one.dataset_type.name, key) for key in one.keys]
            other = next((taken[key] for key in keys if key in taken), None)
            if other is not None:
                hint = "Give one file for each dataset."
                failed.append(
                    (file, IngestError(f"{one.describe()} is also in {other}", where=file.path, hint=hint))
                )
                continue
            taken.update(dict.fromkeys(keys, one.address))
            fit.append(one)
        return sorted(fit, key=lambda one: one.order), failed

    def _prepare(self, file: FileToRegister) -> Prepared:
        from lsst.daf.butler import ButlerUserError, DataCoordinate
        from lsst.resources import ResourcePath

        if not file.data_ids:
            raise IngestError(
                "The file is said to hold no dataset", where=file.path, hint="Give it a data ID."
            )
        dataset_type = self._type(file)
        required = len(dataset_type.dimensions.required)
        try:
            data_ids = tuple(
                DataCoordinate.standardize(given, dimensions=dataset_type.dimensions)
                for given in file.data_ids
            )
            _check_kinds(dataset_type, data_ids)
        except (ButlerUserError, LookupError, TypeError, ValueError) as error:
            raise IngestError(
                f"The data ID {dict(file.data_ids[0])} is none of {dataset_type.name}: {error}",
                where=file.path,
                hint=f"Its dimensions are {', '.join(dataset_type.dimensions.required)}.",
            ) from error
        uri = ResourcePath(file.path, forceAbsolute=True, forceDirectory=False)
        return Prepared(
            file,
            uri,
            str(uri),
            dataset_type,
            data_ids,
            bare=all(len(given) == required for given in file.data_ids),
        )

    def _type(self, file: FileToRegister) -> DatasetType:
        """Return the dataset type of a file as it is registered."""
        from lsst.daf.butler import MissingDatasetTypeError

        given: Any = file.dataset_type
        name = given if isinstance(given, str) else given.name
        if name not in self._types:
            try:
                self._types[name] = self._butler.get_dataset_type(name)
            except MissingDatasetTypeError as error:
                raise IngestError(
                    f"The repository has no dataset type {name!r}",
                    where=file.path,
                    hint="Register it first: `butler.registry.registerDatasetType(...)`.",
                ) from error
        known = self._types[name]
        if not isinstance(given, str) and given != known:
            raise IngestError(
                f"The repository defines the dataset type {name!r} otherwise: {known}",
                where=file.path,
                hint="Give the dataset type as it is registered, or its name.",
            )
        return known
