"""What is wrong with an expression that is written well: names, types, and what it leaves open."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lenticular.butler.explain import upstream
from lenticular.butler.explain.syntax import SYNTAX, Finding, Word, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from lsst.daf.butler import Butler, DimensionGroup

__all__ = ["Setting", "meaning_fault", "nearest_names"]

_FUNCTIONS = ("BOX", "CIRCLE", "GLOB", "POINT", "POLYGON", "REGION", "UUID")
_COMPARING = {"EQ", "NE", "LT", "LE", "GT", "GE", "IN", "OVERLAPS"}
_NAMES = {"SIMPLE_IDENTIFIER", "QUALIFIED_IDENTIFIER"}
_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})$")
_MOST_SHOWN = 6


class Setting:
    """What an expression is for.

    Parameters
    ----------
    butler
        The repository's Butler.
    dimensions, datasets
        Dimensions and dataset types of the query.
    bind
        Values for identifiers.
    """

    def __init__(
        self,
        butler: Butler,
        dimensions: DimensionGroup,
        datasets: AbstractSet[str],
        bind: Mapping[str, Any],
    ) -> None:
        self.butler = butler
        self.dimensions = dimensions
        self._datasets = datasets
        self.bind = bind

    @property
    def fields(self) -> set[str]:
        """Names of all fields of the query's dimensions."""
        elements = (self.dimensions.universe[name] for name in self.dimensions.elements)
        return {field for element in elements for field in element.schema.remainder.names}

    def is_strange(self, name: str) -> bool:
        """Tell whether a name is a field of a dataset type that the query does not search for."""
        first, _, rest = name.partition(".")
        known = {*self.dimensions.universe.elements.names, *self._datasets, "timespan"}
        return bool(rest) and first not in known

    def kind(self, name: str) -> str:
        """Return what an identifier holds, by upstream's name; raise as upstream does."""
        return upstream.column_kind(name, self.dimensions, self._datasets, self.bind)

    def complaint(self, text: str) -> str | None:
        """Return what upstream has to complain of a condition."""
        try:
            upstream.read_facts(text, self.dimensions, self._datasets, self.bind)
        except Exception as error:  # noqa: BLE001 - upstream has many
            return str(error) or "cannot be understood"
        return None


def meaning_fault(setting: Setting, expression: str, complaint: str) -> Finding | None:
    """Return what is wrong with an expression that upstream refuses; `None` if all is well.

    Parameters
    ----------
    setting
        What the expression is for.
    expression
        The expression, which upstream's parser takes.
    complaint
        What upstream says.
    """
    words = words_of(expression)
    for number in range(len(words)):
        called = number + 1 < len(words) and words[number + 1].kind == "LPAREN"
        if (finding := _name(setting, words, number, called=called)) is not None:
            return finding
    governor = re.search(r"dependent on (\w+) without constraining", complaint)
    if governor is not None:
        return _open_governor(setting, words, governor[1])
    return _types(setting, expression, words)


def _name(setting: Setting, words: Sequence[Word], number: int, *, called: bool) -> Finding | None:
    """Tell what is wrong with a name."""
    word = words[number]
    if word.kind == "BIND_NAME":
        return None if word.text[1:] in setting.bind else _unbound(setting, word)
    if word.kind not in _NAMES or word.text.upper() == "NULL" or word.text in setting.bind:
        return None
    if called:
        known = word.text.upper() in _FUNCTIONS
        advice = nearest_names(word.text.upper(), _FUNCTIONS, "function")
        return None if known else word.finding(f"There is no function {word.text}", advice)
    try:
        setting.kind(word.text)
    except Exception as error:  # noqa: BLE001 - upstream has many
        return _unknown(setting, words, number, str(error))
    return _not_searched(setting, word) if setting.is_strange(word.text) else None


def _not_searched(setting: Setting, word: Word) -> Finding:
    """Tell of a dataset type of which the query has no datasets, or a dimension written wrongly."""
    first = word.text.partition(".")[0]
    near = nearest_names(first, setting.dimensions.universe.elements.names, "dimension")
    hint = "There are fields of dimensions and, in a query for datasets, of their type."
    what = f"{first!r} is no dimension, and not what the query searches for"
    return word.finding(what, near if near.startswith("Did") else hint)


def _unbound(setting: Setting, word: Word) -> Finding:
    name = word.text[1:]
    known = nearest_names(name, setting.bind, "name with a value") if setting.bind else ""
    return word.finding(
        f"No value is given for {word.text}", f"{known} Give it as bind={{'{name}': ...}}.".strip()
    )


def _unknown(setting: Setting, words: Sequence[Word], number: int, complaint: str) -> Finding:
    word = words[number]
    elements = setting.dimensions.universe.elements
    first, _, rest = word.text.partition(".")
    if complaint.startswith("Ambiguous"):
        choices = complaint.partition("fields: ")[2].rstrip(".").replace("'", "")
        return word.finding(f"{word.text} may be several things", f"Write one of {choices}.")
    if rest and first in elements.names:
        known = elements[first].schema.names
        field, _, part = rest.partition(".")
        if part and field in known:
            return word.finding(f"{first}.{field} has no {part!r}", "Only a span of time has begin and end.")
        return word.finding(
            f"{first} has no field {field!r}", nearest_names(field, known, f"field of {first}")
        )
    own = setting.fields
    before = words[number - 1] if number else None
    advice = nearest_names(first, {*elements.names, *own, *setting.bind}, "dimension or field")
    if not rest and before is not None and before.kind in {"EQ", "NE", "COMMA", "LPAREN"}:
        near = advice if advice.startswith("Did") else ""
        advice = f"If it is text, write '{word.text}' in single quotes. {near}".strip()
    return word.finding(f"There is no dimension or field {word.text!r}", advice)


def _open_governor(setting: Setting, words: Sequence[Word], governor: str) -> Finding:
    """Tell of which instrument, or which skymap, there has to be word."""
    known: list[str] = []
    with suppress(Exception):  # the names are an extra
        records = setting.butler.query_dimension_records(governor, limit=_MOST_SHOWN, explain=False)
        known = sorted(str(record.dataId[governor]) for record in records)
    example = known[0] if known else "HSC"
    there = f" There is {', '.join(known)}." if known else ""
    hint = f"Write {governor} = '{example}' AND ... as well.{there}"
    for word in words:
        first = word.text.partition(".")[0]
        if word.kind in _NAMES and first in setting.dimensions.universe.elements.names:
            group = setting.dimensions.universe[first].minimal_group
            if governor in group.names and first != governor:
                return word.finding(f"{first} means nothing without its {governor}", hint)
    return Finding(f"The {governor} is left open", hint)


def _types(setting: Setting, expression: str, words: Sequence[Word]) -> Finding | None:
    """Find the comparison that upstream refuses."""
    for part in _comparisons(words):
        start, end = part[0].start, part[-1].end
        complaint = setting.complaint(expression[start:end])
        if complaint is None or "without constraining" in complaint:
            continue
        if not any(word.kind in _COMPARING or word.text.upper() == "GLOB" for word in part):
            text = expression[start:end]
            return Finding(
                f"{text} alone is no condition", "Compare it, as in visit = 1.", start, end - start
            )
        names = [word for word in part if word.kind in _NAMES and word.text not in setting.bind]
        values = [word for word in part if word.kind.endswith("_LITERAL")]
        for name in names:
            with suppress(Exception):
                what, hint = _mismatch(name.text, setting.kind(name.text), part, values)
                return Finding(what, hint, start, end - start)
        return Finding(f"This cannot be compared: {complaint.rstrip('.')}", SYNTAX, start, end - start)
    return None


def _comparisons(words: Sequence[Word]) -> list[list[Word]]:
    """Return the conditions between AND, OR, NOT and the brackets around them."""
    parts: list[list[Word]] = [[]]
    for word in words:
        if word.kind in {"AND", "OR", "NOT"} and not (word.kind == "NOT" and parts[-1]):
            parts.append([])
        else:
            parts[-1].append(word)
    return [bare for part in parts if (bare := _balanced(part))]


def _balanced(part: list[Word]) -> list[Word]:
    """Leave out brackets at the ends that have no partner between them."""
    part = list(part)
    while part and (excess := sum({"LPAREN": 1, "RPAREN": -1}.get(word.kind, 0) for word in part)):
        if excess > 0 and part[0].kind == "LPAREN":
            part.pop(0)
        elif excess < 0 and part[-1].kind == "RPAREN":
            part.pop()
        else:
            break
    return part


def _mismatch(name: str, kind: str, part: Sequence[Word], values: Sequence[Word]) -> tuple[str, str]:
    """Return what is wrong with a condition on a column, and what to write instead."""
    if kind not in {"region", "timespan"} and any(word.kind == "OVERLAPS" for word in part):
        return f"{name} overlaps nothing", "Only regions, and spans of time, OVERLAP; else write =, < or >."
    if kind != "string" and part[0].text.upper() == "GLOB":
        return f"{name} is no text, and has no pattern", f"GLOB is for text; write {name} = ... or IN (...)."
    if kind in {"int", "float"}:
        return _no_number(name, values)
    text = values[0].text.strip("'") if values else "..."
    timed = bool(values) and values[0].kind == "STRING_LITERAL"
    times = "T'2026-01-31', T'2026-02-01'"
    return {
        "string": (f"{name} is text", f"Write {name} = '{text}', in single quotes."),
        "datetime": (
            f"{name} is a time",
            f"Write T'{text if timed else '2026-01-31T23:59:59'}', with a T before the quotes.",
        ),
        "timespan": (
            f"{name} is a span of time",
            f"Write {name} OVERLAPS ({times}), or compare {name}.begin and {name}.end with a time.",
        ),
        "region": (
            f"{name} is a region of the sky",
            f"Write {name} OVERLAPS CIRCLE(ra, dec, radius), POINT, BOX or POLYGON, in degrees.",
        ),
        "uuid": (f"{name} is a UUID", f"Write {name} = UUID('...')."),
        "bool": (f"{name} is true or false by itself", f"Write {name} or NOT {name}."),
    }.get(kind, (f"{name} cannot be compared like this", SYNTAX))


def _no_number(name: str, values: Sequence[Word]) -> tuple[str, str]:
    """Return what is wrong with comparing a number with something else."""
    word = next((one for one in values if one.kind in {"STRING_LITERAL", "TIME_LITERAL"}), None)
    text = "" if word is None else word.text.lstrip("Tt").strip("'")
    date = _DATE.match(text)
    if date is not None and name.endswith("day_obs"):
        return f"{name} is a number, of the form YYYYMMDD", f"Write {name} = {''.join(date.groups())}."
    if word is not None and word.kind == "TIME_LITERAL":
        return f"{name} is a number, not a time", "Times are in visit.timespan and exposure.timespan."
    if re.fullmatch(r"[-+.\de]+", text):
        return f"{name} is a number, and '{text}' is text", f"Write {text}, without quotes."
    return f"{name} is a number", "Compare numbers with numbers, and text with text."


def nearest_names(unknown: str, known: Iterable[str], kind: str) -> str:
    """Return a sentence with the names nearest to one that does not exist.

    Parameters
    ----------
    unknown
        The name.
    known
        Names that exist.
    kind
        What they are names of.
    """
    choices = sorted(known)
    near = difflib.get_close_matches(unknown, choices, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    shown = [name for name in choices if not re.fullmatch(r"(?:healpix|htm)\d+", name)]
    return f"There is no such {kind}; there are {', '.join(shown)}."
