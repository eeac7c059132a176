"""Where the tutorial notebooks are: in the installed package or in the checkout."""

from __future__ import annotations

from pathlib import Path

from lenticular.butler.errors import ServiceError

__all__ = ["tutorials_folder"]


def tutorials_folder() -> Path:
    """Return the folder with the tutorial notebooks.

    A wheel carries them inside this package; a checkout has them at its root.

    Raises
    ------
    ServiceError
        Raised if there are none, as in a package put together wrongly.
    """
    here = Path(__file__).parent
    for folder in (here / "notebooks", here.parents[3] / "notebooks"):
        if any(folder.glob("*.ipynb")):
            return folder
    raise ServiceError("The tutorial notebooks are missing", where=here, hint="Install lenticular again.")
