"""Drawing how the tasks of a graph depend on each other."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

from lenticular.widgets.colours import ACCENT, INK, MUTED, tint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lenticular.pipelines.graph import GraphPreview

__all__ = ["draw_tasks", "task_links"]

_HEIGHT, _GAP, _ROW = 54, 190, 84
_LETTER, _PADDING = 7.8, 28
_LABEL = 26
"""Characters of a dataset type's name that fit between two boxes."""


def task_links(preview: GraphPreview) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return which dataset types go from one task to another.

    Parameters
    ----------
    preview
        The graph.

    Returns
    -------
    dict
        Names of dataset types by pair of task labels, writer and reader.
    """
    writers = {edge.dataset_type: edge.task for edge in preview.edges if not edge.reads}
    links: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for edge in preview.edges:
        writer = writers.get(edge.dataset_type.partition(".")[0], writers.get(edge.dataset_type))
        if edge.reads and writer is not None and writer != edge.task:
            links[writer, edge.task].append(edge.dataset_type)
    return {pair: tuple(names) for pair, names in links.items()}


def draw_tasks(preview: GraphPreview) -> str:
    """Return a drawing of the tasks, left to right in the order of their running.

    Parameters
    ----------
    preview
        The graph.

    Returns
    -------
    str
        An SVG element that shrinks with the page.
    """
    links = task_links(preview)
    box = round(max((len(task.label) for task in preview.tasks), default=0) * _LETTER + _PADDING)
    columns = _columns([task.label for task in preview.tasks], links)
    places = {
        label: (column * (box + _GAP) + 2, row * _ROW + 2)
        for column, labels in enumerate(columns)
        for row, label in enumerate(labels)
    }
    width = len(columns) * (box + _GAP) - _GAP + 4
    height = max(map(len, columns), default=0) * _ROW - (_ROW - _HEIGHT) + 4
    arrows = "".join(_arrow(places[start], places[end], box, names) for (start, end), names in links.items())
    quanta = {task.label: task.quanta for task in preview.tasks}
    boxes = "".join(_box(x, y, box, label, quanta[label]) for label, (x, y) in places.items())
    marker = (
        '<defs><marker id="lv-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0 L8 4 L0 8 z" style="fill: {MUTED}"/></marker></defs>'
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" style="width: 100%; max-width: {width}px" role="img" '
        f'aria-label="Tasks and what passes between them" font-family="inherit">{marker}{arrows}{boxes}</svg>'
    )


def _columns(labels: Sequence[str], links: Mapping[tuple[str, str], object]) -> list[list[str]]:
    """Arrange tasks so that each stands to the right of those it waits for."""
    rank: dict[str, int] = {}
    for label in labels:  # in the order of their running, so writers come first
        before = [rank[start] for start, end in links if end == label and start in rank]
        rank[label] = 1 + max(before, default=-1)
    columns: list[list[str]] = [[] for _ in range(1 + max(rank.values(), default=-1))]
    for label in labels:
        columns[rank[label]].append(label)
    return columns


def _box(x: float, y: float, width: float, label: str, quanta: int) -> str:
    noun = "quantum" if quanta == 1 else "quanta"
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{_HEIGHT}" rx="5" '
        f'style="fill: {tint(ACCENT, 9)}; stroke: {ACCENT}"/>'
        f'<text x="{x + width / 2}" y="{y + 23}" text-anchor="middle" font-size="13" font-weight="600" '
        f'style="fill: {INK}">{escape(label)}</text>'
        f'<text x="{x + width / 2}" y="{y + 42}" text-anchor="middle" font-size="12" style="fill: {MUTED}">'
        f"{quanta:,} {noun}</text>"
    )


def _arrow(start: tuple[float, float], end: tuple[float, float], width: float, names: Sequence[str]) -> str:
    x0, y0 = start[0] + width, start[1] + _HEIGHT / 2
    x1, y1 = end[0], end[1] + _HEIGHT / 2
    name = names[0] if len(names[0]) <= _LABEL else names[0][: _LABEL - 1] + "…"
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    middle = (x0 + x1) / 2
    return (
        f'<path d="M{x0} {y0} C{middle} {y0} {middle} {y1} {x1 - 2} {y1}" fill="none" '
        f'style="stroke: {MUTED}" marker-end="url(#lv-tip)"/>'
        f'<text x="{middle}" y="{(y0 + y1) / 2 - 7}" text-anchor="middle" font-size="11" '
        f'style="fill: {MUTED}">'
        f"<title>{escape(', '.join(names))}</title>{escape(name)}{more}</text>"
    )
