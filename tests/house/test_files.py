"""What may not be in any file of the project."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Written in pieces so that this file does not find itself.
FORBIDDEN = {
    "the host of a package registry": re.compile(
        "py" + r"thonhosted|(?<!\w)py" + r"pi\.org|registry\.np" + "mjs"
    ),
    "an absolute path of a machine": re.compile("/ro" + r"ot/|/ho" + r"me/\w+/|/wo" + "rk/"),
    "a key of Amazon's": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
}


def tracked_files() -> list[Path]:
    """Return every file that is, or is about to be, under version control."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607  git is on the path
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def test_files_name_no_host_no_machine_and_no_key() -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}: {what}" for what, sign in FORBIDDEN.items() if sign.search(text)
        ]
    assert not found


def test_the_licence_is_the_one_declared() -> None:
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text()
    assert 'license = "BSD-3-Clause"' in (ROOT / "pyproject.toml").read_text()


def test_every_locked_package_has_hashes() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = [number for number, line in enumerate(lines) if re.match(r"^[a-z0-9]\S*==", line)]
    assert len(pinned) > 100
    assert all("--hash=sha256:" in lines[number + 1] for number in pinned)
