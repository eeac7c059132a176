"""How long the steps of a task take."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

__all__ = ["timed"]


@contextmanager
def timed(seconds: MutableMapping[str, float], step: str) -> Iterator[None]:
    """Note the processor time of a step, also of one that fails.

    Parameters
    ----------
    seconds
        Gets the processor time of this process [s], under ``step``.
    step
        Name of the step.
    """
    start = time.process_time()
    try:
        yield
    finally:
        seconds[step] = time.process_time() - start
