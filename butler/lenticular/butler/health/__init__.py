"""Whether a repository is whole, and in what two collections differ.

=============================  ================================================
`compare_collections`          what two collections have in common, and what not
`Comparison`                   the answer, with its rows on demand
`check_health`                 what is wrong in a repository, and how large it is
`HealthReport`                 the answer, with its findings
=============================  ================================================

Nothing here changes a repository. Everything is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.lazy import loaded_on_use

if TYPE_CHECKING:
    from lenticular.butler.health.check import check_health
    from lenticular.butler.health.compare import Comparison, TypeComparison, compare_collections
    from lenticular.butler.health.report import ArtifactCheck, Finding, HealthReport, Severity, Usage

__all__ = [
    "ArtifactCheck",
    "Comparison",
    "Finding",
    "HealthReport",
    "Severity",
    "TypeComparison",
    "Usage",
    "check_health",
    "compare_collections",
]

__getattr__, __dir__ = loaded_on_use(
    __name__,
    {
        "ArtifactCheck": "report",
        "Comparison": "compare",
        "Finding": "report",
        "HealthReport": "report",
        "Severity": "report",
        "TypeComparison": "compare",
        "Usage": "report",
        "check_health": "check",
        "compare_collections": "compare",
    },
)
