"""Runs on repositories as hosted hubs have them: PostgreSQL for the registry, S3 for the files."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from lsst.daf.butler import Butler

from lenticular.butler import create_repository
from lenticular.pipelines.graph import ConfigOverride, GraphRequest
from lenticular.platform.runs import RunState, RunStore, launch
from tests.fixtures_services import POSTGRES_MAJORS
from tests.trivial.repository import ROOT_VARIABLES, SEEDS, fill_repository, write_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lenticular.platform.services import ObjectStore, PostgresServer

PATIENCE = 600.0
"""Seconds after which a test gives up; none of them counts on it."""


@pytest.mark.parametrize(
    ("store", "major"),
    # Each store and each version once: a run starts several processes.
    [("object_store", POSTGRES_MAJORS[-1].major), ("seaweed_server", POSTGRES_MAJORS[0].major)],
    ids=["moto", "seaweedfs"],
)
def test_a_run_fails_is_restarted_and_succeeds(
    store: str,
    major: int,
    request: pytest.FixtureRequest,
    postgres_servers: Callable[[int], PostgresServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unique = f"runs{uuid.uuid4().hex[:12]}"
    server: ObjectStore = request.getfixturevalue(store)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    repository = create_repository(
        tmp_path / "repository",
        database=postgres_servers(major).create_database(unique),
        datastore=f"{server.make_bucket(unique)}/files",
    )
    with repository:
        fill_repository(repository.butler, detectors=2)
    spoiled = tmp_path / "one-1.fail"
    spoiled.touch()
    pipeline = write_pipeline(tmp_path / "stages.yaml", ["one", "two"])
    overrides = tuple(ConfigOverride(stage, "scratch", str(tmp_path)) for stage in ("one", "two"))
    run = launch(
        str(tmp_path / "repository"),
        GraphRequest(pipeline, (SEEDS,), "u/ana", config=overrides),
        workers=1,
        store=RunStore(tmp_path / "runs"),
        environment=ROOT_VARIABLES,
    )
    first = run.wait(PATIENCE)
    spoiled.unlink()
    second = run.restart(environment=ROOT_VARIABLES).wait(PATIENCE)

    assert (first.state, first.succeeded) == (RunState.FAILED, 2)
    assert (second.state, second.succeeded) == (RunState.SUCCEEDED, 4)
    with Butler.from_config(str(tmp_path / "repository"), collections="u/ana") as butler:
        values = [butler.get("two_out", instrument="Toy", detector=number)["value"] for number in range(2)]
        schemes = {butler.getURI("two_out", instrument="Toy", detector=number).scheme for number in range(2)}
    assert values == [2, 102]
    assert schemes == {"s3"}
