"""Credentials never show, whatever is around them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler import redact, redacted_environment

words = st.text(alphabet=string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12)
secrets = st.text(alphabet=string.ascii_letters + string.digits + "!$%*+@/:", min_size=6, max_size=20).map(
    "S3cr".__add__
)


@given(
    scheme=st.sampled_from(["postgresql", "postgresql+psycopg2", "http", "https"]),
    user=words,
    secret=secrets,
    host=words,
)
def test_passwords_in_urls_are_masked_and_the_rest_stays(
    scheme: str, user: str, secret: str, host: str
) -> None:
    shown = redact(f"could not reach {scheme}://{user}:{secret}@{host}/path today")
    assert secret not in shown
    assert shown == f"could not reach {scheme}://{user}:***@{host}/path today"


@given(text=st.text(alphabet=string.ascii_letters + " .,-/()", max_size=60))
def test_text_without_credentials_is_left_alone(text: str) -> None:
    assert redact(text) == text


@given(text=st.text(max_size=80))
def test_masking_twice_changes_nothing(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=abcdef0123&X-Amz-Date=1", "abcdef0123"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Credential=AKEXAMPLE%2F2026", "AKEXAMPLE"),
        ("aws_secret_access_key = wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("{'password': 'hunter22'}", "hunter22"),
        ("http://127.0.0.1:8888/lab?token=0123456789abcdef", "0123456789abcdef"),
    ],
)
def test_other_credentials_are_masked(text: str, secret: str) -> None:
    assert secret not in redact(text)


def test_an_environment_is_masked_by_name_and_by_content() -> None:
    shown = redacted_environment(
        {
            "AWS_SECRET_ACCESS_KEY": "abc",
            "JUPYTER_TOKEN": "abc",
            "LSST_RESOURCES_S3_PROFILE_demo": "http://key:abc@127.0.0.1:9000",
            "AWS_SHARED_CREDENTIALS_FILE": "credentials",
            "HOME": "somewhere",
        }
    )
    assert "abc" not in "".join(shown.values())
    assert shown["HOME"] == "somewhere"
    assert shown["AWS_SHARED_CREDENTIALS_FILE"] == "credentials"
