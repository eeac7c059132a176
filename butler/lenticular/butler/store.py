"""Object stores: where a URI lives, whether it answers, and its bytes.

Upstream's own access retries for up to 90 seconds before it says that an
endpoint is dead. What is read here is read before upstream is asked, with a
deadline, so that a person learns of a wrong address while still looking.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from lenticular.butler.errors import ConfigurationError, RepositoryNotFoundError, StoreUnreachableError
from lenticular.butler.redact import redact

if TYPE_CHECKING:
    import boto3
    from obstore.store import HTTPStore, S3Store

__all__ = ["Location", "open_store", "probe_store", "read_bytes", "store_error"]

_PROFILE_VARIABLE = "LSST_RESOURCES_S3_PROFILE_"
_ENDPOINT_VARIABLES = ("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True, repr=False)
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
        return self.uri if self.scheme == "file" else redact(self.uri)

    def __repr__(self) -> str:
        # Not that of the fields: a container or a profile may hold a password.
        return f"Location({str(self)!r})"

    @property
    def uri(self) -> str:
        """The whole address, fit to be opened but, with a password in it, not to be shown."""
        if self.scheme == "file":
            return self.path
        profile = f"{self.profile}@" if self.profile else ""
        return f"{self.scheme}://{profile}{self.container}/{self.path.lstrip('/')}"

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

    store = open_store(location, timeout)
    try:
        return bytes(obstore.get(store, location.path.lstrip("/")).bytes())
    except FileNotFoundError as error:
        raise RepositoryNotFoundError(
            "There is nothing here", where=location, hint=_NOT_FOUND_HINT
        ) from error
    except Exception as error:
        raise store_error(error, location, timeout) from error


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

    store = open_store(location, timeout)
    try:
        next(iter(obstore.list(store, prefix=location.path, chunk_size=1)), None)
    except Exception as error:
        if _is_refusal(error):
            return
        raise store_error(error, location, timeout) from error


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


def open_store(location: Location, timeout: float) -> S3Store | HTTPStore:
    """Return a client of the bucket or host that a location is in.

    Parameters
    ----------
    location
        A location that is not a file.
    timeout
        Seconds after which the store counts as unreachable.
    """
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
    options: dict[str, Any] = {}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        options["endpoint"] = endpoint
    if credentials:
        options["access_key_id"], options["secret_access_key"] = credentials
    elif "AWS_ACCESS_KEY_ID" not in os.environ:
        # Roles, container credentials and shared credential files: boto3 knows
        # them all, obstore only some.
        from obstore.auth.boto3 import Boto3CredentialProvider

        session = _session(None if endpoint else profile)
        region = region or session.region_name
        if session.get_credentials() is None:
            options["skip_signature"] = True
        else:
            options["credential_provider"] = Boto3CredentialProvider(session)
    options["region"] = region or "us-east-1"
    return options


def _session(profile: str | None) -> boto3.Session:
    import boto3
    from botocore.exceptions import ProfileNotFound

    try:
        return boto3.Session(profile_name=profile)
    except ProfileNotFound as error:
        name = profile or os.environ.get("AWS_PROFILE", "")
        raise ConfigurationError(
            f"No profile is called {name!r}",
            where=f"s3://{profile}@..." if profile else "AWS_PROFILE",
            hint=f"Add it to the shared credentials file, or set {_PROFILE_VARIABLE}{name} "
            "to http://key:secret@host:port.",
        ) from error


def _profile_endpoint(profile: str | None) -> tuple[str | None, tuple[str, str] | None]:
    declared = os.environ.get(_PROFILE_VARIABLE + profile) if profile else None
    if declared is None:
        return next((os.environ[name] for name in _ENDPOINT_VARIABLES if os.environ.get(name)), None), None
    parts = urlsplit(declared)
    host = parts.netloc.rpartition("@")[2]
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return f"{parts.scheme}://{host}{parts.path}", credentials


_STATUS = re.compile(r"status code: (\d{3})[^:\n]*(?::\s*(?P<body>[^\n]*))?")
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9.]{1,60})\s*</Code>")


def _answer(error: Exception) -> tuple[int | None, str]:
    """Return the status with which a store answered, if it did, and S3's name for it."""
    found = _STATUS.search(str(error))
    if found is None:
        return None, ""
    code = _CODE.search(found["body"] or "")
    return int(found[1]), "" if code is None else code[1]


def _is_refusal(error: Exception) -> bool:
    # A listing that is refused comes as a generic error, its status in the text only.
    if type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"}:
        return True
    return _answer(error)[0] in {401, 403}


def _endpoint_shown(location: Location) -> str:
    if location.scheme != "s3":
        return redact(f"{location.scheme}://{location.container}")
    return redact(_profile_endpoint(location.profile)[0] or "AWS")


def store_error(error: Exception, location: Location, timeout: float) -> StoreUnreachableError:
    """Tell an answer that is no use from no answer, and one reason for it from another."""
    endpoint = _endpoint_shown(location)
    status, code = _answer(error)
    name = "object store" if location.scheme == "s3" else "server"
    text = str(error).lower()
    if _is_refusal(error):
        what = f"The {name} refuses access" + (f" ({code})" if code else "")
        hint = "Check which credentials are in use (AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE, the role)."
        if location.scheme != "s3":
            hint = "Ask its operator for access; no credentials are sent to it from here."
    elif isinstance(error, FileNotFoundError) or status == HTTPStatus.NOT_FOUND:
        what, hint = "The bucket does not exist", f"Check its name and the endpoint, which is {endpoint}."
    elif "expiredtoken" in text or "token has expired" in text:
        what, hint = "The credentials for the object store have expired", "Log in again, or renew the token."
    elif "configured region" in text or "PermanentRedirect" in code or status == HTTPStatus.MOVED_PERMANENTLY:
        what = "The bucket is in another region, or at another address"
        hint = f"Set AWS_REGION to the bucket's region; the endpoint in use is {endpoint}."
    elif status is not None:
        what = f"The {name} answers with an error: {status}{f' {code}' if code else ''}"
        hint = f"The endpoint in use is {endpoint}; its log, or its operator, may say more."
    elif "connection refused" in text or "connectionrefused" in text:
        what, hint = f"The {name} does not accept connections", f"Is anything listening at {endpoint}?"
    elif "dns error" in text or "failed to lookup address" in text:
        what, hint = f"The {name}'s host is not known", f"Check the address, which is {endpoint}."
    elif "timedout" in text or "timed out" in text:
        what = f"The {name} did not answer within {timeout:g} s"
        hint = f"The endpoint in use is {endpoint}; is it running, and is the network up?"
    else:
        what = f"The connection to the {name} failed"
        hint = f"The endpoint in use is {endpoint}; is it running, and is the network up?"
    return StoreUnreachableError(what, where=location, hint=hint)
