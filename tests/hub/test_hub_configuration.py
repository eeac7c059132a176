"""What an operator's settings become in JupyterHub's configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets.config import Config

from lenticular.butler.errors import ConfigurationError
from lenticular.platform.hub import Credentials, HubSettings, configure


def spawner(name: str, settings: HubSettings, c: Config | None = None) -> Any:
    """Return a user's spawner as JupyterHub makes it from the configuration."""
    c = Config() if c is None else c
    configure(c, settings)
    made = SimpleLocalProcessSpawner(config=c)
    made.user = SimpleNamespace(name=name)
    return made


def variables(name: str, settings: HubSettings) -> dict[str, str]:
    """Return the variables that a user's server is given, functions called as JupyterHub does."""
    made = spawner(name, settings)
    return {key: value(made) if callable(value) else value for key, value in made.environment.items()}


def test_the_index_and_the_runs_folder_reach_every_server() -> None:
    found = variables("ana", HubSettings(index="s3://survey/repositories.yaml"))
    assert found == {
        "DAF_BUTLER_REPOSITORY_INDEX": "s3://survey/repositories.yaml",
        "LENTICULAR_RUNS": "~/lenticular/runs",
    }


def test_files_with_credentials_are_each_users_own() -> None:
    credentials = Credentials(pgpass="/secrets/{username}/pgpass", aws_file="/secrets/shared")
    found = variables("ana", HubSettings(index="/r.yaml", credentials=credentials))
    assert found["PGPASSFILE"] == "/secrets/ana/pgpass"
    assert found["AWS_SHARED_CREDENTIALS_FILE"] == "/secrets/shared"


def test_a_role_is_taken_on_in_the_users_name() -> None:
    credentials = Credentials(role="arn:aws:iam::123456789012:role/astronomer", identity_file="/token")
    found = variables("ana maría@example.org", HubSettings(index="/r.yaml", credentials=credentials))
    expected = {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/astronomer",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "AWS_ROLE_SESSION_NAME": "lenticular-ana-mar-a@example.org",
    }
    assert found.items() >= expected.items()


@given(name=st.text(min_size=1))
def test_every_user_has_a_session_name_that_sts_takes(name: str) -> None:
    credentials = Credentials(role="arn:aws:iam::123456789012:role/astronomer", identity_file="/token")
    session = variables(name, HubSettings(index="/r.yaml", credentials=credentials))["AWS_ROLE_SESSION_NAME"]
    assert 2 <= len(session) <= 64
    assert all(letter.isascii() and (letter.isalnum() or letter in "_+=,.@-") for letter in session)


@pytest.mark.parametrize("name", ["../benoit", "a/b", "..", "."])
def test_a_name_cannot_lead_to_the_files_of_another(name: str) -> None:
    settings = HubSettings(index="/r.yaml", credentials=Credentials(pgpass="/secrets/{username}/pgpass"))
    with pytest.raises(ConfigurationError, match="cannot be part of a path"):
        variables(name, settings)


def test_what_the_operator_has_set_is_added_to() -> None:
    c = Config()
    c.Spawner.environment.update({"OWN": "1"})
    c.Spawner.args.extend(["--own"])
    made = spawner("ana", HubSettings(index="/r.yaml"), c)
    assert made.environment["OWN"] == "1"
    assert "LENTICULAR_RUNS" in made.environment
    assert made.args[0] == "--own"
    assert "--LenticularApp.read_only=True" in made.args


def test_limits_and_idle_times_are_handed_on() -> None:
    settings = HubSettings(
        index="/r.yaml", memory="1.5G", launch=True, kernel_idle_minutes=10, server_idle_minutes=30
    )
    made = spawner("ana", settings)
    assert made.mem_limit == 1.5 * 2**30
    assert made.default_url == "/lab"
    assert made.args == [
        "--LenticularApp.read_only=False",
        "--MappingKernelManager.cull_idle_timeout=600",
        "--ServerApp.shutdown_no_activity_timeout=1800",
    ]


def test_without_idle_times_nothing_is_ended() -> None:
    made = spawner("ana", HubSettings(index="/r.yaml", kernel_idle_minutes=0))
    assert made.args == ["--LenticularApp.read_only=True"]


@pytest.mark.parametrize(
    "given",
    [
        {"index": "/r.yaml", "environment": {"AWS_SECRET_ACCESS_KEY": "hunter2"}},
        {"index": "/r.yaml", "environment": {"DATABASE": "postgresql://me:hunter2@db/registry"}},
        {"index": "https://me:hunter2@example.org/r.yaml"},
    ],
)
def test_a_secret_among_the_settings_is_refused_and_not_repeated(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="hold a secret") as raised:
        HubSettings(**given)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "given", [{"memory": "much"}, {"memory": ""}, {"kernel_idle_minutes": -1}, {"server_idle_minutes": -5}]
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        HubSettings(index="/r.yaml", **given)


@pytest.mark.parametrize("given", [{"role": "arn:aws:iam::1:role/a"}, {"identity_file": "/token"}])
def test_a_role_needs_its_identity_file(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="belong together"):
        Credentials(**given)
