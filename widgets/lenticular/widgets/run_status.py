"""A run's status as HTML: one bar for all, one line per task."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lenticular.butler.redact import redact
from lenticular.widgets.look import STATE_COLOURS, notice

if TYPE_CHECKING:
    from lenticular.platform.runs import RunRecord, RunStatus, TaskStatus

__all__ = ["describe_status"]

_MINUTE = 60


def describe_status(status: RunStatus, record: RunRecord) -> str:
    """Return a run's status as HTML.

    Parameters
    ----------
    status
        The status.
    record
        The run's record.
    """
    parts = [_headline(status), _bar({name: _sum(status, name) for name in STATE_COLOURS}, status.fraction)]
    if status.tasks:
        parts += [_legend(status), _tasks(status)]
    if status.error:
        parts.append(notice(redact(status.error)))
    elapsed = ""
    if status.started is not None and status.finished is not None:
        elapsed = f" &middot; took {_duration((status.finished - status.started).total_seconds())}"
    parts.append(
        f'<div class="lv-sub" style="margin-top: 8px">run <code>{escape(record.id)}</code> &middot; '
        f"outputs in <code>{escape(record.output_run)}</code>{elapsed}</div>"
    )
    return "".join(parts)


def _headline(status: RunStatus) -> str:
    to_go = ""
    if status.eta_seconds and not status.is_over:
        to_go = f", about {_duration(status.eta_seconds)} to go"
    phase = f" &middot; {escape(status.phase)}" if status.phase else ""
    return (
        f'<div style="margin-bottom: 6px"><span class="lv-figure">{status.fraction:.0%}</span> '
        f"<b>{escape(status.state)}</b>{phase}{to_go}</div>"
    )


def _sum(status: RunStatus, state: str) -> int:
    return sum(getattr(task, state) for task in status.tasks)


def _bar(counts: dict[str, int], fraction: float) -> str:
    total = sum(counts.values())
    pieces = "".join(
        f'<span style="width: {100 * counts[name] / total:.2f}%; background: {colour}"></span>'
        for name, colour in STATE_COLOURS.items()
        if total and counts[name]
    )
    percent = round(100 * fraction)
    return (
        f'<div class="lv-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-label="{percent} % of the quanta have ended">{pieces}</div>'
    )


def _legend(status: RunStatus) -> str:
    entries = "".join(
        f'<span style="margin-right: 14px"><span style="display: inline-block; width: 9px; height: 9px; '
        f'border-radius: 2px; background: {colour}; margin-right: 5px"></span>'
        f"{name} {_sum(status, name):,}</span>"
        for name, colour in STATE_COLOURS.items()
        if _sum(status, name)
    )
    return f'<div class="lv-sub" style="margin: 6px 0 10px">{entries}</div>'


def _tasks(status: RunStatus) -> str:
    head = (
        '<tr><th>task</th><th style="width: 30%"></th><th class="n">done</th>'
        '<th class="n">mean time</th><th class="n">CPU</th><th class="n">peak memory</th></tr>'
    )
    return f'<table class="lv">{head}{"".join(map(_task, status.tasks))}</table>'


def _task(task: TaskStatus) -> str:
    counts = {name: getattr(task, name) for name in STATE_COLOURS}
    ended = task.total - task.waiting - task.running
    mean = "" if task.mean_seconds is None else _duration(task.mean_seconds)
    cpu = _duration(task.cpu_seconds) if task.cpu_seconds else ""
    memory = f"{task.peak_memory / 1e6:,.0f} MB" if task.peak_memory else ""
    return (
        f"<tr><td>{escape(task.label)}</td><td>{_bar(counts, ended / task.total if task.total else 0)}</td>"
        f'<td class="n">{ended:,} of {task.total:,}</td><td class="n">{mean}</td><td class="n">{cpu}</td>'
        f'<td class="n">{memory}</td></tr>'
    )


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004  as one would say it
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s"
