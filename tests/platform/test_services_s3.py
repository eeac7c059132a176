"""The same behaviour of every S3 server: those on which the other tests build."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from lenticular.platform.services import ObjectStore

PART = 5 * 1024 * 1024
DATA = bytes(range(256)) * 40


def failure(call: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def body(client: Any, bucket: str, key: str, **options: Any) -> bytes:
    content: bytes = client.get_object(Bucket=bucket, Key=key, **options)["Body"].read()
    return content


def keys(client: Any, bucket: str, **options: Any) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket, **options).get("Contents", [])]


def upload_in_parts(client: Any, bucket: str, key: str, parts: list[bytes]) -> str:
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    done = []
    for number, part in enumerate(parts, start=1):
        answer = client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    answer = client.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
    )
    etag: str = answer["ETag"]
    return etag


def test_an_object_comes_back_with_its_headers(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(
        Bucket=s3_bucket, Key="a/b c+ü.fits", Body=DATA, ContentType="image/fits", Metadata={"visit": "42"}
    )
    answer = s3_client.get_object(Bucket=s3_bucket, Key="a/b c+ü.fits")
    assert answer["Body"].read() == DATA
    assert answer["ContentType"] == "image/fits"
    assert answer["Metadata"] == {"visit": "42"}


def test_the_etag_is_the_md5(s3_client: Any, s3_bucket: str) -> None:
    etag = s3_client.put_object(Bucket=s3_bucket, Key="k", Body=DATA)["ETag"]
    assert etag == f'"{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"'
    assert s3_client.head_object(Bucket=s3_bucket, Key="k")["ETag"] == etag


def test_an_empty_object_is_an_object(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="empty", Body=b"")
    assert body(s3_client, s3_bucket, "empty") == b""
    assert s3_client.head_object(Bucket=s3_bucket, Key="empty")["ContentLength"] == 0


@pytest.mark.parametrize(
    ("asked", "expected", "shown"),
    [
        ("bytes=0-0", DATA[:1], "bytes 0-0/10240"),
        ("bytes=100-199", DATA[100:200], "bytes 100-199/10240"),
        ("bytes=10000-", DATA[10000:], "bytes 10000-10239/10240"),
        ("bytes=-7", DATA[-7:], "bytes 10233-10239/10240"),
        ("bytes=10200-99999", DATA[10200:], "bytes 10200-10239/10240"),
    ],
)
def test_a_range_is_read(s3_client: Any, s3_bucket: str, asked: str, expected: bytes, shown: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=DATA)
    answer = s3_client.get_object(Bucket=s3_bucket, Key="k", Range=asked)
    assert answer["Body"].read() == expected
    assert answer["ContentRange"] == shown
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_beyond_the_end_is_refused(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=b"short")
    status, _ = failure(s3_client.get_object, Bucket=s3_bucket, Key="k", Range="bytes=5-9")
    assert status == 416


def test_head_tells_the_size(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=DATA)
    assert s3_client.head_object(Bucket=s3_bucket, Key="k")["ContentLength"] == len(DATA)


def test_what_is_not_there_is_not_found(s3_client: Any, s3_bucket: str) -> None:
    assert failure(s3_client.get_object, Bucket=s3_bucket, Key="no") == (404, "NoSuchKey")
    assert failure(s3_client.head_object, Bucket=s3_bucket, Key="no")[0] == 404
    assert failure(s3_client.list_objects_v2, Bucket="no-such-bucket-here") == (404, "NoSuchBucket")


def test_an_object_is_overwritten(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=b"one", Metadata={"a": "1"})
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=b"second")
    answer = s3_client.get_object(Bucket=s3_bucket, Key="k")
    assert (answer["Body"].read(), answer["Metadata"]) == (b"second", {})


def test_an_object_is_deleted_once_and_again(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=b"one")
    s3_client.delete_object(Bucket=s3_bucket, Key="k")
    assert failure(s3_client.get_object, Bucket=s3_bucket, Key="k")[0] == 404
    s3_client.delete_object(Bucket=s3_bucket, Key="k")


def test_objects_are_deleted_in_bulk(s3_client: Any, s3_bucket: str) -> None:
    for name in ("a", "b", "c"):
        s3_client.put_object(Bucket=s3_bucket, Key=name, Body=b"x")
    doomed = {"Objects": [{"Key": "a"}, {"Key": "c"}, {"Key": "never was"}]}
    answer = s3_client.delete_objects(Bucket=s3_bucket, Delete=doomed)
    assert {entry["Key"] for entry in answer["Deleted"]} == {"a", "c", "never was"}
    assert keys(s3_client, s3_bucket) == ["b"]


def test_a_listing_has_folders_and_pages(s3_client: Any, s3_bucket: str) -> None:
    for name in ("raw/1", "raw/2", "raw/deep/3", "top"):
        s3_client.put_object(Bucket=s3_bucket, Key=name, Body=b"x")
    assert keys(s3_client, s3_bucket) == ["raw/1", "raw/2", "raw/deep/3", "top"]
    answer = s3_client.list_objects_v2(Bucket=s3_bucket, Prefix="raw/", Delimiter="/")
    assert [entry["Key"] for entry in answer["Contents"]] == ["raw/1", "raw/2"]
    assert [entry["Prefix"] for entry in answer["CommonPrefixes"]] == ["raw/deep/"]
    pages = s3_client.get_paginator("list_objects_v2").paginate(
        Bucket=s3_bucket, PaginationConfig={"PageSize": 3}
    )
    assert [len(page["Contents"]) for page in pages] == [3, 1]


def test_an_object_is_copied_with_its_metadata(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="from", Body=DATA, Metadata={"visit": "42"})
    s3_client.copy_object(Bucket=s3_bucket, Key="to", CopySource={"Bucket": s3_bucket, "Key": "from"})
    s3_client.delete_object(Bucket=s3_bucket, Key="from")
    answer = s3_client.get_object(Bucket=s3_bucket, Key="to")
    assert answer["Body"].read() == DATA
    assert answer["Metadata"] == {"visit": "42"}


def test_an_object_is_uploaded_in_parts(s3_client: Any, s3_bucket: str) -> None:
    parts = [b"a" * PART, b"b" * PART, b"end"]
    etag = upload_in_parts(s3_client, s3_bucket, "big", parts)
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    assert etag == f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-3"'
    assert body(s3_client, s3_bucket, "big", Range=f"bytes={2 * PART - 2}-") == b"bbend"


def test_a_finished_upload_that_lacks_a_part_is_refused(s3_client: Any, s3_bucket: str) -> None:
    upload = s3_client.create_multipart_upload(Bucket=s3_bucket, Key="k")["UploadId"]
    s3_client.upload_part(Bucket=s3_bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    wrong = {"Parts": [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]}
    status, code = failure(
        s3_client.complete_multipart_upload,
        Bucket=s3_bucket,
        Key="k",
        UploadId=upload,
        MultipartUpload=wrong,
    )
    assert (status, code) == (400, "InvalidPart")


def test_an_aborted_upload_leaves_nothing(s3_client: Any, s3_bucket: str) -> None:
    upload = s3_client.create_multipart_upload(Bucket=s3_bucket, Key="k")["UploadId"]
    s3_client.upload_part(Bucket=s3_bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    s3_client.abort_multipart_upload(Bucket=s3_bucket, Key="k", UploadId=upload)
    assert keys(s3_client, s3_bucket) == []


def test_if_none_match_keeps_what_is_there(s3_client: Any, s3_bucket: str) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=b"first", IfNoneMatch="*")
    status, _ = failure(s3_client.put_object, Bucket=s3_bucket, Key="k", Body=b"second", IfNoneMatch="*")
    assert status == 412
    assert body(s3_client, s3_bucket, "k") == b"first"


def test_of_many_conditional_writers_one_wins(s3_client: Any, s3_bucket: str) -> None:
    won = []

    def write(number: int) -> None:
        try:
            s3_client.put_object(Bucket=s3_bucket, Key="lock", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError:
            return
        won.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert body(s3_client, s3_bucket, "lock") == str(won[0]).encode()


def test_an_unchanged_object_is_not_sent_again(s3_client: Any, s3_bucket: str) -> None:
    etag = s3_client.put_object(Bucket=s3_bucket, Key="k", Body=DATA)["ETag"]
    status, _ = failure(s3_client.get_object, Bucket=s3_bucket, Key="k", IfNoneMatch=etag)
    assert status == 304


def test_the_environment_leads_every_client_here(
    s3_server: ObjectStore, s3_client: Any, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    s3_client.put_object(Bucket=s3_bucket, Key="k", Body=DATA)
    import boto3
    from lsst.resources import ResourcePath

    store = obstore.store.S3Store(s3_bucket)
    assert bytes(obstore.get_range(store, "k", start=10, length=20)) == DATA[10:30]
    assert ResourcePath(f"s3://{s3_bucket}/k").read() == DATA
    client = boto3.client("s3")
    assert body(client, s3_bucket, "k") == DATA
    client.close()


def test_a_bucket_is_made_once_and_again(s3_server: ObjectStore, s3_bucket: str) -> None:
    assert s3_server.make_bucket(s3_bucket) == f"s3://{s3_bucket}"
