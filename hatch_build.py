"""Put the built JupyterLab extension into a wheel; an editable installation links it instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["LabExtensionHook"]

_TARGET = "share/jupyter/labextensions/@lenticular/labextension"


class LabExtensionHook(BuildHookInterface[Any]):
    """Adds ``platform/labextension/dist`` to the data files of a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files, just before a wheel or an sdist is built.

        Parameters
        ----------
        version
            ``standard``, or ``editable``.
        build_data
            What the build goes by.

        Raises
        ------
        RuntimeError
            Raised if the extension has not been built.
        """
        if self.target_name != "wheel" or version == "editable":
            return
        extension = Path(self.root, "platform", "labextension")
        if not (extension / "dist" / "package.json").is_file():
            message = "The JupyterLab extension is not built: run `make setup` with Node.js 20.19 or newer."
            raise RuntimeError(message)
        build_data["shared_data"][str(extension / "dist")] = _TARGET
        build_data["shared_data"][str(extension / "install.json")] = f"{_TARGET}/install.json"
