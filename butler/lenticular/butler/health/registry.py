"""What may be wrong in a registry: chains, empty collections, summaries and validity ranges."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse import CollectionKind
from lenticular.butler.health.memberships import (
    FIRST_MOMENT,
    ask,
    membership_table,
    read_kinds,
    unless_cancelled,
    validity,
)
from lenticular.butler.health.report import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.browse import CollectionInfo
    from lenticular.butler.browse.dataset_types import StoredType
    from lenticular.butler.health.memberships import Cancel, Progress
    from lenticular.butler.repository import Repository

    type Held = set[tuple[int, int]]
    """Numbers of collections and of the dataset types that they hold."""

__all__ = ["check_registry", "finding"]

_EXAMPLES = 5
_ONE = {"s": "", "are": "is", "have": "has", "belong": "belongs", "entries": "entry", "look": "looks"}
_MANY = {"s": "s", **{word: word for word in _ONE if word != "s"}}
_GOVERNORS = ("instrument", "skymap")


def finding(
    check: str, severity: Severity, what: str, examples: Sequence[str], hint: str, *, count: int | None = None
) -> Iterator[Finding]:
    """Yield a finding, unless there is none of it.

    Parameters
    ----------
    check, severity, hint
        As `Finding` has them.
    what
        The sentence, with ``{n}`` for their number, and ``{s}``, ``{are}``
        and the like for what depends on it.
    examples
        All of them, or some if `count` is given.
    count
        How many there are.
    """
    number = len(examples) if count is None else count
    if number:
        words = _ONE if number == 1 else _MANY
        told = what.format(n=f"{number:,}".replace(",", " "), **words)
        yield Finding(check, severity, told, number, tuple(examples[:_EXAMPLES]), hint)


def check_registry(
    repository: Repository, *, progress: Progress | None = None, cancel: Cancel | None = None
) -> Iterator[Finding]:
    """Look for what is broken or empty in a registry.

    Parameters
    ----------
    repository
        The repository.
    progress
        Called with what is being looked at, and how many tables are done of how many.
    cancel
        Looked at before each table.

    Yields
    ------
    Finding
        What was found.
    """
    kinds = read_kinds(repository)
    infos = {info.name: info for info in repository.collections()}
    held: Held = set()
    governed: dict[str, set[tuple[int, str]]] = {name: set() for name in _GOVERNORS}
    tables = _tables(kinds.values())
    for done, (name, (dimensions, timed)) in enumerate(tables.items()):
        unless_cancelled(cancel, repository.name)
        if progress is not None:
            progress(name, done, len(tables))
        governors = [one for one in _GOVERNORS if one in dimensions]
        table = membership_table(repository, name, dimensions, timed=timed)
        for collection, kind, *values in ask(repository, _holding(table, governors)):
            held.add((collection, kind))
            for governor, value in zip(governors, values, strict=True):
                governed[governor].add((collection, value))
        if timed:
            yield from _overlaps(
                repository, table, dimensions, {kind.id: kind.info.name for kind in kinds.values()}
            )
    yield from _chains(repository, infos)
    yield from _empty(repository, infos, kinds, held)
    yield from _summaries(repository, kinds, held, governed)


def _tables(kinds: Any) -> Mapping[str, tuple[tuple[str, ...], bool]]:
    """Return dimensions of each table of memberships, and whether it has validity ranges."""
    tables: dict[str, tuple[tuple[str, ...], bool]] = {}
    for kind in kinds:
        tables[kind.tags] = (kind.info.dimensions, False)
        if kind.calibrations is not None:
            tables[kind.calibrations] = (kind.info.dimensions, True)
    return tables


def _holding(table: sqlalchemy.TableClause, governors: Sequence[str]) -> sqlalchemy.Select[Any]:
    import sqlalchemy

    columns = (table.c[name] for name in ("collection_id", "dataset_type_id", *governors))
    return sqlalchemy.select(*columns).distinct()


def _overlaps(
    repository: Repository, table: sqlalchemy.TableClause, dimensions: Sequence[str], kinds: Mapping[int, str]
) -> Iterator[Finding]:
    """Find calibrations whose range begins before that of an earlier one ends."""
    import sqlalchemy

    begin, end = validity(table)
    key = [table.c.collection_id, table.c.dataset_type_id, *(table.c[name] for name in dimensions)]
    earlier = sqlalchemy.func.max(end).over(
        partition_by=key, order_by=(begin, end, table.c.dataset_id), rows=(None, -1)
    )
    inner = (
        sqlalchemy.select(*key, begin.label("validity_begin"), earlier.label("earlier_end"))
        .where(begin < end)
        .subquery()
    )
    named = repository.tables.collection.c
    statement = (
        sqlalchemy.select(named.name, inner.c.dataset_type_id, *(inner.c[name] for name in dimensions))
        .join(inner, named.collection_id == inner.c.collection_id)
        .where(inner.c.earlier_end > inner.c.validity_begin, inner.c.validity_begin >= FIRST_MOMENT)
        .order_by(named.name)
    )
    examples = [
        f"{kinds[kind]} of {', '.join(map(str, values)) or 'everything'} in {collection}"
        for collection, kind, *values in ask(repository, statement)
    ]
    yield from finding(
        "overlapping-validity",
        Severity.ERROR,
        "{n} calibration{s} {are} valid at moments at which another of the same data ID is, too",
        examples,
        "A lookup at such a moment fails: decertify one of each with Butler.registry.decertify.",
    )


def _chains(repository: Repository, infos: Mapping[str, CollectionInfo]) -> Iterator[Finding]:
    import sqlalchemy

    chains = [info for info in infos.values() if info.kind is CollectionKind.CHAINED]
    yield from finding(
        "empty-chains",
        Severity.WARNING,
        "{n} chain{s} {have} no members: a search there finds nothing",
        [info.name for info in chains if not info.children],
        "Give them members with Butler.collections.redefine_chain, or remove them.",
    )
    link, one = repository.tables.chain.c, repository.tables.collection.c
    lost = (
        sqlalchemy.select(link.parent, link.child)
        .select_from(repository.tables.chain)
        .outerjoin(repository.tables.collection, link.child == one.collection_id)
        .where(one.collection_id.is_(None))
    )
    yield from finding(
        "lost-members",
        Severity.ERROR,
        "{n} member{s} of chains cannot be found",
        [f"number {child} in chain number {parent}" for parent, child in ask(repository, lost)],
        "Rows were deleted from the database by hand: redefine the chains.",
    )
    yield from finding(
        "repeated-members",
        Severity.NOTE,
        "In {n} chain{s} a collection is held more than once, through chains that are held",
        [told for info in chains if (told := _repeated(info, infos))],
        "It is searched where it comes first; the other places do nothing.",
    )


def _repeated(chain: CollectionInfo, infos: Mapping[str, CollectionInfo]) -> str:
    """Return which members a chain has several times, or nothing."""
    times: Counter[str] = Counter()
    stack, steps = list(chain.children), 0
    while stack and steps < 10 * len(infos) + len(chain.children):  # shared members may multiply without end
        name, steps = stack.pop(), steps + 1
        info = infos.get(name)
        if info is not None and info.kind is CollectionKind.CHAINED and times[name] == 0:
            stack.extend(info.children)
        times[name] += 1
    often = sorted(name for name, number in times.items() if number > 1)
    return f"{chain.name}: {', '.join(often[:3])}" if often else ""


def _empty(
    repository: Repository, infos: Mapping[str, CollectionInfo], kinds: Mapping[str, StoredType], held: Held
) -> Iterator[Finding]:
    ids = _collection_ids(repository)
    full = {collection for collection, _ in held}
    empty: dict[CollectionKind, list[str]] = defaultdict(list)
    for name, info in infos.items():
        if info.kind is not CollectionKind.CHAINED and ids.get(name) not in full:
            empty[info.kind].append(name)
    yield from finding(
        "empty-runs",
        Severity.NOTE,
        "{n} run{s} {are} without a dataset",
        empty[CollectionKind.RUN],
        "Those of runs that failed early can go: `butler remove-runs`.",
    )
    yield from finding(
        "empty-collections",
        Severity.NOTE,
        "{n} tagged or calibration collection{s} {are} without a dataset",
        empty[CollectionKind.TAGGED] + empty[CollectionKind.CALIBRATION],
        "If they are not about to be filled: `butler remove-collections`.",
    )
    used = {kind for _, kind in held}
    yield from finding(
        "unused-dataset-types",
        Severity.NOTE,
        "{n} dataset type{s} {are} without a dataset",
        [name for name, kind in kinds.items() if kind.id not in used],
        "Those registered by mistake can go: `butler remove-dataset-type`.",
    )


def _collection_ids(repository: Repository) -> Mapping[str, int]:
    import sqlalchemy

    column = repository.tables.collection.c
    rows = ask(repository, sqlalchemy.select(column.name, column.collection_id))
    return dict(tuple(row) for row in rows)


def _summaries(
    repository: Repository,
    kinds: Mapping[str, StoredType],
    held: Held,
    governed: Mapping[str, set[tuple[int, str]]],
) -> Iterator[Finding]:
    """Compare what collections are said to hold with what they hold.

    Searches leave out what a collection is not said to hold.
    """
    import sqlalchemy

    summary = repository.tables.summary.c
    said = {
        (collection, kind)
        for collection, kind in ask(
            repository, sqlalchemy.select(summary.collection_id, summary.dataset_type_id)
        )
    }
    collections = {key: name for name, key in _collection_ids(repository).items()}
    types = {kind.id: name for name, kind in kinds.items()}
    unsaid = [f"{types[kind]} in {collections[one]}" for one, kind in sorted(held - said)]
    untrue = [f"{types[kind]} in {collections[one]}" for one, kind in sorted(said - held)]
    used: dict[str, set[str]] = {}
    for governor, pairs in governed.items():
        used[governor] = {value for _, value in pairs}
        written = set(map(tuple, ask(repository, _governors_of(repository, governor))))
        unsaid += [f"{value} in {collections[one]}" for one, value in sorted(pairs - written)]
        untrue += [f"{value} in {collections[one]}" for one, value in sorted(written - pairs)]
    yield from finding(
        "missing-summaries",
        Severity.ERROR,
        "{n} {entries} {are} missing in the summaries of collections: searches pass over what is there",
        unsaid,
        "Something wrote memberships past the middleware: add the rows to the tables collection_summary_*.",
    )
    yield from finding(
        "stale-summaries",
        Severity.NOTE,
        "{n} {entries} in the summaries of collections {are} for what is not there any more",
        untrue,
        "They only cost time; Butler.registry.refresh_collection_summaries takes them away.",
    )
    for governor, values in used.items():
        yield from _unused_governors(repository, governor, values)


def _governors_of(repository: Repository, governor: str) -> sqlalchemy.Select[Any]:
    import sqlalchemy

    tables = repository.tables
    summary = tables.summary_instrument if governor == "instrument" else tables.summary_skymap
    return sqlalchemy.select(summary.c.collection_id, summary.c[governor])


def _unused_governors(repository: Repository, governor: str, used: set[str]) -> Iterator[Finding]:
    import sqlalchemy

    table = sqlalchemy.table(governor, sqlalchemy.column("name"), schema=repository.configuration.namespace)
    names = [name for (name,) in ask(repository, sqlalchemy.select(table.c.name).order_by(table.c.name))]
    yield from finding(
        f"unused-{governor}s",
        Severity.NOTE,
        f"{{n}} {governor}{{s}} {{are}} registered without any dataset",
        [name for name in names if name not in used],
        "They may be waiting for their first data.",
    )
