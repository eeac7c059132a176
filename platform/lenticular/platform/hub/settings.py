"""What an operator decides about lenticular on a hub."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lenticular.butler.errors import ConfigurationError
from lenticular.butler.redact import redact, redacted_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["USERNAME", "Credentials", "HubSettings"]

USERNAME = "{username}"
"""Stands for the user's name in paths of credentials."""

_MEMORY = re.compile(r"\d+(\.\d+)?[KMGT]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How users' servers prove who they are: by a role or by files, never by a key that is typed.

    A path may hold ``{username}``. Files are read on the user's side, at each
    use; a hub never sees what is in them.

    Raises
    ------
    ConfigurationError
        Raised if a role comes without its identity file, or the other way round.
    """

    role: str | None = None
    """ARN of the role that users' servers take on by a web identity (on EKS: IRSA)."""

    identity_file: str | None = None
    """Path of the token that proves the identity; the platform puts it there and renews it."""

    aws_file: str | None = None
    """Path of an AWS credentials file, for object stores without roles."""

    aws_profile: str | None = None
    """Profile in the AWS configuration."""

    pgpass: str | None = None
    """Path of libpq's password file. libpq insists that none but its owner can read it."""

    db_auth: str | None = None
    """Path of the middleware's ``db-auth.yaml``."""

    def __post_init__(self) -> None:
        if (self.role is None) != (self.identity_file is None):
            raise ConfigurationError(
                "A role and its identity file belong together",
                hint="Give both `role` and `identity_file`, or neither.",
            )

    def variables(self) -> dict[str, str]:
        """Return the variables of a user's server; ``{username}`` still stands for the name."""
        session = f"lenticular-{USERNAME}" if self.role else None
        found = {
            "AWS_ROLE_ARN": self.role,
            "AWS_ROLE_SESSION_NAME": session,
            "AWS_WEB_IDENTITY_TOKEN_FILE": self.identity_file,
            "AWS_SHARED_CREDENTIALS_FILE": self.aws_file,
            "AWS_PROFILE": self.aws_profile,
            "PGPASSFILE": self.pgpass,
            "LSST_DB_AUTH": self.db_auth,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Settings of lenticular on every user's server.

    Raises
    ------
    ConfigurationError
        Raised for a secret among the settings, which every user could read,
        or a number that makes no sense.
    """

    index: str
    """Path or URI of the repository index, as users' servers see it."""

    runs: str = "~/lenticular/runs"
    """Folder of the records of runs; ``~`` is the user's own home, on the user's side."""

    credentials: Credentials = field(default_factory=Credentials)
    """How users' servers reach object stores and databases."""

    launch: bool = False
    """Whether the extension's routes may launch, cancel and restart runs. Notebooks and the
    command line always may, as far as the user's credentials go."""

    memory: str = "4G"
    """Memory of a user's server, its kernels and its runs. JupyterHub's own spawner for local
    processes does not enforce it; those for containers and systemd do."""

    kernel_idle_minutes: int = 60
    """Kernels that have been idle so long are ended; 0 for never."""

    server_idle_minutes: int = 0
    """Servers without kernels, terminals and requests for so long end; 0 for never. In a container
    that ends the runs in it too: they are found lost, and can be restarted."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """More variables for users' servers: ``S3_ENDPOINT_URL``, ``AWS_REGION`` ..."""

    def __post_init__(self) -> None:
        masked = redacted_environment({**self.environment, "index": self.index, "runs": self.runs})
        given = {**self.environment, "index": self.index, "runs": self.runs}
        for name, value in given.items():
            if masked[name] != value:
                raise ConfigurationError(
                    "The hub's settings hold a secret, which every user could read",
                    where=f"{name}={redact(masked[name])}",
                    hint="Use a role, or put it into a file and name that in `Credentials`.",
                )
        if not _MEMORY.fullmatch(self.memory):
            raise ConfigurationError(
                f"{self.memory!r} is not an amount of memory", hint="Write it as '2G' or '500M'."
            )
        if min(self.kernel_idle_minutes, self.server_idle_minutes) < 0:
            raise ConfigurationError("Idle minutes cannot be negative", hint="0 means never.")
