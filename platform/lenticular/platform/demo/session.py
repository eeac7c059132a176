"""A demo from its beginning to its end: servers, repository, reduction, JupyterLab."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.butler import add_label
from lenticular.butler.errors import ServiceError
from lenticular.platform.demo.build import BUCKET, LABEL, build_repository, reduce_survey
from lenticular.platform.demo.child import in_child
from lenticular.platform.demo.command import run_command
from lenticular.platform.demo.folder import DemoFolder
from lenticular.platform.demo.lab import Lab, choose_port, copy_notebooks
from lenticular.platform.demo.settings import write_settings
from lenticular.platform.demo.tutorials import tutorials_folder
from lenticular.platform.execution.machine import default_workers
from lenticular.platform.runs import RUNS_VARIABLE, RunStore
from lenticular.platform.services import ObjectStoreProcess, require_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lenticular.platform.progress import Console

__all__ = ["DemoOptions", "run_demo"]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demo is to be like."""

    folder: Path
    """Where it is kept."""

    size: str = "demo"
    """Size of the simulated survey."""

    seed: int = 1
    """Seed of the simulated survey."""

    workers: int | None = None
    """Processes that simulate and reduce; as many as the machine bears by default."""

    port: int | None = None
    """Port for JupyterLab; any that is free by default."""

    browser: bool = False
    """Whether to open the visitor's browser."""

    lab: bool = True
    """Whether to start JupyterLab at all."""

    command: tuple[str, ...] = ()
    """A program, with its arguments, to run in place of JupyterLab."""

    rebuild: bool = False
    """Whether to begin anew."""

    @property
    def recipe(self) -> str:
        """What a finished demo was made from; another one is built anew."""
        return f"{self.size} seed {self.seed}, lenticular {importlib.metadata.version('lenticular')}"


def run_demo(options: DemoOptions, console: Console) -> int:
    """Build a demo, or go on with one, and serve it until it is interrupted.

    Everything that was started is stopped on the way out, in the reverse
    order: JupyterLab with its kernels, runs that are still going, the object
    store.

    Parameters
    ----------
    options
        What it is to be like.
    console
        Where to tell what is being done.

    Returns
    -------
    int
        The exit code of the program run in place of JupyterLab, or 0.

    Raises
    ------
    ServiceError
        Raised if a server does not start, the port that was asked for is in
        use, the disk is full, or a demo runs in the folder already.
    RunError
        Raised if the reduction failed.
    """
    folder = DemoFolder(options.folder)
    with _interruptible(), ExitStack() as stack:
        stack.enter_context(folder.claimed())
        if options.lab and options.port is not None:
            require_port(options.port)  # said now, not after minutes of building
        console.say(f"lenticular demo in {folder.path}")
        _tidy(folder, options, console)
        store = stack.enter_context(ObjectStoreProcess(folder.store, log=folder.logs / "object-store.log"))
        environment = _environment(folder, store.environment())
        os.environ.update(environment)
        folder.write_variables(environment)
        _settle(folder, options)
        workers = options.workers or default_workers()
        if not folder.finished("populated", options.recipe):
            store.make_bucket(BUCKET)
            in_child(build_repository, folder, options.size, options.seed, workers, options.recipe)
        stack.callback(_cancel_runs, folder)
        reduce_survey(folder, workers, options.recipe, console)
        if options.command:
            variables = {"JUPYTER_CONFIG_PATH": _before("JUPYTER_CONFIG_PATH", folder.settings)}
            return run_command(options.command, {**environment, **variables}, folder.notebooks)
        if options.lab:
            _serve(folder, environment, options, console)
    if not options.lab:
        console.say("The repository is ready; `lenticular demo` with the same folder opens it.")
    return 0


def _settle(folder: DemoFolder, options: DemoOptions) -> None:
    """Bring what depends on the folder's place and on this version up to date."""
    if folder.finished("created", options.recipe):
        add_label(LABEL, str(folder.repository.absolute()), folder.index)  # it may have been moved
    write_settings(folder.settings)
    copy_notebooks(tutorials_folder(), folder.notebooks)


def _before(variable: str, path: Path) -> str:
    """Return the value of a search path with one more folder at its beginning."""
    return os.pathsep.join(filter(None, (str(path.absolute()), os.environ.get(variable))))


def _serve(
    folder: DemoFolder, environment: Mapping[str, str], options: DemoOptions, console: Console
) -> None:
    lab = Lab(folder, choose_port(options.port), environment, browser=options.browser)
    try:
        with console.step("Starting JupyterLab"):
            lab.start()
        folder.tell_address(lab.url)
        console.hand_over(f"\nOpen  {lab.url}\n")
        console.say(f"ctrl-C here stops it; the repository stays in {folder.path}.")
        console.say(f"In another terminal, `source {folder.variables}` leads commands to it.")
        lab.wait()
    finally:
        lab.stop()


def _tidy(folder: DemoFolder, options: DemoOptions, console: Console) -> None:
    """Take away what an earlier demo left unfinished, and refuse to take away more."""
    if options.rebuild:
        console.say("  Taking away the earlier demo (notebooks are kept)")
        folder.clear()
    elif folder.outdated(options.recipe):
        raise ServiceError(
            f"This folder holds another demo: {folder.recipe or 'of an older layout'}",
            where=folder.path,
            hint=f"For {options.recipe}, choose another --folder, or replace what is there by --rebuild.",
        )
    if not folder.finished("reduced", options.recipe):
        folder.require_space()
    if folder.repository.exists() and not folder.finished("created", options.recipe):
        console.say("  An earlier attempt stopped half-way; going on from its beginning")
        shutil.rmtree(folder.repository)
        shutil.rmtree(folder.store, ignore_errors=True)


def _environment(folder: DemoFolder, store: Mapping[str, str]) -> dict[str, str]:
    return {
        **store,
        "DAF_BUTLER_REPOSITORY_INDEX": str(folder.index),
        RUNS_VARIABLE: str(folder.runs),
        "LENTICULAR_DEMO": LABEL,
    }


def _cancel_runs(folder: DemoFolder) -> None:
    runs = RunStore(folder.runs)
    for record in runs.list():
        run = runs.get(record.id)
        if not run.status().is_over:
            run.cancel()
            run.wait(timeout=20)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end us as ctrl-C does, so that servers are stopped."""

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
