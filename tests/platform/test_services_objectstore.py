"""What the demo's object store promises beyond S3: it restores itself and stays small."""

from __future__ import annotations

import json
import os
import socket
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from lenticular.butler.errors import PortInUseError, ServiceError
from lenticular.platform.services import ObjectStoreProcess, ObjectStoreServer, free_port, objectstore
from lenticular.platform.services._objects import BucketRecord, FileBytes, ObjectFolder, ObjectRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lenticular.platform.services import ObjectStore

DATA = bytes(range(256)) * 40
PART = 5 * 1024 * 1024


class Client:
    """A boto3 client that closes itself."""

    def __init__(self, server: ObjectStore) -> None:
        self.s3 = server.client()

    def __enter__(self) -> Any:
        return self.s3

    def __exit__(self, *_: object) -> None:
        self.s3.close()


def content(client: Any, bucket: str) -> dict[str, tuple[bytes, str, Any, str]]:
    """Return everything that a client can learn about the objects of a bucket."""
    found = {}
    for entry in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        answer = client.get_object(Bucket=bucket, Key=entry["Key"])
        facts = answer["Metadata"] | {"modified": str(answer["LastModified"])}
        found[entry["Key"]] = (answer["Body"].read(), answer["ETag"], facts, answer["ContentType"])
    return found


def fill(client: Any) -> None:
    """Store, replace, copy, upload in parts and delete."""
    client.create_bucket(Bucket="survey")
    client.create_bucket(Bucket="empty")
    client.create_bucket(Bucket="gone")
    client.delete_bucket(Bucket="gone")
    client.put_object(
        Bucket="survey", Key="raw/1 ü", Body=DATA, ContentType="image/fits", Metadata={"visit": "1"}
    )
    client.put_object(Bucket="survey", Key="twice", Body=b"old")
    client.put_object(Bucket="survey", Key="twice", Body=b"new", Metadata={"a_b": "c"})
    client.copy_object(Bucket="survey", Key="copy", CopySource="survey/twice")
    for key in ("doomed", "doomed2"):
        client.put_object(Bucket="survey", Key=key, Body=b"x")
    client.delete_object(Bucket="survey", Key="doomed")
    client.delete_objects(Bucket="survey", Delete={"Objects": [{"Key": "doomed2"}]})
    upload = client.create_multipart_upload(Bucket="survey", Key="big", Metadata={"m": "p"})["UploadId"]
    parts = []
    for number, data in ((1, b"a" * PART), (2, b"end")):
        answer = client.upload_part(Bucket="survey", Key="big", UploadId=upload, PartNumber=number, Body=data)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(
        Bucket="survey", Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
    )


def hung_up(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ObjectStoreServer]:
    with ObjectStoreServer(tmp_path / "store") as running:
        yield running


def test_a_restart_restores_everything(tmp_path: Path) -> None:
    with ObjectStoreServer(tmp_path) as first, Client(first) as client:
        fill(client)
        before = content(client, "survey")
    assert set(before) == {"raw/1 ü", "twice", "copy", "big"}
    with ObjectStoreServer(tmp_path) as second, Client(second) as client:
        assert content(client, "survey") == before
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["survey", "empty"]


def test_a_killed_process_has_lost_nothing_and_ends_its_files(tmp_path: Path) -> None:
    store = ObjectStoreProcess(tmp_path)
    with store, Client(store) as client:
        fill(client)
        before = content(client, "survey")
        psutil.Process(store.process.pid).kill()
        assert store.process.wait() == 128 + 9
    with store, Client(store) as client:
        assert content(client, "survey") == before
    assert len(list((tmp_path / "objects").iterdir())) == len(before)


def test_restored_objects_can_be_changed(tmp_path: Path) -> None:
    with ObjectStoreServer(tmp_path) as first, Client(first) as client:
        fill(client)
    with ObjectStoreServer(tmp_path) as second, Client(second) as client:
        client.put_object(Bucket="survey", Key="twice", Body=b"third")
        client.copy_object(Bucket="survey", Key="copy2", CopySource="survey/big")
        client.delete_object(Bucket="survey", Key="copy")
    with ObjectStoreServer(tmp_path) as third, Client(third) as client:
        assert set(content(client, "survey")) == {"raw/1 ü", "twice", "big", "copy2"}
        assert client.get_object(Bucket="survey", Key="twice")["Body"].read() == b"third"


def test_a_torn_last_line_is_ignored_and_not_glued_to(tmp_path: Path) -> None:
    with ObjectStoreServer(tmp_path) as first, Client(first) as client:
        client.create_bucket(Bucket="survey")
        client.put_object(Bucket="survey", Key="kept", Body=b"x")
    with (tmp_path / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"op":"delete","bucket":"survey","key":"ke')
    with ObjectStoreServer(tmp_path) as second, Client(second) as client:
        client.put_object(Bucket="survey", Key="next", Body=b"y")
    with ObjectStoreServer(tmp_path) as third, Client(third) as client:
        assert set(content(client, "survey")) == {"kept", "next"}


def test_a_damaged_manifest_is_refused_and_kept(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(b'{"op":"format","version":1}\nnonsense\n')
    with pytest.raises(ServiceError, match=r"line 2 of the manifest.*Restore"):
        ObjectStoreServer(tmp_path).start()
    assert manifest.read_bytes().endswith(b"nonsense\n")


def test_a_manifest_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(b'{"op":"format","version":2}\n')
    with pytest.raises(ServiceError, match="line 1 of the manifest"):
        ObjectStoreServer(tmp_path).start()


def test_an_object_whose_file_is_gone_is_not_offered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ObjectStoreServer(tmp_path) as first, Client(first) as client:
        client.create_bucket(Bucket="survey")
        for key in ("lost", "kept"):
            client.put_object(Bucket="survey", Key=key, Body=key.encode())
    for path in (tmp_path / "objects").iterdir():
        if path.read_bytes() == b"lost":
            path.unlink()
    with ObjectStoreServer(tmp_path) as second, Client(second) as client:
        assert set(content(client, "survey")) == {"kept"}
    assert "s3://survey/lost is lost" in caplog.text


def test_files_of_unfinished_changes_are_removed(tmp_path: Path) -> None:
    with ObjectStoreServer(tmp_path):
        (tmp_path / "objects" / "orphan").write_bytes(b"x")
        (tmp_path / "uploads" / "half").write_bytes(b"x")
    with ObjectStoreServer(tmp_path):
        assert list((tmp_path / "objects").iterdir()) == []
        assert list((tmp_path / "uploads").iterdir()) == []


def test_a_grown_manifest_is_compacted_at_the_start(tmp_path: Path) -> None:
    folder = ObjectFolder(tmp_path)
    folder.commit([BucketRecord("survey", "us-east-1", 1.0)])
    for number in range(300):
        name = folder.keep(folder.write(b"x"))
        folder.commit([ObjectRecord("survey", "k", name, 1, "etag", float(number))])
    folder.close()
    again = ObjectFolder(tmp_path)
    again.close()
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["op"] for line in lines] == ["format", "bucket", "put"]
    assert again.objects["survey", "k"].modified == 299.0
    assert len(list((tmp_path / "objects").iterdir())) == 1


CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from(["a", "b/c", "ü", 'q"\n']), st.binary()),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, cut=st.floats(0.0, 1.0))
def test_a_manifest_cut_anywhere_gives_an_earlier_state(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, bytes]], cut: float
) -> None:
    root = tmp_path_factory.mktemp("cut")
    folder = ObjectFolder(root)
    folder.commit([BucketRecord("b", "us-east-1", 1.0)])
    state: dict[str, bytes] = {}
    states = [dict(state)]
    for operation, key, data in changes:
        if operation == "put":
            file = folder.write(data)
            folder.commit([ObjectRecord("b", key, folder.keep(file), file.size, file.md5, 1.0)])
            state[key] = data
        else:
            folder.commit([("b", key)])
            state.pop(key, None)
        states.append(dict(state))
    folder.close()
    manifest = root / "manifest.jsonl"
    os.truncate(manifest, int(cut * manifest.stat().st_size))
    restored = ObjectFolder(root)
    found = {key: restored.path(record.file).read_bytes() for (_, key), record in restored.objects.items()}
    restored.close()
    assert found in [{}, *states]


def test_a_full_disk_is_an_error_to_the_client_and_loses_nothing(
    server: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(server) as client:
        client.create_bucket(Bucket="survey")
        client.put_object(Bucket="survey", Key="k", Body=b"old")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(ObjectFolder, "write", full)
            with pytest.raises(ClientError, match="No space left on device"):
                client.put_object(Bucket="survey", Key="k", Body=b"new")
        assert client.get_object(Bucket="survey", Key="k")["Body"].read() == b"old"


def test_a_manifest_that_could_not_be_written_is_written_with_the_next_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with ObjectStoreServer(tmp_path) as server, Client(server) as client:
        client.create_bucket(Bucket="survey")
        with monkeypatch.context() as patch:
            patch.setattr("lenticular.platform.services._objects._write_all", full)
            patch.setattr(ObjectFolder, "write", lambda folder, _: folder.join([]))
            with pytest.raises(ClientError):
                client.put_object(Bucket="survey", Key="a", Body=b"")
        client.put_object(Bucket="survey", Key="b", Body=b"")
    with ObjectStoreServer(tmp_path) as server, Client(server) as client:
        assert set(content(client, "survey")) == {"a", "b"}


def test_versioned_buckets_are_refused(server: ObjectStoreServer) -> None:
    with Client(server) as client:
        client.create_bucket(Bucket="survey")
        with pytest.raises(ClientError, match="does not keep versions"):
            client.put_bucket_versioning(Bucket="survey", VersioningConfiguration={"Status": "Enabled"})


def test_two_servers_in_one_process_do_not_mix(tmp_path: Path) -> None:
    with ObjectStoreServer(tmp_path / "a") as one, ObjectStoreServer(tmp_path / "b") as other:
        one.make_bucket("survey")
        other.make_bucket("survey")
        with Client(one) as client:
            client.put_object(Bucket="survey", Key="k", Body=b"x")
        with Client(other) as client:
            assert content(client, "survey") == {}


def test_moto_itself_is_left_alone(server: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.make_bucket("survey")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        ours = boto3.client("s3", region_name="us-east-1")
        assert ours.list_buckets()["Buckets"] == []
        ours.create_bucket(Bucket="survey")
        ours.close()
    with Client(server) as client:
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["survey"]


def test_a_second_server_on_a_folder_is_refused(server: ObjectStoreServer) -> None:
    with pytest.raises(ServiceError, match="another server uses this folder"):
        ObjectStoreServer(server.folder).start()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match="cannot be used") as caught:
        ObjectStoreServer(tmp_path / "file" / "store").start()
    assert caught.value.where == str(tmp_path / "file" / "store")


@pytest.mark.parametrize("kind", [ObjectStoreServer, ObjectStoreProcess])
def test_a_port_in_use_is_named(kind: type[ObjectStoreServer | ObjectStoreProcess], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"port {port} is in use.*choose another port"):
            kind(tmp_path, port=port).start()


def test_the_child_tells_its_parent_why_it_did_not_start(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(b"nonsense\n")
    with pytest.raises(ServiceError, match="line 1 of the manifest") as caught:
        ObjectStoreProcess(tmp_path).start()
    assert caught.value.where == str(tmp_path / "manifest.jsonl")


def test_a_stopped_server_releases_port_folder_and_clients(tmp_path: Path) -> None:
    port = free_port()
    server = ObjectStoreServer(tmp_path, port=port).start()
    with socket.create_connection(("127.0.0.1", port)) as client:
        server.stop()
        assert hung_up(client)
    with ObjectStoreServer(tmp_path, port=port) as again:
        assert again.endpoint == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("kind", [ObjectStoreServer, ObjectStoreProcess])
def test_a_server_that_does_not_run_has_no_endpoint(
    kind: type[ObjectStoreServer | ObjectStoreProcess], tmp_path: Path
) -> None:
    with pytest.raises(ServiceError, match=r"not running.*Call start\(\)"):
        _ = kind(tmp_path).endpoint


def test_a_bucket_name_that_is_not_allowed_is_explained(server: ObjectStoreServer) -> None:
    with pytest.raises(ServiceError, match="3 to 63 small letters"):
        server.make_bucket("ab")


@pytest.mark.parametrize("version", ["4.2.14", "6.0.1"])
def test_an_unknown_moto_is_refused(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectstore, "version", lambda _: version)
    with pytest.raises(ServiceError, match=r"not supported.*pip install"):
        ObjectStoreServer(tmp_path).start()


def test_a_missing_moto_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(objectstore, "version", missing)
    with pytest.raises(ServiceError, match=r"not installed.*pip install 'lenticular\[demo\]'"):
        ObjectStoreServer(tmp_path).start()


def test_memory_does_not_grow_with_the_data(object_store: ObjectStoreProcess, bucket: str) -> None:
    process = psutil.Process(object_store.process.pid)
    with Client(object_store) as client:
        client.put_object(Bucket=bucket, Key="first", Body=bytes(8 << 20))
        before = process.memory_info().rss
        for number in range(24):
            client.put_object(Bucket=bucket, Key=f"k{number}", Body=bytes(8 << 20))
        for number in range(24):
            body = client.get_object(Bucket=bucket, Key=f"k{number}")["Body"]
            assert sum(len(block) for block in body.iter_chunks(1 << 20)) == 8 << 20
    assert process.memory_info().rss - before < 64 << 20  # of 192 MiB written and read


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=300), start=st.integers(-310, 310), stop=st.integers(-310, 310))
def test_slices_of_a_file_are_those_of_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: int, stop: int
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "file"
    path.write_bytes(data)
    content = FileBytes(path)
    path.unlink()
    assert content[start:stop] == data[start:stop]
    assert (len(content), bytes(memoryview(content)), b"".join(content.blocks())) == (len(data), data, data)
