"""The public names of the services, and what loading them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lenticular.platform import services

HEAVY = ("moto", "boto3", "psycopg2", "sqlalchemy", "flask", "lsst")


@pytest.mark.parametrize("name", services.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(services, name).__doc__
    assert name in dir(services)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = services.Nothing


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from lenticular.platform.services import *;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
