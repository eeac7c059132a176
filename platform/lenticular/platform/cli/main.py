"""The command's entry: sub-commands imported when called, errors told in two lines."""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from typing import NoReturn

import click

from lenticular.butler.errors import LenticularError
from lenticular.butler.redact import redact
from lenticular.platform.execution.logs import RedactingFormatter

__all__ = ["LazyGroup", "cli", "main"]


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they are called.

    `lenticular --help` answers at once, though `lenticular run` needs the
    whole of the middleware.
    """

    commands_by_name = (
        "cancel",
        "check",
        "compare",
        "copy-registry",
        "create",
        "demo",
        "ingest",
        "restart",
        "run",
        "show",
    )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the sub-commands."""
        del ctx
        return list(self.commands_by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a sub-command."""
        del ctx
        if cmd_name not in self.commands_by_name:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"lenticular.platform.cli.{name}"), name)
        return command if isinstance(command, click.Command) else None


@click.command(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="lenticular")
@click.option("-v", "--verbose", is_flag=True, help="Tell what the middleware logs, and show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, *, verbose: bool) -> None:
    """Browse, reduce and look at Rubin-style data repositories."""
    ctx.obj = {"verbose": verbose}
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])


def main() -> NoReturn:
    """Run the command line of this process and exit with its code.

    An error that lenticular raises on purpose is told in two lines, what and
    what to do; ``--verbose`` shows where it arose too.
    """
    try:
        code = cli.main(standalone_mode=False)
    except LenticularError as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            click.echo(redact("".join(traceback.format_exception(error))), err=True)
        _tell(error)
        code = 1
    except click.exceptions.Abort:
        click.echo("\nlenticular: stopped", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Exit as error:
        code = error.exit_code
    except Exception as error:  # noqa: BLE001  what nobody foresaw is told whole, but for credentials
        click.echo(redact("".join(traceback.format_exception(error))), err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: LenticularError) -> None:
    where = f" ({error.where})" if error.where else ""
    click.echo(redact(f"lenticular: {error.what}{where}"), err=True)
    if error.hint:
        click.echo(redact(f"  {error.hint}"), err=True)
