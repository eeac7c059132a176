"""What an address may ask of a served view, and what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler import add_label, create_repository
from lenticular.butler.errors import DataError, RepositoryNotFoundError, RunNotFoundError
from lenticular.platform.server.views import configure_views, served_views
from lenticular.widgets.serve.arguments import ViewArguments, theme_of
from lenticular.widgets.serve.builders import make, open_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("label", "collection", "run", "dataset_type", "instrument", "visit", "detector", "theme", "token")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository index with the label ``toy``, and a folder ``stray`` beside it."""
    create_repository(tmp_path / "toy").close()
    create_repository(tmp_path / "stray").close()
    add_label("toy", str(tmp_path / "toy"), tmp_path / "index.yaml")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(tmp_path / "index.yaml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def _settings() -> Iterator[None]:
    yield
    configure_views()


def test_an_address_names_repository_collections_and_data_id() -> None:
    arguments = ViewArguments.parse(
        {"label": [b"demo"], "collection": [b"a/b, c", b"d"], "visit": [b"12"], "instrument": [b"Toy"]}
    )
    assert arguments.label == "demo"
    assert arguments.collections == ("a/b", "c", "d")
    assert arguments.data_id == {"instrument": "Toy", "visit": 12}


def test_a_token_in_the_address_is_not_kept() -> None:
    assert "secret" not in repr(ViewArguments.parse({"token": [b"secret"], "label": [b"demo"]}))


@pytest.mark.parametrize("text", [b"x", b"-1", b"1e3", b"1" * 30, "٣".encode()])
def test_a_visit_that_is_no_number_is_told(text: bytes) -> None:
    with pytest.raises(DataError, match="is not a visit"):
        ViewArguments.parse({"visit": [text]})


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.binary(max_size=12), max_size=3)))
def test_whatever_stands_in_an_address_is_read_or_refused(arguments: dict[str, list[bytes]]) -> None:
    assert theme_of(arguments) in ("light", "dark")
    try:
        parsed = ViewArguments.parse(arguments)
    except DataError:
        return
    assert all(isinstance(parsed.data_id.get(name, 0), int) for name in ("visit", "detector"))


def test_a_label_of_the_index_is_opened(index: Path) -> None:
    repository = open_repository("workbench", ViewArguments(label="toy"))
    assert repository is not None
    with repository:
        assert repository.label == "toy"
        assert Path(repository.uri) == index / "toy"


@pytest.mark.parametrize("target", ["", "stray", "./stray", "file:///tmp", "s3://bucket/root", "toy/"])
def test_what_is_no_label_is_not_opened(index: Path, target: str) -> None:
    assert (index / "stray").exists()
    with pytest.raises(RepositoryNotFoundError) as caught:
        open_repository("workbench", ViewArguments(label=target))
    assert caught.value.hint == "Known labels: toy."


def test_an_exposure_needs_a_collection(index: Path) -> None:
    assert index.exists()
    arguments = ViewArguments(label="toy")
    repository = open_repository("exposure", arguments)
    with pytest.raises(DataError, match="names no collection"):
        make("exposure", arguments, repository, read_only=True)
    assert repository is not None
    repository.close()


def test_a_run_that_is_not_recorded_is_told() -> None:
    with pytest.raises(RunNotFoundError):
        make("run", ViewArguments(run="20010101"), None, read_only=True)


@pytest.mark.usefixtures("_settings")
def test_settings_reach_the_process_unaltered() -> None:
    uri = "postgresql://ada:{pa}ss@db/registry"
    configure_views(repositories={"hers": uri}, runs="/runs/{x}", read_only=False)
    settings = served_views()
    command = [part.format(unix_socket="SOCKET") for part in settings["command"]()]
    environment = {name: value.format() for name, value in settings["environment"]().items()}
    assert command[-3:] == ["--unix-socket", "SOCKET", "--allow-runs"]
    assert uri not in " ".join(command)
    assert environment == {"DAF_BUTLER_REPOSITORIES": f'{{"hers": "{uri}"}}', "LENTICULAR_RUNS": "/runs/{x}"}


def test_runs_are_only_looked_at_unless_told_otherwise() -> None:
    assert "--read-only" in served_views()["command"]()
    assert served_views()["environment"]() == {}
