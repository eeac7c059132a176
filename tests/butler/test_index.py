"""Labels of repositories."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from lenticular.butler import Repository, add_label, labels
from lenticular.butler.errors import ConfigurationError, RepositoryNotFoundError
from lenticular.butler.index import resolve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "index" / "repositories.yaml"
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(file))
    add_label("hsc", "s3://bucket/hsc", file)
    return file


@pytest.mark.usefixtures("index")
def test_a_label_stands_for_its_uri() -> None:
    assert resolve("hsc") == ("s3://bucket/hsc", "hsc")


def test_a_second_label_keeps_the_first(index: Path) -> None:
    add_label("dc2", "/data/dc2", index)
    assert dict(labels()) == {"hsc": "s3://bucket/hsc", "dc2": "/data/dc2"}


def test_labels_may_be_in_the_environment_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", "dp1: https://data/dp1")
    assert dict(labels()) == {"dp1": "https://data/dp1"}


@pytest.mark.usefixtures("index")
def test_an_unknown_label_names_those_nearest() -> None:
    with pytest.raises(RepositoryNotFoundError) as raised:
        Repository.open("hcs")
    assert raised.value.hint == "Did you mean hsc?"


def test_without_an_index_the_error_says_so() -> None:
    with pytest.raises(RepositoryNotFoundError, match="DAF_BUTLER_REPOSITORY_INDEX"):
        Repository.open("hsc")


@pytest.mark.parametrize("content", ["[1, 2]", "hsc: {a: 1}", "hsc: [", "just words"])
def test_a_malformed_index_is_a_clear_error(content: str, index: Path) -> None:
    index.write_text(content)
    with pytest.raises(ConfigurationError, match="label: uri"):
        labels()


def test_a_password_in_a_malformed_index_never_shows(index: Path) -> None:
    index.write_text("hsc: 'https://ana:pa55word@host/r\n")
    with pytest.raises(ConfigurationError, match="at line 2") as raised:
        labels()
    assert "pa55word" not in "".join(traceback.format_exception(raised.value))


def test_a_missing_index_is_a_clear_error(index: Path) -> None:
    index.unlink()
    with pytest.raises(ConfigurationError, match="Correct or unset"):
        labels()


@pytest.mark.parametrize("label", ["a b", "a/b", "", "a:b"])
def test_a_label_that_could_be_taken_for_a_path_is_refused(label: str, index: Path) -> None:
    with pytest.raises(ConfigurationError):
        add_label(label, "s3://bucket/x", index)


def test_a_broken_index_does_not_keep_one_from_opening_a_path(index: Path, tmp_path: Path) -> None:
    index.write_text("hsc: [")
    assert resolve(tmp_path) == (str(tmp_path), None)
    assert resolve(str(tmp_path)) == (str(tmp_path), None)
