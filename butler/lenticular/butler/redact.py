"""Keep credentials out of everything that a person or a log may see.

Three kinds of secret travel through this project: passwords inside URLs
(``postgresql://user:secret@host``, ``http://key:secret@host:port``), the
signature of a presigned S3 URL, and environment variables that carry either.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["redact", "redacted_environment"]

MASK = "***"

# scheme://user:secret@  -> the user stays, since it tells who failed to log in.
# The secret may itself hold "@" or "/": everything up to the last "@" before
# a blank, a quote or a bracket is taken for it.
_URL_PASSWORD = re.compile(r"""(?P<head>[a-z][a-z0-9+.\-]*://[^\s:/@'"<>]*):[^\s'"<>]*@""", re.IGNORECASE)
_QUERY_SECRET = re.compile(
    r"(?P<key>[?&](?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|token|password|sslpassword)=)[^&\s'\"<>]+",
    re.IGNORECASE,
)
_ASSIGNED_SECRET = re.compile(
    r"(?P<key>\b(?:aws_)?(?:secret_access_key|session_token|secret|password|passwd|pgpassword)\b['\"]?\s*[=:]\s*['\"]?)[^\s'\",;)}]+",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL(?!S_FILE)|_KEY$)", re.IGNORECASE)


def redact(text: object) -> str:
    """Return ``str(text)`` with every credential in it masked.

    Parameters
    ----------
    text
        Anything that is about to be shown; often an exception or a URL.

    Returns
    -------
    str
        The text, with passwords, signatures and tokens replaced by ``***``.

    Examples
    --------
    >>> redact("postgresql://ana:pa55@db/registry")
    'postgresql://ana:***@db/registry'
    """
    shown = _URL_PASSWORD.sub(rf"\g<head>:{MASK}@", str(text))
    shown = _QUERY_SECRET.sub(rf"\g<key>{MASK}", shown)
    return _ASSIGNED_SECRET.sub(rf"\g<key>{MASK}", shown)


def redacted_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment with its secrets masked, fit for a record or a log.

    Parameters
    ----------
    environment
        Variables by name; the environment of this process by default.

    Returns
    -------
    dict
        The same names. A value is masked whole where the name says that it is
        a secret, and in part where it holds a URL with one.
    """
    variables = os.environ if environment is None else environment
    return {
        name: MASK if _SECRET_NAME.search(name) and value else redact(value)
        for name, value in variables.items()
    }
