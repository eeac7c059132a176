"""The `lenticular` command: everything that the screens do, from a terminal."""

from lenticular.platform.cli.main import main

__all__ = ["main"]
