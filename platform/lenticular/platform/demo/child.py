"""Work in a process of its own, which gives its memory back at its end."""

from __future__ import annotations

import multiprocessing
import signal
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import LenticularError, ServiceError
from lenticular.platform.parent import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

__all__ = ["in_child"]


def in_child(work: Callable[..., None], *arguments: object) -> None:
    """Do some work in a child process and wait for its end.

    The middleware, once imported, takes 400 MB; a process that is to sit
    beside a notebook for hours should not be the one that imports it.

    Parameters
    ----------
    work
        A function at the top level of a module.
    *arguments
        What it is called with; all can be pickled.

    Raises
    ------
    LenticularError
        Raised if the work raised it.
    ServiceError
        Raised if the child died without a word.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        error = receiver.recv()
        process.join()
    except EOFError:
        process.join()
        raise ServiceError(
            f"Building the demo was killed (code {process.exitcode})",
            hint="Is there enough memory? Run the same command again to go on.",
        ) from None
    except BaseException:
        process.terminate()
        process.join()
        raise
    finally:
        receiver.close()
    if error is not None:
        raise error


def _work(sender: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # ctrl-C reaches every process of the terminal; the parent tells us to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _stop())
    end_with_parent()
    try:
        work(*arguments)
    except LenticularError as error:
        sender.send(error)
    except Exception as error:  # noqa: BLE001  told to the parent, in words: not every error can be pickled
        what = f"Building the demo failed: {type(error).__name__}: {error}"
        sender.send(ServiceError(what, hint="Run the same command again to go on; --rebuild begins anew."))
    except KeyboardInterrupt:
        sender.send(ServiceError("Building the demo was interrupted"))
    else:
        sender.send(None)


def _stop() -> None:
    raise KeyboardInterrupt
