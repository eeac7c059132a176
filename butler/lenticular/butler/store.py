"""Object stores: where a URI lives, whether it answers, and its bytes.

Upstream's own access retries for up to 90 seconds before it says that an
endpoint is dead. What is read here is read before upstream is asked, with a
deadline, so that a person learns of a wrong address while still looking.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from lenticular.butler.errors import ConfigurationError, RepositoryNotFoundError, StoreUnreachableError
from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from obstore.store import HTTPStore, S3Store

__all__ = ["Location", "probe_store", "read_bytes"]

_PROFILE_VARIABLE = "LSST_RESOURCES_S3_PROFILE_"
_ENDPOINT_VARIABLES = ("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class Location:
    """A place that a repository's configuration or datastore may be in."""

    scheme: str
    """``file``, ``s3``, ``http`` or ``https``."""

    container: str
    """Bucket or host; empty for files."""

    path: str
    """Key inside the bucket, path on the host, or absolute path of a file."""

    profile: str | None = None
    """Name before ``@`` in ``s3://profile@bucket``, as lsst.resources has it."""

    @classmethod
    def parse(cls, uri: str | os.PathLike[str]) -> Location:
        """Return the location that a URI or a path names.

        Parameters
        ----------
        uri
            A path, relative or absolute, or a ``file``, ``s3``, ``http`` or
            ``https`` URI.

        Raises
        ------
        ConfigurationError
            Raised for a scheme that is none of these.
        """
        text = os.fspath(uri)
        parts = urlsplit(text)
        if parts.scheme in {"", "file"}:
            path = unquote(parts.path) if parts.scheme else text
            return cls(
                "file", "", str(Path(path).expanduser().absolute()) + ("/" if path.endswith("/") else "")
            )
        if parts.scheme == "s3":
            profile, _, bucket = parts.netloc.rpartition("@")
            return cls("s3", bucket, parts.path.lstrip("/"), profile or None)
        if parts.scheme in {"http", "https"}:
            return cls(parts.scheme, parts.netloc, parts.path)
        raise ConfigurationError(
            f"Nothing is known here about addresses that begin with {parts.scheme}://",
            where=text,
            hint="Use a path, or an s3, http or https address.",
        )

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.path
        profile = f"{self.profile}@" if self.profile else ""
        return redact(f"{self.scheme}://{profile}{self.container}/{self.path.lstrip('/')}")

    @property
    def is_local(self) -> bool:
        """Whether this is a file or folder of this machine."""
        return self.scheme == "file"

    def join(self, name: str) -> Location:
        """Return the location of ``name`` inside this folder."""
        return Location(
            self.scheme,
            self.container,
            f"{self.path.rstrip('/')}/{name}".lstrip("/")
            if self.scheme == "s3"
            else f"{self.path.rstrip('/')}/{name}",
            self.profile,
        )

    def parent(self) -> Location:
        """Return the folder that this file is in."""
        head, _, _ = self.path.rstrip("/").rpartition("/")
        return Location(self.scheme, self.container, f"{head}/", self.profile)


def read_bytes(location: Location, *, timeout: float = 5.0) -> bytes:
    """Read a small object whole.

    Parameters
    ----------
    location
        Where it is.
    timeout
        Seconds after which an object store counts as unreachable.

    Raises
    ------
    RepositoryNotFoundError
        Raised if there is no such object.
    StoreUnreachableError
        Raised if the store does not answer in time, or refuses access.
    """
    if location.is_local:
        return _read_file(location)
    import obstore

    store = _open_store(location, timeout)
    try:
        return bytes(obstore.get(store, location.path.lstrip("/")).bytes())
    except FileNotFoundError as error:
        raise RepositoryNotFoundError(
            "There is nothing here", where=location, hint=_NOT_FOUND_HINT
        ) from error
    except Exception as error:
        raise _store_error(error, location, timeout) from error


def probe_store(location: Location, *, timeout: float = 5.0) -> None:
    """Check that a datastore's root can be reached.

    Parameters
    ----------
    location
        The datastore's root. A local folder is looked at, a bucket is asked
        for one page of its listing.
    timeout
        Seconds after which the store counts as unreachable.

    Raises
    ------
    StoreUnreachableError
        Raised if the folder or bucket does not exist or does not answer. A
        bucket that answers but refuses to be listed passes: reading single
        objects may well be allowed.
    """
    if location.is_local:
        # The folder itself appears with the first dataset.
        if not Path(location.path).parent.is_dir():
            raise StoreUnreachableError(
                "The datastore's folder does not exist",
                where=location,
                hint="Is its file system mounted here?",
            )
        return
    if location.scheme != "s3":
        return
    import obstore

    store = _open_store(location, timeout)
    try:
        next(iter(obstore.list(store, prefix=location.path, chunk_size=1)), None)
    except Exception as error:
        if _is_refusal(error):
            return
        raise _store_error(error, location, timeout) from error


_NOT_FOUND_HINT = "Check the address; a repository is the folder that holds butler.yaml."


def _read_file(location: Location) -> bytes:
    path = Path(location.path)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RepositoryNotFoundError(
            "There is nothing here", where=location, hint=_NOT_FOUND_HINT
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The file cannot be read: {error.strerror}",
            where=location,
            hint="Ask its owner for permission to read it.",
        ) from error


def _open_store(location: Location, timeout: float) -> S3Store | HTTPStore:
    from obstore.store import HTTPStore, S3Store

    seconds = timedelta(seconds=timeout)
    client: Any = {"timeout": seconds, "connect_timeout": seconds, "allow_http": True}
    retry: Any = {"max_retries": 1, "retry_timeout": seconds}
    if location.scheme != "s3":
        return HTTPStore(
            f"{location.scheme}://{location.container}", client_options=client, retry_config=retry
        )
    options = _s3_options(location.profile)
    return S3Store(location.container, client_options=client, retry_config=retry, **options)


def _s3_options(profile: str | None) -> dict[str, Any]:
    """Return endpoint and credentials as lsst.resources would choose them."""
    endpoint, credentials = _profile_endpoint(profile)
    options: dict[str, Any] = {
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    }
    if endpoint:
        options["endpoint"] = endpoint
    if credentials:
        options["access_key_id"], options["secret_access_key"] = credentials
    elif "AWS_ACCESS_KEY_ID" not in os.environ:
        # Roles, container credentials and shared credential files: boto3 knows
        # them all, obstore only some.
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider

        session = boto3.Session(profile_name=None if endpoint else profile)
        if session.get_credentials() is None:
            options["skip_signature"] = True
        else:
            options["credential_provider"] = Boto3CredentialProvider(session)
    return options


def _profile_endpoint(profile: str | None) -> tuple[str | None, tuple[str, str] | None]:
    declared = os.environ.get(_PROFILE_VARIABLE + profile) if profile else None
    if declared is None:
        return next((os.environ[name] for name in _ENDPOINT_VARIABLES if os.environ.get(name)), None), None
    parts = urlsplit(declared)
    host = parts.netloc.rpartition("@")[2]
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return f"{parts.scheme}://{host}{parts.path}", credentials


def _is_refusal(error: Exception) -> bool:
    return type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"}


def _store_error(error: Exception, location: Location, timeout: float) -> StoreUnreachableError:
    if _is_refusal(error):
        hint = "Check which credentials are in use (AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE, the role)."
        return StoreUnreachableError("The object store refuses access", where=location, hint=hint)
    if isinstance(error, FileNotFoundError):
        return StoreUnreachableError(
            "The bucket does not exist", where=location, hint="Check its name and the endpoint."
        )
    endpoint = next((redact(os.environ[name]) for name in _ENDPOINT_VARIABLES if os.environ.get(name)), "AWS")
    hint = f"The endpoint in use is {endpoint}; is it running, and is the network up?"
    return StoreUnreachableError(
        f"The object store did not answer within {timeout:g} s", where=location, hint=hint
    )
