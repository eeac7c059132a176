"""From an operator's settings to JupyterHub's configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import ConfigurationError
from lenticular.butler.index import FILE_VARIABLE
from lenticular.platform.hub.settings import USERNAME
from lenticular.platform.runs import RUNS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from traitlets.config import Config

    from lenticular.platform.hub.settings import HubSettings

__all__ = ["configure"]

_NOT_IN_SESSION_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)
_SESSION_NAME_LENGTH = 64


def configure(c: Config, settings: HubSettings) -> None:
    """Add lenticular to a hub's configuration.

    It adds to what is there and leaves authentication, the spawner and the
    addresses alone. What an operator sets afterwards wins, but for the
    variables: extend those by ``c.Spawner.environment.update(...)``.

    Parameters
    ----------
    c
        The configuration that JupyterHub provides in ``jupyterhub_config.py``.
    settings
        What the operator decided.
    """
    c.Spawner.default_url = "/lab"
    c.Spawner.mem_limit = settings.memory
    c.Spawner.environment.update(_environment(settings))
    c.Spawner.args.extend(_arguments(settings))


def _environment(settings: HubSettings) -> dict[str, str | Callable[[Any], str]]:
    variables = {
        **settings.environment,
        FILE_VARIABLE: settings.index,
        RUNS_VARIABLE: settings.runs,
        **settings.credentials.variables(),
    }
    return {name: _of_user(name, value) if USERNAME in value else value for name, value in variables.items()}


def _of_user(name: str, value: str) -> Callable[[Any], str]:
    """Return what JupyterHub calls with a user's spawner for the value of a variable."""

    def fill(spawner: Any) -> str:
        user = str(spawner.user.name)
        if name == "AWS_ROLE_SESSION_NAME":
            return _NOT_IN_SESSION_NAMES.sub("-", value.replace(USERNAME, user))[:_SESSION_NAME_LENGTH]
        if "/" in user or user in {".", ".."}:
            # Made harmless it might become the name of another user.
            raise ConfigurationError(
                f"The user name {user!r} cannot be part of a path",
                where=f"{name}={value}",
                hint="Let the authenticator normalize names, or give one path for all users.",
            )
        return value.replace(USERNAME, user)

    return fill


def _arguments(settings: HubSettings) -> list[str]:
    arguments = [f"--LenticularApp.read_only={not settings.launch}"]
    if settings.kernel_idle_minutes:
        arguments.append(f"--MappingKernelManager.cull_idle_timeout={settings.kernel_idle_minutes * 60}")
    if settings.server_idle_minutes:
        arguments.append(f"--ServerApp.shutdown_no_activity_timeout={settings.server_idle_minutes * 60}")
    return arguments
