"""Upstream's expressions from inside: their words, their faults, and what they are about.

The parser and the meaning of names stay upstream's own; here is only what it
knows and has no public way to tell.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lenticular.butler.upstream import can_plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from lsst.daf.butler import DimensionGroup

    from lenticular.butler.explain.terms import Facts, Leaf

__all__ = ["applied_defaults", "knows", "parse_failure", "read_facts", "split_tokens"]


def knows(results: Any) -> bool:
    """Tell whether the other functions here know the inside of some results."""
    return can_plan(results)


def applied_defaults(results: Any) -> dict[str, Any]:
    """Return the values of the Butler's own data ID that upstream adds to a query.

    Parameters
    ----------
    results
        What a method of upstream's ``Query`` returned, in the context of that query.
    """
    from lsst.daf.butler.queries.predicate_constraints_summary import PredicateConstraintsSummary

    tree, defaults = results._tree, results._driver._default_data_id
    summary = PredicateConstraintsSummary(tree.predicate)
    before = set(summary.constraint_data_id)
    summary.apply_default_data_id(defaults, tree.dimensions, validate_governor_constraints=False)
    return {name: value for name, value in summary.constraint_data_id.items() if name not in before}


@functools.cache
def _lexer() -> Any:
    from lsst.daf.butler.queries.expressions.parser.parserLex import ParserLex

    return ParserLex.make_lexer()


def split_tokens(expression: str) -> tuple[tuple[tuple[str, int, int], ...], int | None]:
    """Cut an expression into its words, as upstream's parser does.

    Parameters
    ----------
    expression
        The expression.

    Returns
    -------
    tokens
        Kind, beginning and end of each.
    failure
        Place of the first character that begins no word, if there is one.
    """
    from lsst.daf.butler.queries.expressions.parser.parserLex import ParserLexError

    lexer = _lexer().clone()
    lexer.input(expression)
    lexer.lineno = 1
    tokens = []
    try:
        while (token := lexer.token()) is not None:
            tokens.append((token.type, token.lexpos, lexer.lexpos))
    except ParserLexError as error:
        return tuple(tokens), error.pos
    return tuple(tokens), None


def parse_failure(expression: str) -> tuple[str, int | None] | None:
    """Return why, and where, upstream's parser refuses an expression; `None` if it does not.

    Parameters
    ----------
    expression
        The expression.
    """
    from lsst.daf.butler.queries.expressions.parser import parse_expression
    from lsst.daf.butler.queries.expressions.parser.parserYacc import ParseError, ParserEOFError

    try:
        parse_expression(expression)
    except ParseError as error:
        return str(error.__cause__ or error), error.pos
    except ParserEOFError as error:
        return str(error), len(expression)
    except Exception as error:  # noqa: BLE001 - upstream's grammar lets more pass than it expects
        return str(error), None
    return None


def read_facts(
    expression: str, dimensions: DimensionGroup, datasets: AbstractSet[str], bind: Mapping[str, Any]
) -> Facts:
    """Return what a condition is about.

    Parameters
    ----------
    expression
        The condition.
    dimensions, datasets
        Dimensions and dataset types of the query that it is for.
    bind
        Values for its identifiers.

    Raises
    ------
    lsst.daf.butler.ButlerUserError
        Raised if it is wrong, beside others for which upstream is not prepared.
    """
    from lsst.daf.butler.queries.convert_args import convert_where_args
    from lsst.daf.butler.queries.tree import ColumnSet

    from lenticular.butler.explain.terms import Facts

    predicate = convert_where_args(dimensions, datasets, expression, bind=dict(bind))
    columns = ColumnSet(dimensions.universe.empty)
    predicate.gather_required_columns(columns)
    governors: set[str] = set()
    predicate.gather_governors(governors)
    rows = predicate.operands
    leaves = [_leaf(one) for one in rows[0]] if len(rows) == 1 else [None]
    return Facts(
        dimensions=frozenset(columns.dimensions.names),
        elements=frozenset(name for name, fields in columns.dimension_fields.items() if fields),
        governors=frozenset(governors),
        datasets=frozenset(str(name) for name, fields in columns.dataset_fields.items() if fields),
        leaves=tuple(leaves),
    )


def _leaf(leaf: Any) -> Leaf | None:
    """Return a comparison of a dimension's column with values; `None` for anything else."""
    from lenticular.butler.explain.terms import Leaf

    operand: Any = None
    operator, values = "", tuple[Any, ...]()
    match leaf.predicate_type:
        case "comparison" if leaf.b.is_literal:
            operand, operator, values = leaf.a, leaf.operator, (leaf.b.value,)
        case "comparison" if leaf.a.is_literal:
            turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(leaf.operator, leaf.operator)
            operand, operator, values = leaf.b, turned, (leaf.a.value,)
        case "in_container" if all(item.is_literal for item in leaf.container):
            operand, operator, values = leaf.member, "in", tuple(item.value for item in leaf.container)
        case "in_range" if leaf.stop is not None:
            operand, operator, values = leaf.member, "range", (leaf.start, leaf.stop - 1, leaf.step)
    end = None
    if operand is not None and operand.expression_type == "unary":
        end = {"begin_of": "begin", "end_of": "end"}.get(operand.operator)
        operand = operand.operand if end else None
    if operand is None or operand.expression_type not in {"dimension_key", "dimension_field"}:
        return None
    if operand.expression_type == "dimension_key":
        return Leaf(operand.dimension.name, None, operand.column_type, operator, values)
    return Leaf(operand.element.name, operand.field, operand.column_type, operator, values, end)


def column_kind(
    name: str, dimensions: DimensionGroup, datasets: AbstractSet[str], bind: Mapping[str, Any]
) -> str:
    """Return what an identifier of an expression holds, by upstream's name for it.

    Parameters
    ----------
    name
        The identifier.
    dimensions, datasets
        Dimensions and dataset types of the query that the expression is for.
    bind
        Values for its identifiers.

    Raises
    ------
    lsst.daf.butler.ButlerUserError
        Raised if there is none of this name.
    """
    from lsst.daf.butler.queries._identifiers import IdentifierContext, interpret_identifier

    return str(interpret_identifier(IdentifierContext(dimensions, datasets, bind), name).column_type)
