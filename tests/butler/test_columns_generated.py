"""Datasets in columns are those of upstream in repositories of any content."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from hypothesis import HealthCheck, given, settings

from lenticular.butler.columns import query_datasets
from tests.butler.generated import KINDS, build, contents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lenticular.butler import Repository
    from tests.butler.generated import Content

EXAMPLES = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def same(
    repository: Repository, kind: str, collections: Sequence[str], where: str, *, find_first: bool
) -> None:
    """Compare an answer, all dimensions of it, with upstream's."""
    refs = repository.butler.query_datasets(
        kind, collections, where=where, find_first=find_first, limit=None, explain=False
    )
    table = query_datasets(repository, kind, collections, where=where, find_first=find_first)
    names = [name for name in table.column_names if name not in {"dataset_id", "run"}]
    found = sorted(
        ((str(UUID(bytes=row["dataset_id"])), row["run"], *(row[name] for name in names)))
        for row in table.to_pylist()
    )
    assert found == sorted((str(ref.id), ref.run, *(ref.dataId[name] for name in names)) for ref in refs)


@EXAMPLES
@given(content=contents())
def test_datasets_of_any_content_are_those_of_upstream(shared: Repository, content: Content) -> None:
    made = build(content, shared)
    plain = [run.name for run in made.runs] + [one.name for one in made.tagged]
    instrument = f"instrument = '{made.instruments[0].name}'"
    for kind, (dimensions, is_calibration) in KINDS.items():
        searches = [plain[:1], plain, *([] if is_calibration else [[chain.name] for chain in made.chains])]
        conditions = ["", instrument] if "instrument" in dimensions else [""]
        conditions += [f"{instrument} AND visit > 2 AND band != 'g'"] if "visit" in dimensions else []
        for collections in searches:
            for where in conditions:
                same(shared, kind, collections, where, find_first=True)
        everything = list(made.collections)
        same(shared, kind, everything, conditions[-1], find_first=False)
