"""Runs: how they stand, and starting, cancelling and restarting them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lenticular.butler.redact import redact
from lenticular.platform.runs import Run as LaunchedRun
from lenticular.platform.runs import RunState, launch
from lenticular.platform.server.answers.pipelines import graph_request
from lenticular.platform.server.models.runs import (
    Failure,
    LaunchQuestion,
    Run,
    RunDetails,
    RunQuestion,
    Runs,
    RunsQuestion,
    RunTask,
)
from lenticular.platform.server.problems import ParameterError

if TYPE_CHECKING:
    from pathlib import Path

    from lenticular.platform.runs import FailureGroup, RunRecord, RunStatus
    from lenticular.platform.server.access import Access

__all__ = ["cancel_run", "describe_run", "launch_run", "list_runs", "restart_run"]

_TAIL_BYTES = 8192
_LOGS_SHOWN = 5
_RESTARTABLE = (RunState.FAILED, RunState.CANCELLED, RunState.LOST)


def list_runs(access: Access, question: RunsQuestion) -> Runs:
    """List the runs of this server's user, the latest first."""
    records = access.runs.store.list()
    begin = 0
    if question.before is not None:
        places = {record.id: place for place, record in enumerate(records)}
        if question.before not in places:
            raise ParameterError(
                "The parameter 'before' names no run", where=question.before, hint="List from the beginning."
            )
        begin = places[question.before] + 1
    page = records[begin : begin + question.limit]
    return Runs(runs=tuple(Run(**_fields(access, record)) for record in page), total=len(records))


def describe_run(access: Access, question: RunQuestion) -> RunDetails:
    """Say how a run stands, what failed, and what its driver had to say."""
    record = access.runs.record(question.id)
    status = access.runs.status(record)
    return RunDetails(
        **_fields(access, record, status),
        inputs=record.request.inputs,
        where=redact(record.where),
        workers=record.workers,
        failures=tuple(_failure(place, group) for place, group in enumerate(status.failures)),
        log_tail=_tail(record.driver_log_path),
    )


def launch_run(access: Access, question: LaunchQuestion) -> Run:
    """Start a run and return at once; its driver lives on without this server."""
    request = graph_request(access, question, output=question.output)
    with access.repositories.use(question.label):  # a wrong label is told now, not by the driver
        target = access.repositories.launchable(question.label)
    run = launch(target, request, workers=question.workers, store=access.runs.store)
    return Run(**_fields(access, run.record))


def cancel_run(access: Access, question: RunQuestion) -> Run:
    """Ask a run to stop; what succeeded is kept."""
    record = access.runs.record(question.id)
    LaunchedRun(record).cancel()
    return Run(**_fields(access, record))


def restart_run(access: Access, question: RunQuestion) -> Run:
    """Do what is left of a run that is over."""
    record = access.runs.record(question.id)
    LaunchedRun(record).restart()
    return Run(**_fields(access, record))


def _fields(access: Access, record: RunRecord, known: RunStatus | None = None) -> dict[str, Any]:
    status = access.runs.status(record) if known is None else known
    allowed = not access.read_only and os.access(record.folder, os.W_OK)
    return {
        "id": record.id,
        "state": status.state,
        "phase": status.phase,
        "output_run": record.output_run,
        "pipeline": access.pipeline_name(record.pipeline),
        "label": access.repositories.label_of(record.repository),
        "created": record.created,
        "started": status.started,
        "ended": status.finished,
        "tasks": tuple(
            RunTask(
                label=task.label,
                quanta=task.total,
                waiting=task.waiting,
                running=task.running,
                succeeded=task.succeeded,
                failed=task.failed,
                blocked=task.blocked,
                cancelled=task.cancelled,
                mean_seconds=task.mean_seconds,
            )
            for task in status.tasks
        ),
        "progress": status.fraction,
        "eta_seconds": status.eta_seconds,
        "error": None if status.error is None else redact(status.error),
        "can_cancel": allowed and not status.is_over and not record.cancel_path.exists(),
        "can_restart": allowed and status.state in _RESTARTABLE,
    }


def _failure(place: int, group: FailureGroup) -> Failure:
    from pathlib import Path

    log = Path(group.log) if group.log and place < _LOGS_SHOWN else None
    return Failure(
        task=group.task,
        error=group.error,
        message=redact(group.message),
        count=group.count,
        quantum=group.quantum,
        data_id=group.data_id,
        log_tail="" if log is None else _tail(log),
    )


def _tail(path: Path) -> str:
    """Return the end of a log, from the first whole line on, without credentials."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return redact(text if size <= _TAIL_BYTES else text.partition("\n")[2])
