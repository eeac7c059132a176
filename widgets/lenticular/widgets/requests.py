"""A graph request as source code and as a command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lenticular.widgets.copying import literal, overrides_source, shell_word

if TYPE_CHECKING:
    from lenticular.pipelines.graph import GraphRequest

__all__ = ["request_command", "request_source"]


def request_source(request: GraphRequest) -> str:
    """Return statements that make a request and call it ``request``.

    Parameters
    ----------
    request
        The request.
    """
    options = [
        ("inputs", request.inputs),
        ("output", request.output),
        ("where", request.where),
    ]
    lines = [f"    pipeline={literal(request.pipeline)},"]
    lines += [f"    {name}={literal(value)}," for name, value in options if value]
    head = ""
    if request.config:
        head = f"config = {overrides_source(request.config)}\n"
        lines.append("    config=config,")
    return head + "request = GraphRequest(\n" + "\n".join(lines) + "\n)"


def request_command(repository: str, request: GraphRequest, *, workers: int | None = None) -> str:
    """Return the ``lenticular run`` command for a request.

    Parameters
    ----------
    repository
        Label or address of the repository.
    request
        The request.
    workers
        Worker processes, if they are to be named.
    """
    words = ["lenticular", "run", repository, "-p", request.pipeline]
    for name in request.inputs:
        words += ["-i", name]
    if request.output:
        words += ["-o", request.output]
    if request.where:
        words += ["-d", request.where]
    for override in request.config:
        words += ["-c", f"{override.task}:{override.field}={json.dumps(override.value)}"]
    if workers is not None:
        words += ["-j", str(workers)]
    return " ".join(shell_word(word) for word in words)
