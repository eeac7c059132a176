"""A registry from one database into another: copied, compared row by row, resumable."""

from lenticular.butler.copying.registry import copy_registry
from lenticular.butler.copying.report import CopyReport, Difference, TableCopy

__all__ = ["CopyReport", "Difference", "TableCopy", "copy_registry"]
