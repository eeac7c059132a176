"""What is wrong with the writing of an expression, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lenticular.butler.explain import upstream

__all__ = ["SYNTAX", "Finding", "Word", "syntax_fault", "words_of"]

SYNTAX = "Strings take single quotes, as in instrument = 'HSC' AND visit IN (1, 2)."

_USAGE = {
    "POINT": "POINT(ra, dec), in degrees",
    "CIRCLE": "CIRCLE(ra, dec, radius), in degrees",
    "BOX": "BOX(ra, dec, width, height), in degrees",
    "POLYGON": "POLYGON(ra1, dec1, ra2, dec2, ra3, dec3 ...), in degrees",
    "REGION": "REGION('CIRCLE ra dec radius'), in degrees",
    "GLOB": "GLOB(physical_filter, 'HSC-*'): a name, then a pattern in quotes",
    "UUID": "UUID('0190...'), with the dataset's UUID in quotes",
}
_JOINING = {"AND", "OR", "NOT"}
_COMPARING = {"EQ", "NE", "LT", "LE", "GT", "GE", "IN", "OVERLAPS"}
_VALUES = {
    "NUMERIC_LITERAL", "TIME_LITERAL", "STRING_LITERAL", "RANGE_LITERAL",
    "QUALIFIED_IDENTIFIER", "SIMPLE_IDENTIFIER", "BIND_NAME",
}  # fmt: skip
_INSTEAD = {"&": "AND", "|": "OR", "!": "NOT", "^": "OR"}
_QUOTES = '"`\u2018\u2019\u201c\u201d'  # the last four as word processors write them


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with an expression."""

    what: str
    """What is wrong."""

    hint: str
    """What to write instead."""

    position: int | None = None
    """Where it begins, counted from 0; `None` if it is nowhere in particular."""

    length: int = 1
    """How many characters it has."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an expression."""

    kind: str
    """Its kind, by upstream's name."""

    start: int
    """Where it begins."""

    end: int
    """Where it ends."""

    text: str
    """How it is written."""

    def finding(self, what: str, hint: str) -> Finding:
        """Return what is wrong with it."""
        return Finding(what, hint, self.start, self.end - self.start)


def words_of(expression: str) -> tuple[Word, ...]:
    """Return the words of an expression, up to the first character that begins none."""
    tokens, _ = upstream.split_tokens(expression)
    return tuple(Word(kind, start, end, expression[start:end]) for kind, start, end in tokens)


def syntax_fault(expression: str) -> Finding | None:
    """Return why upstream's parser refuses an expression; `None` if it does not.

    Parameters
    ----------
    expression
        The expression.
    """
    _, failure = upstream.split_tokens(expression)
    words = words_of(expression)
    if failure is not None:
        return _character(expression, failure)
    refused = upstream.parse_failure(expression)
    if refused is None:
        return None
    reason, place = refused
    if place is None:
        return _call(expression, words, reason)
    if (finding := _brackets(words)) is not None:
        return finding
    if place >= len(expression):
        last = words[-1]
        hint = (
            f"Write a {'condition' if last.kind in _JOINING else 'value'} after {last.text}, or leave it out."
        )
        return last.finding(f"Nothing follows {last.text}", hint)
    number = next((n for n, word in enumerate(words) if word.start == place), len(words) - 1)
    return _word(words, number, reason)


def _character(expression: str, place: int) -> Finding:
    """Tell what is wrong with a character that begins no word."""
    sign = expression[place]
    rest = expression[place:]
    if sign in _QUOTES:
        quoted = re.match(rf"[{_QUOTES}]([^{_QUOTES}']*)[{_QUOTES}]?", rest)
        text, length = (quoted[1], len(quoted[0])) if quoted else ("...", 1)
        return Finding("This is no string", f"Strings take single quotes: write '{text}'.", place, length)
    if sign == "'":
        end = len(rest.splitlines()[0])
        return Finding(
            "The string that begins here has no end",
            "Close it with a single quote in the same line.",
            place,
            end,
        )
    if sign in _INSTEAD:
        length = 2 if rest[:2] == sign * 2 else 1
        word = _INSTEAD[sign]
        return Finding(f"{rest[:length]} is written {word} here", f"Write {word}.", place, length)
    if sign in "[]{}":
        hint = "Write round brackets, as in visit IN (1, 2)."
        return Finding(f"There are no {sign} brackets in an expression", hint, place)
    hint = SYNTAX
    if sign == ".":
        hint = "A name has at most three parts, as visit.timespan.begin; a range is 1..5, inside IN (...)."
    return Finding(f"The character {sign!r} means nothing here", hint, place)


def _brackets(words: tuple[Word, ...]) -> Finding | None:
    open_ones: list[Word] = []
    for word in words:
        if word.kind == "LPAREN":
            open_ones.append(word)
        elif word.kind == "RPAREN":
            if not open_ones:
                return word.finding("This bracket closes nothing", "Leave it out, or open one before it.")
            open_ones.pop()
    if open_ones:
        return open_ones[-1].finding("This bracket is not closed", "Close it with ).")
    return None


def _word(words: tuple[Word, ...], number: int, reason: str) -> Finding:
    """Tell what is wrong with a word in the wrong place."""
    word = words[number]
    if word.kind == "TIME_LITERAL":
        hint = "Write T'2026-01-31T23:59:59', T'61071.5' (MJD), or with a scale T'2026-01-31/tai'."
        return word.finding(reason, hint)
    before = words[number - 1] if number else None
    after = words[number + 1] if number + 1 < len(words) else None
    found = None if before is None else _pair(before, word, after)
    if found is not None:
        return found
    if word.kind in {"AND", "OR", "RPAREN"} and (before is None or before.kind in {*_JOINING, "LPAREN"}):
        place = "closing bracket" if word.kind == "RPAREN" else word.text
        hint = "Each AND and OR stands between two conditions, as in visit = 1 AND detector = 2."
        return word.finding(f"There is no condition before this {place}", hint)
    return word.finding(f"{word.text} is not expected here", SYNTAX)


def _pair(before: Word, word: Word, after: Word | None) -> Finding | None:
    """Tell what is wrong with two words next to each other."""
    found = _doubled(before, word)
    if found is None and word.kind == "SIMPLE_IDENTIFIER":
        found = _foreign(before, word, after)
    if found is not None:
        return found
    if before.kind in _COMPARING and word.kind in {*_JOINING, "RPAREN"}:
        return before.finding(f"There is no value after {before.text}", "Write one, as in visit = 1.")
    if before.kind == "IN" and word.kind != "LPAREN":
        hint = f"Write IN ({word.text}), a list IN (1, 2) or a range IN (1..5)."
        return word.finding("IN takes values in brackets", hint)
    if before.kind in {*_VALUES, "RPAREN"} and word.kind in {*_VALUES, "LPAREN"}:
        hint = "Write AND, OR or a comparison between the two."
        return word.finding(f"Something is missing between {before.text} and {word.text}", hint)
    return None


def _doubled(before: Word, word: Word) -> Finding | None:
    if before.end != word.start:
        return None
    instead = {("EQ", "EQ"): "=", ("LT", "GT"): "!=", ("EQ", "GT"): ">=", ("EQ", "LT"): "<="}.get(
        (before.kind, word.kind)
    )
    if instead is None:
        return None
    written = before.text + word.text
    return Finding(f"{written} is written {instead} here", f"Write {instead}.", before.start, len(written))


def _foreign(before: Word, word: Word, after: Word | None) -> Finding | None:
    """Tell how to write what other languages have."""
    name, value = before.text, after.text if after is not None else "..."
    match word.text.upper():
        case "LIKE" | "ILIKE" | "MATCHES" | "REGEXP" | "GLOB":
            pattern = value.replace("%", "*") if value.startswith("'") else "'HSC-*'"
            hint = f"Write GLOB({name}, {pattern}), with * and ? in the pattern."
        case "BETWEEN":
            hint = f"Write {name} >= 1 AND {name} <= 5 or, for whole numbers, {name} IN (1..5)."
        case "IS":
            hint = f"Write {name} = NULL or {name} != NULL."
        case _:
            return None
    return word.finding(f"There is no {word.text.upper()} in an expression", hint)


def _call(expression: str, words: tuple[Word, ...], reason: str) -> Finding:
    """Tell what is wrong with a call of a function, or with a list."""
    for number, word in enumerate(words[:-1]):
        if word.kind != "SIMPLE_IDENTIFIER" or words[number + 1].kind != "LPAREN":
            continue
        end = _closing(words, number + 1)
        refused = upstream.parse_failure(expression[word.start : words[end].end])
        if refused is not None and refused[0] == reason:
            usage = _USAGE.get(word.text.upper())
            return Finding(
                reason, f"Write {usage}." if usage else SYNTAX, word.start, words[end].end - word.start
            )
    listed = next((word for word in words if word.kind == "IN"), None)
    hint = "In the brackets after IN are numbers, strings, ranges (1..5) and bound names."
    return Finding(reason, hint) if listed is None else listed.finding(reason, hint)


def _closing(words: tuple[Word, ...], number: int) -> int:
    depth = 0
    for place in range(number, len(words)):
        depth += {"LPAREN": 1, "RPAREN": -1}.get(words[place].kind, 0)
        if not depth:
            return place
    return len(words) - 1
