"""Where the pipeline definitions are."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["SINGLE_VISIT"]

SINGLE_VISIT = Path(str(resources.files("lenticular.pipelines") / "definitions" / "single-visit.yaml"))
