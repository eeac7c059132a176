"""Object stores that are overloaded, away, silent or cut off, as seen through upstream's Butler."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lenticular.butler import Repository, create_repository
from lenticular.butler.columns import query_data_ids
from lenticular.butler.errors import QueryCancelledError, StoreUnreachableError
from lenticular.butler.guard import guarded, objectstore
from lenticular.platform.services import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lenticular.platform.services import ObjectStoreProcess

TEXT = "x" * 300_000
HALF = len(TEXT) // 2


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    """Make the patience with stores short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectstore, "ATTEMPTS", 2)
        patch.setattr(objectstore, "SILENCE", 0.5)
        yield


@pytest.fixture(scope="module")
def proxy(object_store: ObjectStoreProcess) -> Iterator[FaultProxy]:
    """Return a proxy before the store."""
    with FaultProxy(object_store.endpoint, http=True) as started:
        yield started


@pytest.fixture
def _store(object_store: ObjectStoreProcess, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead every client to the proxy, and switch upstream's cache of files off."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, proxy.endpoint if value == object_store.endpoint else value)
    monkeypatch.setenv("DAF_BUTLER_CACHE_EXPIRATION_MODE", "disabled")
    proxy.faults.clear()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return a place for the root of the one repository."""
    return [tmp_path_factory.mktemp("store") / "repository"]


@pytest.fixture
def repository(_store: None, made: list[Path], object_store: ObjectStoreProcess) -> Iterator[Repository]:
    """Return a repository with one dataset in the store."""
    (root,) = made
    if not root.exists():
        _fill(root, f"{object_store.make_bucket('spoiled')}/files")
    with Repository.open(root) as opened:
        _ = opened.butler
        yield opened


def _fill(root: Path, datastore: str) -> None:
    from lsst.daf.butler import DatasetType

    with create_repository(root, datastore=datastore) as repository:
        butler = repository.butler
        kind = DatasetType("note", (), "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        butler.collections.register("run")
        butler.put({"text": TEXT}, kind, run="run")


def get(repository: Repository) -> object:
    """Get the dataset, from the store each time."""
    return repository.read_butler(lambda butler: butler.get("note", collections="run"))


def exists(repository: Repository) -> bool:
    """Ask upstream whether the dataset's file is there."""
    return bool(repository.butler.getURI("note", collections="run").exists())


def test_a_store_that_is_slowed_down_now_and_then_is_not_noticed(
    repository: Repository, proxy: FaultProxy
) -> None:
    before = proxy.counters.slow_downs
    proxy.faults.slow_down_every = 2
    for _ in range(2):
        assert get(repository) == {"text": TEXT}
    assert proxy.counters.slow_downs > before


def test_a_store_that_is_always_overloaded_is_told(repository: Repository, proxy: FaultProxy) -> None:
    proxy.faults.slow_down_every = 1
    before = proxy.counters.requests
    with pytest.raises(StoreUnreachableError, match=r"answers 503 \(2 attempts") as raised:
        exists(repository)
    assert proxy.counters.requests == before + 2
    assert proxy.endpoint in str(raised.value)
    with pytest.raises(StoreUnreachableError, match="answers 503 SlowDown"):
        get(repository)


def test_a_store_that_is_away_is_told(repository: Repository, proxy: FaultProxy) -> None:
    proxy.faults.refuse = True
    with pytest.raises(StoreUnreachableError, match="cannot be reached"):
        exists(repository)
    with pytest.raises(StoreUnreachableError, match="cannot be reached"):
        get(repository)


def test_a_store_that_is_silent_is_told(repository: Repository, proxy: FaultProxy) -> None:
    proxy.faults.stall_after = 0
    with pytest.raises(StoreUnreachableError, match="does not answer"):
        exists(repository)


def test_a_store_that_falls_silent_in_the_middle_of_an_object_is_told(
    repository: Repository, proxy: FaultProxy
) -> None:
    proxy.faults.stall_after = HALF
    with pytest.raises(StoreUnreachableError, match="silent in the middle"):
        get(repository)


def test_an_object_that_is_cut_off_once_is_read_anew(repository: Repository, proxy: FaultProxy) -> None:
    before, over = proxy.counters.resets, threading.Event()

    def mend() -> None:
        while proxy.counters.resets == before and not over.is_set():
            os.sched_yield()
        proxy.faults.clear()

    proxy.faults.reset_after = HALF
    mending = threading.Thread(target=mend)
    mending.start()
    try:
        assert get(repository) == {"text": TEXT}
    finally:
        over.set()
        mending.join()
    assert proxy.counters.resets == before + 1


def test_an_object_that_is_cut_off_again_and_again_is_told(repository: Repository, proxy: FaultProxy) -> None:
    proxy.faults.reset_after = HALF
    with pytest.raises(StoreUnreachableError, match="broke off 2 times"):
        get(repository)
    proxy.faults.clear()
    assert get(repository) == {"text": TEXT}


def test_nothing_is_asked_of_a_store_for_what_is_cancelled(repository: Repository, proxy: FaultProxy) -> None:
    cancel = threading.Event()
    uri = repository.butler.getURI("note", collections="run")
    before = proxy.counters.requests
    cancel.set()
    with pytest.raises(QueryCancelledError), guarded(cancel=cancel):
        uri.exists()
    assert proxy.counters.requests == before


def test_what_is_known_of_a_dataset_needs_no_store(repository: Repository, proxy: FaultProxy) -> None:
    from lenticular.butler.browse import read_details

    (ref,) = repository.butler.query_datasets("note", "run")
    proxy.faults.refuse = True
    assert read_details(repository, ref.id).artifacts


def test_clients_of_other_stores_stay_upstreams(repository: Repository) -> None:
    from lsst.resources import s3utils

    def patience(client: Any) -> float:
        return float(client.meta.config.read_timeout)

    uri: Any = repository.butler.getURI("note", collections="run")
    endpoint = s3utils._EndpointConfig("http://127.0.0.1:9", "key", "secret")
    assert uri.client is s3utils.getS3Client()
    assert patience(uri.client) == objectstore.SILENCE
    assert patience(s3utils._get_s3_client(endpoint, skip_validation=False)) == 180


@pytest.mark.usefixtures("_store")
def test_questions_to_the_registry_need_no_store(proxy: FaultProxy, bucket: str, tmp_path: Path) -> None:
    create_repository(tmp_path, datastore=f"s3://{bucket}/files").close()
    proxy.faults.refuse = True
    with Repository.open(tmp_path, timeout=0.5) as repository:
        assert query_data_ids(repository, "instrument").num_rows == 0
        with repository.clone() as other:
            assert query_data_ids(other, "instrument").num_rows == 0
        with pytest.raises(StoreUnreachableError):
            _ = repository.butler
