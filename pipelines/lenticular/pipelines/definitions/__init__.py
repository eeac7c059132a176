"""Pipelines that lenticular ships, by name."""

from __future__ import annotations

from importlib import resources

from lenticular.butler.errors import NotFoundError

__all__ = ["pipeline_names", "pipeline_uri"]


def pipeline_names() -> tuple[str, ...]:
    """Return the names of the pipelines that lenticular ships."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def pipeline_uri(name: str) -> str:
    """Return the URI of a pipeline that lenticular ships.

    Parameters
    ----------
    name
        Its name, such as ``single-visit``, or ``single-visit#isr`` with
        tasks or subsets selected. A path or URI is returned as it is.

    Raises
    ------
    NotFoundError
        Raised for a plain word that is no pipeline's name.
    """
    stem, mark, selection = name.partition("#")
    if stem in pipeline_names():
        return f"resource://{__name__}/{stem}.yaml{mark}{selection}"
    if "/" in stem or ":" in stem or stem.endswith((".yaml", ".yml")):
        return name
    raise NotFoundError(
        f"There is no pipeline called {stem!r}",
        hint=f"Shipped are {', '.join(pipeline_names())}; or give a path.",
    )
