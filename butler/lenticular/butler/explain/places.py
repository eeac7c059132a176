"""Where datasets of a type are, when they are not where they were looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lenticular.butler.browse.collections import CollectionInfo, CollectionKind, flatten, list_collections
from lenticular.butler.explain.nearby import likeness
from lenticular.butler.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lenticular.butler.columns.requests import DatasetQuery
    from lenticular.butler.explain.probes import Probe

__all__ = ["Searched", "look_around", "other_collections", "other_types", "searched"]

_MOST = 2000
_WANTED = 3


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search for datasets goes through."""

    named: tuple[str, ...]
    """Collections that it names."""

    visited: tuple[str, ...]
    """Collections that it visits, chains resolved."""

    holding: tuple[str, ...]
    """Those of them that may hold a dataset of the type."""

    elsewhere: tuple[str, ...]
    """Other collections that may hold one, those with the most similar names first."""

    known: Mapping[str, CollectionInfo]
    """All collections."""

    def parents(self, name: str) -> tuple[str, ...]:
        """Return the chains that hold a collection directly."""
        return tuple(info.name for info in self.known.values() if name in info.children)


def searched(probe: Probe, query: DatasetQuery) -> Searched:
    """Return what a question searches, by the registry's summaries alone.

    Parameters
    ----------
    probe
        Asks the repository.
    query
        The question.
    """
    known = look_around(probe)
    named = query.collections
    if named is None:
        named = probe.butler.collections.defaults
    elif any(sign in name for name in named for sign in "*?["):
        named = probe.butler.collections.query(named)
    below = dict.fromkeys(one for name in named for one in flatten(name, known))
    visited = tuple(one for one in below if known[one].kind is not CollectionKind.CHAINED)
    has = [
        name
        for name, info in known.items()
        if info.kind is not CollectionKind.CHAINED and query.dataset_type in info.dataset_types
    ]
    alike = sorted(has, key=lambda name: -max((likeness(name, one) for one in named), default=0.0))
    return Searched(
        named=tuple(named),
        visited=visited,
        holding=tuple(name for name in visited if name in has),
        elsewhere=tuple(name for name in alike if name not in visited),
        known=known,
    )


def look_around(probe: Probe) -> Mapping[str, CollectionInfo]:
    """Return all collections with the dataset types that they may hold."""
    source = probe.source
    if isinstance(source, Repository):
        return list_collections(source)
    found = source.collections.query_info("*", include_chains=True, include_summary=True)
    own = {info.name: info for info in found}
    infos = {
        name: CollectionInfo(
            name=name,
            kind=CollectionKind(info.type.name),
            children=tuple(info.children),
            documentation="",
            dataset_types=tuple(sorted(info.dataset_types or ())),
        )
        for name, info in own.items()
    }
    return dict(sorted(infos.items()))


def other_collections(probe: Probe, query: DatasetQuery, places: Searched) -> list[tuple[str, int]]:
    """Return collections elsewhere that answer a question, and how many datasets were seen in each.

    Runs first, the fullest first; a TAGGED or CALIBRATION collection only if
    no run has any. One statement, of which not all rows may be read.
    """
    runs = [name for name in places.elsewhere if places.known[name].kind is CollectionKind.RUN]
    if not runs:
        return _asked_each(probe, query, places.elsewhere)
    elsewhere = replace(
        query, collections=tuple(runs), find_first=False, columns=(), order_by=(), limit=_MOST
    )
    seen: dict[str, int] = {}
    if probe.has_rows(elsewhere):
        for run in probe.table(elsewhere).column("run").to_pylist():
            seen[run] = seen.get(run, 0) + 1
    return sorted(seen.items(), key=lambda one: (-one[1], one[0]))[:_WANTED]


def _asked_each(probe: Probe, query: DatasetQuery, names: Sequence[str]) -> list[tuple[str, int]]:
    tried = [replace(query, collections=(name,)) for name in names[: 2 * _WANTED]]
    return [(one.collections[0], 1) for one in tried if one.collections and probe.has_rows(one)][:_WANTED]


def other_types(probe: Probe, query: DatasetQuery, places: Searched) -> list[str]:
    """Return dataset types that the searched collections may hold, the most alike first."""
    held = {kind for name in places.visited for kind in places.known[name].dataset_types}
    held.discard(query.dataset_type)
    wanted = probe.butler.get_dataset_type(query.dataset_type).dimensions
    ranked = sorted(
        held,
        key=lambda name: (
            -likeness(name, query.dataset_type),
            probe.butler.get_dataset_type(name).dimensions != wanted,
            name,
        ),
    )
    return ranked[:_WANTED]
