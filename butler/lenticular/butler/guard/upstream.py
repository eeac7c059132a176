"""What leans on how lsst.resources works inside: which client of S3 it uses."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["make_s3_patient"]

_patient_profiles: set[str | None] = set()


def make_s3_patient(profile: str | None) -> None:
    """Let lsst.resources use a client of ours for a store.

    Upstream's own has its patience written into it. This is for the whole
    process, as upstream keeps one for each endpoint; those of other stores stay.

    Parameters
    ----------
    profile
        Name before ``@`` in ``s3://profile@bucket``.
    """
    from lsst.resources import s3utils

    from lenticular.butler.guard.objectstore import make_client

    _patient_profiles.add(profile)
    original = s3utils._get_s3_client
    if getattr(original, "lenticular", False):
        return

    @functools.lru_cache
    def client(endpoint: Any, skip_validation: bool) -> Any:  # noqa: FBT001 - upstream's signature
        ours = {s3utils._get_s3_connection_parameters(name) for name in _patient_profiles}
        if endpoint not in ours:
            return original(endpoint, skip_validation)
        made = make_client(
            endpoint.profile,
            connections=max(s3utils._get_num_workers(), 10),
            endpoint_url=endpoint.endpoint_url,
            aws_access_key_id=endpoint.access_key_id,
            aws_secret_access_key=endpoint.secret_access_key,
        )
        if skip_validation:
            s3utils._s3_disable_bucket_validation(made)
        return made

    vars(client)["lenticular"] = True
    vars(s3utils)["_get_s3_client"] = client
