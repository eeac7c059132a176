"""The repository index: short labels for repositories.

Upstream's convention is kept: ``DAF_BUTLER_REPOSITORY_INDEX`` names a YAML
file of ``label: uri`` lines, or ``DAF_BUTLER_REPOSITORIES`` holds these lines.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lenticular.butler.errors import ConfigurationError, LenticularError, RepositoryNotFoundError
from lenticular.butler.store import Location, read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["add_label", "check_label", "labels", "resolve"]

FILE_VARIABLE = "DAF_BUTLER_REPOSITORY_INDEX"
TEXT_VARIABLE = "DAF_BUTLER_REPOSITORIES"


def labels(*, timeout: float = 5.0) -> Mapping[str, str]:
    """Return the URI of every repository that has a label here.

    Raises
    ------
    ConfigurationError
        Raised if the index that the environment names cannot be read.
    """
    text, where = os.environ.get(TEXT_VARIABLE), TEXT_VARIABLE
    if not text:
        where = os.environ.get(FILE_VARIABLE, "")
        if not where:
            return {}
        try:
            text = read_bytes(Location.parse(where), timeout=timeout).decode()
        except LenticularError as error:
            hint = f"Correct or unset {FILE_VARIABLE}."
            raise ConfigurationError("The repository index cannot be read", where=where, hint=hint) from error
    return _parse(text, where)


def resolve(target: str | os.PathLike[str], *, timeout: float = 5.0) -> tuple[str, str | None]:
    """Return the URI that a label or URI stands for, and the label if it is one.

    A word without a slash or a colon is looked up as a label first and taken
    for a folder only if one of that name exists.

    Raises
    ------
    RepositoryNotFoundError
        Raised for a word that is neither a label nor an existing folder.
    """
    text = os.fspath(target)
    if isinstance(target, os.PathLike) or "/" in text or ":" in text:
        return text, None  # not a label, so a broken index is no obstacle
    known = labels(timeout=timeout)
    if text in known:
        return known[text], text
    if Path(text).exists():
        return text, None
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.4)
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif known:
        hint = f"Known labels: {', '.join(sorted(known))}."
    else:
        hint = f"No label is known, since {FILE_VARIABLE} is not set; give a path or a URI."
    raise RepositoryNotFoundError(f"No repository is called {text!r}", hint=hint)


def add_label(label: str, uri: str, file: Path) -> None:
    """Write a label into an index file, replacing what it stood for.

    Parameters
    ----------
    label
        Letters, digits, ``_``, ``-`` and ``.``.
    uri
        What it stands for.
    file
        The index; created if it does not exist, replaced as a whole so that
        a reader never sees half of it.

    Raises
    ------
    ConfigurationError
        Raised for a label with other characters, or an index that is not a
        list of labels.
    """
    import yaml

    check_label(label)
    known = dict(_parse(file.read_text(), str(file))) if file.exists() else {}
    known[label] = uri
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(yaml.safe_dump(known))
    draft.replace(file)


def check_label(label: str) -> None:
    """Check that a word can be a label.

    Raises
    ------
    ConfigurationError
        Raised if it has characters other than letters, digits, ``_``, ``-``
        and ``.``, and could be taken for a path.
    """
    if not label.replace("_", "a").replace("-", "a").replace(".", "a").isalnum():
        raise ConfigurationError(
            f"{label!r} cannot be a label", hint="Use letters, digits, '_', '-' and '.'."
        )


def _parse(text: str, where: str) -> dict[str, str]:
    import yaml

    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f" at line {mark.line + 1}"
        raise ConfigurationError(
            f"The repository index is not valid YAML{line}",
            where=where,
            hint="Write one `label: uri` a line.",
        ) from None  # the parser's own error quotes the line, and with it a password
    if not isinstance(content, dict) or not all(isinstance(uri, str) for uri in content.values()):
        raise ConfigurationError(
            "The repository index is not a list of labels", where=where, hint="Write one `label: uri` a line."
        )
    return {str(label): uri for label, uri in content.items()}
