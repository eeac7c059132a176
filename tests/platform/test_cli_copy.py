"""`lenticular copy-registry` from a shell's point of view."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from lenticular.butler import Repository, create_repository
from lenticular.butler.errors import RepositoryExistsError
from lenticular.platform.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    with create_repository(root) as made:
        made.butler.collections.register("a/run", doc="first")
    return root


def run(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, ["copy-registry", *map(str, arguments)])


def test_a_copy_is_made_and_can_be_opened(source: Path, tmp_path: Path) -> None:
    result = run(source, f"sqlite:///{tmp_path}/copy.sqlite3", "--root", tmp_path / "copy")
    assert result.exit_code == 0, result.output
    assert "row by row the same" in result.stdout
    assert "butler.yaml" in result.stdout
    with Repository.open(tmp_path / "copy") as copied:
        assert [info.name for info in copied.collections()] == ["a/run"]


def test_rows_that_differ_are_listed(source: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/copy.sqlite3"
    assert run(source, url).exit_code == 0
    assert run(source, url, "--verify-only").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as connection, connection:
        connection.execute("UPDATE collection SET doc = 'second'")
    result = run(source, url, "--verify-only")
    assert result.exit_code == 1
    assert "1 rows differ" in result.stdout
    assert "collection: collection_id=1 is changed in doc" in result.stderr


def test_a_database_with_something_in_it_is_refused(source: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/copy.sqlite3"
    run(source, url)
    result = run(source, url)
    assert isinstance(result.exception, RepositoryExistsError)
    assert "empty database" in str(result.exception.hint)
