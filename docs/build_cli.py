"""Write the reference of the command line from the commands themselves.

usage: python docs/build_cli.py > docs/cli.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lenticular.platform.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reference"]


def reference() -> str:
    """Return the reference as Markdown."""
    head = (
        "# The `lenticular` command\n\n"
        "Written by `make docs` from the commands themselves. An error is told in two lines, what and\n"
        "what to do, with exit code 1; a wrong option has exit code 2; ctrl-C 130. `-v` before a command\n"
        "shows tracebacks.\n"
    )
    return head + "".join(_sections(cli, "lenticular"))


def _sections(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    yield f"\n## `{name}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _sections(found, f"{name} {child}")


if __name__ == "__main__":
    print(reference(), end="")
