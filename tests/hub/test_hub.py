"""Two users on a JupyterHub that really runs: what each of them sees, and what nobody does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.hub.conftest import USERS, page_settings

if TYPE_CHECKING:
    from tests.hub.conftest import RunningHub, Visitor

pytestmark = pytest.mark.slow


def test_a_bad_password_is_refused(hub: RunningHub) -> None:
    stranger = hub.visitor()
    assert stranger.log_in("ana", "guessed") == 403
    assert "jupyter-config-data" not in stranger.get("user/ana/lab")[1]


@pytest.mark.parametrize("name", USERS)
def test_a_user_finds_the_extension_in_jupyterlab(users: dict[str, Visitor], name: str) -> None:
    status, page = users[name].get(f"user/{name}/lab")
    assert status == 200
    names = [extension["name"] for extension in page_settings(page)["federated_extensions"]]
    assert "@lenticular/labextension" in names


@pytest.mark.parametrize("name", USERS)
def test_a_user_sees_the_repositories_of_the_hub(users: dict[str, Visitor], name: str) -> None:
    status, answer = users[name].get(f"user/{name}/lenticular/api/repositories")
    assert status == 200, answer
    assert [found["label"] for found in json.loads(answer)["repositories"]] == ["survey"]
    assert json.loads(answer)["read_only"]


@pytest.mark.parametrize("name", USERS)
def test_a_user_sees_their_own_runs_alone(hub: RunningHub, users: dict[str, Visitor], name: str) -> None:
    status, answer = users[name].get(f"user/{name}/lenticular/api/runs")
    assert status == 200, answer
    shown = [(run["id"], run["output_run"]) for run in json.loads(answer)["runs"]]
    (own,) = hub.runs(name).list()
    assert shown == [(own.id, own.output_run)]


def test_a_user_cannot_ask_the_server_of_another(users: dict[str, Visitor]) -> None:
    status, answer = users["ana"].get("user/benoit/lenticular/api/runs")
    assert status == 403
    assert "u/benoit" not in answer


def test_everything_ends_with_the_hub(hub: RunningHub, users: dict[str, Visitor]) -> None:
    assert users
    proxy = int((hub.folder / "proxy.pid").read_text())
    assert hub.servers()
    assert psutil.pid_exists(proxy)
    hub.process.stop()
    assert hub.servers() == []
    assert not psutil.pid_exists(proxy)
