"""Names: those that a glob matches, and those near one that does not exist."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lenticular.butler.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["match", "not_found"]


def match(names: Iterable[str], patterns: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names that any of some globs matches, in their own order."""
    globs = [patterns] if isinstance(patterns, str) else list(patterns)
    return tuple(name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def not_found(what: str, name: str, known: Iterable[str], *, where: object) -> NotFoundError:
    """Return the error for a name that does not exist, with those nearest."""
    candidates = list(known)
    near = difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
    if not near:
        near = [candidate for candidate in candidates if name.lower() in candidate.lower()][:3]
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    else:
        hint = f"There are {len(candidates)} others to list." if candidates else "There are none yet."
    return NotFoundError(f"There is no {what} {name!r}", where=where, hint=hint)
