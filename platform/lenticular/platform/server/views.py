"""The served views, on the Jupyter server's own port.

`jupyter_server_proxy` finds `served_views` by the entry point
``lenticular/views`` in the group ``jupyter_serverproxy_servers``. It starts
the server of the views at the first request to
``{base_url}lenticular/views/...``, lets nobody pass whom the Jupyter server
does not know, and passes requests and websockets on to a Unix socket.

The views are a layer above this one: their module is named, not imported.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from lenticular.butler.index import TEXT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MODULE", "configure_views", "served_views"]

MODULE = "lenticular.widgets.serve"
"""What is started, as ``python -m``."""

_START_SECONDS = 90
"""The first start after an installation compiles what it imports."""


class _Settings:
    """What the server extension was told, for the process that is started later."""

    repositories: Mapping[str, str] | None = None
    runs: str | None = None
    read_only = True


def configure_views(
    *, repositories: Mapping[str, str] | None = None, runs: str | None = None, read_only: bool = True
) -> None:
    """Settle what the served views may do; the server extension calls it when it is set up.

    Parameters
    ----------
    repositories
        URI by label of the repositories that may be opened; by default the
        repository index of the environment.
    runs
        Folder of the records of runs, if not the one of the environment.
    read_only
        Whether runs are only looked at.
    """
    _Settings.repositories = None if repositories is None else dict(repositories)
    _Settings.runs = runs
    _Settings.read_only = read_only


def served_views() -> dict[str, Any]:
    """Return how the server of the views is started, as `jupyter_server_proxy` asks."""
    return {
        "command": _command,
        "environment": _environment,
        "unix_socket": True,
        "timeout": _START_SECONDS,
        "launcher_entry": {"enabled": False},
        "update_last_activity": _is_activity,
    }


def _command() -> list[str]:
    # -P: a notebook folder may hold a file called like a module of ours.
    access = "--read-only" if _Settings.read_only else "--allow-runs"
    return [_verbatim(sys.executable), "-P", "-m", MODULE, "--unix-socket", "{unix_socket}", access]


def _environment() -> dict[str, str]:
    # Not in the arguments, which every user of the machine can list: a URI may hold a password.
    variables = {}
    if _Settings.repositories is not None:
        variables[TEXT_VARIABLE] = json.dumps(_Settings.repositories)
    if _Settings.runs is not None:
        variables["LENTICULAR_RUNS"] = _Settings.runs
    return {name: _verbatim(value) for name, value in variables.items()}


def _verbatim(text: str) -> str:
    """Return a text that is itself again after `str.format`."""
    return text.replace("{", "{{").replace("}", "}}")


def _is_activity(handler: Any) -> bool:
    """Tell whether a request shows that somebody works here.

    The websocket of a page in a forgotten tab is kept alive day and night; it
    must not keep a hub from putting the server to sleep.
    """
    return str(handler.request.headers.get("Upgrade", "")).lower() != "websocket"
