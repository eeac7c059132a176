"""How the datasets of a lenticular repository are stored: storage classes, formatters, recipes.

The answers are data, in ``config/repository.yaml``; this module only reads them.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

__all__ = ["VIEW_RECIPE", "repository_config"]

VIEW_RECIPE = "view256"
"""Name of the write recipe for image-like datasets: compressed in tiles of 256 x 256 pixels."""


def repository_config() -> dict[str, Any]:
    """Return what a repository's configuration holds beyond the middleware's defaults.

    Returns
    -------
    dict
        A new dictionary with the sections ``storageClasses`` and ``datastore``
        (``formatters`` and their ``write_recipes``), to be merged into the
        configuration that ``lsst.daf.butler.Butler.makeRepo`` is given.
    """
    source = resources.files("lenticular.pipelines") / "config" / "repository.yaml"
    config = yaml.safe_load(source.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        message = "config/repository.yaml does not hold a mapping"
        raise TypeError(message)
    return config
