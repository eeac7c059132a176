"""Settings of the demo's Jupyter servers, whoever starts them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_settings"]

_SETTINGS = {
    "LabApp": {
        # News and updates would be fetched from outside. Without an address
        # JupyterLab does not ask about news either.
        "news_url": None,
        "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "extension_manager": "readonly",
    },
    # The repository is the visitor's own.
    "LenticularApp": {"read_only": False},
}


def write_settings(folder: Path) -> None:
    """Write the configuration of a Jupyter server on a demo.

    Parameters
    ----------
    folder
        A folder on Jupyter's search path for configurations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / ".jupyter_server_config.json"
    draft.write_text(json.dumps(_SETTINGS, indent=1))
    draft.replace(folder / "jupyter_server_config.json")
