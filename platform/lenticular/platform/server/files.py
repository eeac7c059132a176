"""Files that a browser may ask for: those below the server's root folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.butler.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ServedFolder"]


@dataclass(frozen=True, slots=True)
class ServedFolder:
    """The folder that the Jupyter server shows."""

    root: Path
    """The folder."""

    allow_hidden: bool = False
    """Whether files are given whose name, or a folder's above, begins with a point."""

    def file(self, path: str) -> Path:
        """Return the file that a path of the contents API names.

        Parameters
        ----------
        path
            Names joined by slashes, from the root folder.

        Raises
        ------
        NotFoundError
            Raised if there is no such file. The same is said of one that is
            outside or hidden, so that nothing can be learned of what is there.
        """
        parts = [part for part in path.split("/") if part]
        try:
            root = self.root.resolve(strict=True)
            found = root.joinpath(*parts).resolve(strict=True)
            if ".." not in parts and found.is_relative_to(root) and found.is_file():
                shown = [*parts, *found.relative_to(root).parts]
                if self.allow_hidden or not any(part.startswith(".") for part in shown):
                    return found
        except (OSError, ValueError, RuntimeError):  # not there, not a name, links in a circle
            pass
        raise NotFoundError(
            "There is no such file",
            where=path,
            hint="Files below the server's root folder can be shown, hidden ones only if it allows that.",
        )
