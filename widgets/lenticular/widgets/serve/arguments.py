"""What an address may ask of a view."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ViewArguments", "theme_of"]

_WHOLE = ("exposure", "visit", "detector", "tract", "patch")
_TEXT = ("instrument", "band", "physical_filter", "skymap")
_THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class ViewArguments:
    """What an address asks for; all of it may be missing.

    Anything else in the address, such as a server's token, is neither read
    nor kept.
    """

    label: str = ""
    """Label of the repository. A URI never comes from an address: whoever
    could write one would have the server open it with its own credentials."""

    collections: tuple[str, ...] = ()
    """Collections, in the order in which they are searched."""

    run: str = ""
    """Identifier of a run."""

    dataset_type: str = ""
    """Dataset type of an exposure."""

    data_id: Mapping[str, int | str] = field(default_factory=dict)
    """Data ID of an exposure, as far as it is given."""

    @classmethod
    def parse(cls, arguments: Mapping[str, Sequence[bytes]]) -> Self:
        """Read the arguments of a request.

        Parameters
        ----------
        arguments
            Values by name, as Tornado gives them: ``collection`` may come
            several times, or hold several names with commas between.

        Raises
        ------
        DataError
            Raised for text that is no UTF-8, and for a visit, exposure,
            detector, tract or patch that is no whole number.
        """
        texts = {name: [_decoded(name, value) for value in values] for name, values in arguments.items()}
        given = {name: values[-1] for name, values in texts.items() if values and values[-1]}
        names = [*texts.get("collection", ()), *texts.get("collections", ())]
        data_id: dict[str, int | str] = {name: given[name] for name in _TEXT if name in given}
        data_id |= {name: _whole(name, given[name]) for name in _WHOLE if name in given}
        return cls(
            label=given.get("label", ""),
            collections=tuple(part.strip() for name in names for part in name.split(",") if part.strip()),
            run=given.get("run", ""),
            dataset_type=given.get("dataset_type", ""),
            data_id=data_id,
        )


def theme_of(arguments: Mapping[str, Sequence[bytes]]) -> str:
    """Return ``light`` or ``dark``; what is neither is light."""
    asked = [value.decode(errors="replace") for value in arguments.get("theme", ())]
    return asked[-1] if asked and asked[-1] in _THEMES else _THEMES[0]


def _decoded(name: str, value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        raise DataError(
            f"The value of {name!r} in the address is not text", hint="It must be UTF-8."
        ) from None


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004  what the registry's integers hold
        raise DataError(f"{text!r} is not a {name}", hint=f"Write {name}=NUMBER in the address.")
    return int(text)
