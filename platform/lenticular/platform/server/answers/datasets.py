"""Datasets, page by page, and one by one."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING
from uuid import UUID

from lenticular.butler.browse import PageMark, read_details, read_page
from lenticular.platform.server.models.registry import (
    Artifact,
    Dataset,
    DatasetQuestion,
    Datasets,
    DatasetsQuestion,
    DatasetSummary,
    Provenance,
)
from lenticular.platform.server.problems import ParameterError

if TYPE_CHECKING:
    from lenticular.platform.server.access import Access

__all__ = ["describe_dataset", "list_datasets"]

_LARGEST = 2**63


def list_datasets(access: Access, question: DatasetsQuestion) -> Datasets:
    """List the datasets of a type, a page at a time, in the order of their data IDs."""
    after = None if question.after is None else _read_mark(question.after, question)
    with access.repositories.use(question.label) as repository:
        page = read_page(
            repository,
            question.dataset_type,
            question.collections,
            where=question.where,
            limit=question.limit,
            after=after,
        )
    return Datasets(
        dimensions=page.dimensions,
        datasets=tuple(
            DatasetSummary(
                id=UUID(row.id), run=row.run, data_id=dict(zip(page.dimensions, row.values, strict=True))
            )
            for row in page.rows
        ),
        next=None if page.next is None else _write_mark(page.next, question),
    )


def describe_dataset(access: Access, question: DatasetQuestion) -> Dataset:
    """Say everything that is known of one dataset."""
    with access.repositories.use(question.label) as repository:
        details = read_details(repository, question.id)
    return Dataset(
        id=question.id,
        dataset_type=details.dataset_type,
        storage_class=details.storage_class,
        dimensions=details.dimensions,
        run=details.run,
        data_id=dict(details.data_id),
        records={element: dict(fields) for element, fields in details.records.items()},
        artifacts=tuple(
            Artifact(uri=artifact.uri, bytes=artifact.bytes, component=artifact.component)
            for artifact in details.artifacts
        ),
        provenance=_provenance(access, details.run),
    )


def _provenance(access: Access, run: str) -> Provenance | None:
    for record in access.runs.store.list():
        if record.output_run == run:
            return Provenance(
                run_id=record.id,
                pipeline=access.pipeline_name(record.pipeline),
                created=record.created.isoformat(),
            )
    return None


def _write_mark(mark: PageMark, question: DatasetsQuestion) -> str:
    content = json.dumps([_sign(question), mark.id, *mark.values], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_mark(text: str, question: DatasetsQuestion) -> PageMark:
    """Read what `_write_mark` wrote; a browser may have sent anything."""
    try:
        content = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        sign, dataset_id, *values = content
    except (ValueError, TypeError, RecursionError):
        sign, dataset_id, values = None, None, []
    sound = isinstance(dataset_id, str) and all(
        isinstance(value, str) or (type(value) is int and abs(value) < _LARGEST) for value in values
    )
    if not sound or sign != _sign(question):
        raise ParameterError(
            "The parameter 'after' does not belong to this question",
            where="after",
            hint="Send what `next` of the page before was, and the other parameters unchanged.",
        )
    return PageMark(tuple(values), dataset_id)


def _sign(question: DatasetsQuestion) -> str:
    """Return a sign of all of a question that decides on the order of its datasets."""
    parts = [question.label, question.dataset_type, list(question.collections), question.where]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
