"""The folder that a demo lives in, and what has been finished in it."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.butler.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["NEEDED_MB", "DemoFolder"]

LAYOUT = 1
"""Raised whenever a demo of an older layout has to be built anew."""

NEEDED_MB = 700
"""Free space, in megabytes, that a demo needs at most while it is built."""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """A demo's folder.

    What has been finished is written to ``state.json`` after each step, so
    that an interrupted build goes on where it stopped.
    """

    path: Path

    @property
    def store(self) -> Path:
        """Where the object store keeps its objects."""
        return self.path / "s3"

    @property
    def repository(self) -> Path:
        """The repository: its configuration and its SQLite registry."""
        return self.path / "repository"

    @property
    def incoming(self) -> Path:
        """Raw files between their simulation and their ingest."""
        return self.path / "incoming"

    @property
    def truth(self) -> Path:
        """What was put into the simulated sky."""
        return self.path / "truth"

    @property
    def notebooks(self) -> Path:
        """The visitor's own copies of the tutorials."""
        return self.path / "notebooks"

    @property
    def settings(self) -> Path:
        """Configuration of its Jupyter servers."""
        return self.path / "jupyter" / "config"

    @property
    def runs(self) -> Path:
        """Records of the runs launched."""
        return self.path / "runs"

    @property
    def logs(self) -> Path:
        """Logs of the servers."""
        return self.path / "logs"

    @property
    def index(self) -> Path:
        """Repository index with the demo's label."""
        return self.path / "repositories.yaml"

    @property
    def variables(self) -> Path:
        """Shell file with the variables that lead to the running demo."""
        return self.path / "env.sh"

    @property
    def recipe(self) -> str | None:
        """What the demo in this folder was made from."""
        return self._state().get("recipe")

    def finished(self, step: str, recipe: str) -> bool:
        """Whether a step was finished, by the same recipe."""
        return self._state().get(step) == recipe

    def finish(self, step: str, recipe: str) -> None:
        """Write down that a step is finished."""
        state = {**self._state(), step: recipe, "layout": str(LAYOUT)}
        draft = self.path / ".state.json"
        draft.write_text(json.dumps(state, indent=1))
        draft.replace(self.path / "state.json")

    def outdated(self, recipe: str) -> bool:
        """Whether the folder holds a demo of another layout or recipe."""
        state = self._state()
        return bool(state) and (state.get("layout") != str(LAYOUT) or state.get("recipe", recipe) != recipe)

    def clear(self) -> None:
        """Take away everything but the visitor's notebooks."""
        for part in (self.store, self.repository, self.incoming, self.truth, self.runs, self.logs):
            shutil.rmtree(part, ignore_errors=True)
        for name in ("state.json", ".state.json", "repositories.yaml"):
            (self.path / name).unlink(missing_ok=True)

    def require_space(self) -> None:
        """Raise if the disk is too full to build a demo.

        Raises
        ------
        ServiceError
            Raised if less than `NEEDED_MB` are free.
        """
        free = shutil.disk_usage(self.path).free // 1_000_000
        if free < NEEDED_MB:
            raise ServiceError(
                f"Only {free} MB are free on this disk and the demo needs {NEEDED_MB}",
                where=self.path,
                hint="Make room, or choose another place with `lenticular demo --folder`.",
            )

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder, so that no second demo runs in it.

        Raises
        ------
        ServiceError
            Raised if a demo runs in it; the message has that one's address.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / "lock").open("a+")
        except OSError as error:
            raise ServiceError(
                f"The demo's folder cannot be written: {error.strerror}",
                where=self.path,
                hint="Choose another place with `lenticular demo --folder`.",
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ServiceError(
                    "A demo is running in this folder already", where=self.path, hint=self._running_hint()
                ) from None
            try:
                yield
            finally:
                self.tell_address(None)

    def tell_address(self, url: str | None) -> None:
        """Leave the address of the running demo for a second one to find."""
        if url is None:
            (self.path / "address").unlink(missing_ok=True)
            self.variables.unlink(missing_ok=True)
        else:
            _write_privately(self.path / "address", url)

    def write_variables(self, environment: Mapping[str, str]) -> None:
        """Write a file that leads a shell to the demo's repository and object store."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
        _write_privately(self.variables, "\n".join(lines) + "\n")

    def _running_hint(self) -> str:
        # The address itself holds a token, which errors may not show.
        address = self.path / "address"
        if address.exists():
            return f"Its address is in {address}; or stop that one with ctrl-C where it was started."
        return "It is being built; wait for it, or stop it with ctrl-C where it was started."

    def _state(self) -> dict[str, str]:
        try:
            state = json.loads((self.path / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}


def _write_privately(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
