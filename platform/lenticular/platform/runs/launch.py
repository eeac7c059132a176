"""Starting the driver of a run, so that it belongs to nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenticular.butler.errors import GraphError
from lenticular.platform.execution.journal import begin_session
from lenticular.platform.execution.machine import default_workers
from lenticular.platform.runs.lock import RunLock
from lenticular.platform.runs.run import Run
from lenticular.platform.runs.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lenticular.pipelines.graph.request import GraphRequest
    from lenticular.platform.runs.record import RunRecord

__all__ = ["launch", "start_driver"]

_SINGLE_THREADED = {
    # One quantum per core: threads beneath it would only fight for the cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    # Fewer heaps per process: glibc otherwise keeps freed memory in each.
    "MALLOC_ARENA_MAX": "2",
    # No folder that the driver is started in may hide a module.
    "PYTHONSAFEPATH": "1",
}

_INDEX_VARIABLE = "DAF_BUTLER_REPOSITORY_INDEX"


def launch(
    repository_uri: str,
    request: GraphRequest,
    *,
    workers: int | None = None,
    store: RunStore | None = None,
    graph: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Start a run and return at once.

    The record is on disk before anything is started. The driver then builds
    the graph, executes it and registers the outputs, and does so whether or
    not this process lives on.

    Parameters
    ----------
    repository_uri
        Address or label of the repository. A relative path is taken from the
        current folder. It is stored, so it may not hold a credential.
    request
        What is wanted. A relative path of a pipeline is taken from the current
        folder.
    workers
        How many quanta are executed at once, each by a process of its own; by
        default as many as processors and memory allow.
    store
        Where the record is kept; the default `RunStore` by default.
    graph
        A ``.qg`` file that was built for this request; it is copied. By
        default the driver builds one.
    environment
        Variables for the driver beside those of this process, such as the
        address of an object store and credentials; they are not stored.

    Returns
    -------
    Run
        The run.

    Raises
    ------
    RunError
        Raised if the repository's address or the request holds a credential.
    GraphError
        Raised if the request names no output, or the graph cannot be read.
    """
    if graph is not None:
        request = replace(request, output_run=_output_run_of(Path(graph)))
    count = default_workers() if workers is None else workers
    record = (store or RunStore()).create(
        _absolute_repository(repository_uri),
        replace(request, pipeline=_absolute_pipeline(request.pipeline)),
        workers=count,
        engine="processes",
    )
    # Locked before the record can be seen, so that no one takes the run for lost.
    lock = RunLock.acquire(record.folder)
    try:
        if graph is not None:
            shutil.copyfile(graph, record.graph_path)
        record.write()
    except BaseException:
        lock.release()
        raise
    start_driver(record, lock, environment)
    return Run(record)


def start_driver(record: RunRecord, lock: RunLock, environment: Mapping[str, str] | None) -> None:
    """Start a driver in a session of its own and hand it the run's lock.

    Parameters
    ----------
    record
        The run.
    lock
        Its lock, which this process gives up.
    environment
        Variables beside those of this process.
    """
    variables = {**os.environ, **(environment or {}), **_SINGLE_THREADED}
    # The driver has another working folder.
    if index := variables.get(_INDEX_VARIABLE):
        variables[_INDEX_VARIABLE] = _absolute_path(index)
    with lock.handed_over() as descriptor, record.driver_log_path.open("ab") as log:
        # Written here, so that from now on no status speaks of the last session.
        begin_session(record.journal_path)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "lenticular.platform.execution.driver",
                str(record.folder),
                str(descriptor),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=record.folder,
            env=variables,
            pass_fds=(descriptor,),
            start_new_session=True,
        )
    # Someone must ask for the exit code, or a zombie stays while we live.
    threading.Thread(target=process.wait, name=f"driver-{record.id}", daemon=True).start()


def _absolute_repository(given: str | os.PathLike[str]) -> str:
    text = os.fspath(given)
    if "/" in text or isinstance(given, os.PathLike):
        return _absolute_path(text)
    from lenticular.butler import labels

    # The driver may know labels that this process does not; only a folder must be found from here.
    return _absolute_path(text) if text not in labels() and Path(text).exists() else text


def _absolute_pipeline(pipeline: str) -> str:
    from lenticular.pipelines.definitions import pipeline_names

    stem, mark, selection = pipeline.partition("#")
    return pipeline if stem in pipeline_names() else f"{_absolute_path(stem)}{mark}{selection}"


def _absolute_path(text: str) -> str:
    """Return a path as an absolute one, and a URI as it is."""
    if "://" in text or text.startswith(("$", "file:")):  # upstream expands $DRP_PIPE_DIR and the like
        return text
    return str(Path(text).expanduser().absolute())


def _output_run_of(graph: Path) -> str:
    from lenticular.platform.execution.thin import read_thin_graph

    try:
        return read_thin_graph(graph).output_run
    except Exception as error:  # a file that is not there, not a ZIP, not a graph
        raise GraphError("The QuantumGraph file cannot be read", where=graph) from error
