"""The description of the routes, by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenticular.platform.server.models.base import Nothing

if TYPE_CHECKING:
    from lenticular.platform.server.access import Access

__all__ = ["describe_routes"]


def describe_routes(access: Access, question: Nothing) -> dict[str, Any]:
    """Describe all routes in the words of OpenAPI 3.1."""
    from lenticular.platform.server.openapi import description

    del access, question
    return description()
