"""Registering the displays with IPython, and taking them back."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from lenticular.widgets.upstream import DEFINED_IN

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["load_ipython_extension", "unload_ipython_extension"]

_log = logging.getLogger(__name__)

_DISPLAYS = {
    "Butler": "data.butler",
    "CollectionInfo": "data.collection_info",
    "CollectionSummary": "data.collection_summary",
    "DataCoordinate": "data.data_coordinate",
    "DatasetRef": "data.dataset_ref",
    "DatasetType": "data.dataset_type",
    "PredictedQuantumGraph": "graphs.predicted_graph",
    "QuantumGraph": "graphs.quantum_graph",
    "Table": "data.table",
}
"""Module and function of the display of each class."""

_BEFORE: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""What each shell's user had registered before."""


def load_ipython_extension(shell: Any) -> None:
    """Show objects of the middleware as tables; called by ``%load_ext``.

    Parameters
    ----------
    shell
        The IPython shell.
    """
    formatter = shell.display_formatter.formatters["text/html"]
    before = _BEFORE.setdefault(shell, {})
    for name, place in _DISPLAYS.items():
        if name not in before:
            before[name] = formatter.for_type_by_name(DEFINED_IN[name], name)
            formatter.for_type_by_name(DEFINED_IN[name], name, _deferred(place))


def unload_ipython_extension(shell: Any) -> None:
    """Show them as they were shown before; called by ``%unload_ext``.

    Parameters
    ----------
    shell
        The IPython shell.
    """
    formatter = shell.display_formatter.formatters["text/html"]
    for name, earlier in _BEFORE.pop(shell, {}).items():
        formatter.pop(f"{DEFINED_IN[name]}.{name}", None)
        if earlier is not None:
            formatter.for_type_by_name(DEFINED_IN[name], name, earlier)


def _deferred(place: str) -> Callable[[Any], str | None]:
    """Return a display that is imported when it is called first."""
    module, _, function = place.partition(".")

    def display(shown: Any) -> str | None:
        try:
            make = getattr(import_module(f"lenticular.widgets.displays.{module}"), function)
            text: str = make(shown)
        except Exception:  # noqa: BLE001  the text is shown in any case: no reason for a traceback
            _log.debug("A %s could not be displayed", type(shown).__name__, exc_info=True)
            return None
        return text

    return display
