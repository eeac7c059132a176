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

_WIDTH = 100


def reference() -> str:
    """Return the reference as Markdown."""
    head = (
        "# The `lenticular` command\n\n"
        "Written by `make docs` from the commands themselves. An error is told in two lines, what and\n"
        "what to do, with exit code 1; a wrong option has exit code 2; ctrl-C 130. `-v` before a command\n"
        "shows tracebacks.\n"
    )
    root = click.Context(cli, info_name="lenticular", terminal_width=_WIDTH, **cli.context_settings)
    return head + "".join(_sections(root))


def _sections(context: click.Context) -> Iterator[str]:
    # Contexts are nested as they are in a real call: options are inherited.
    yield f"\n## `{context.command_path}`\n\n```text\n{context.command.get_help(context)}\n```\n"
    if isinstance(context.command, click.Group):
        for child in context.command.list_commands(context):
            found = context.command.get_command(context, child)
            if found is not None:
                yield from _sections(
                    click.Context(found, info_name=child, parent=context, terminal_width=_WIDTH)
                )


if __name__ == "__main__":
    print(reference(), end="")
