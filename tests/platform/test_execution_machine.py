"""How many workers a machine, or a container, can bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lenticular.platform.execution import machine

if TYPE_CHECKING:
    from pathlib import Path

GIGA = 10**9


def test_without_a_limit_the_machines_free_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory(tmp_path) > 0


def test_a_containers_limit_counts_and_file_caches_are_free(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("500000000\n")
    (tmp_path / "memory.current").write_text("450000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 20000000\n")
    assert machine.available_memory(tmp_path) == 70_000_000


def test_the_older_kind_of_container_counts_too(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("300000000\n")
    (folder / "memory.usage_in_bytes").write_text("100000000\n")
    assert machine.available_memory(tmp_path) == 200_000_000


@pytest.mark.parametrize(
    ("processors", "memory", "workers"),
    [(2, 24 * GIGA, 2), (2, 1.5 * GIGA, 1), (4, 0, 1), (64, 500 * GIGA, 8), (4, 2.3 * GIGA, 3)],
)
def test_workers_fit_processors_and_memory(
    processors: int, memory: float, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    monkeypatch.setattr(machine, "available_memory", lambda: int(memory))
    assert machine.default_workers() == workers
