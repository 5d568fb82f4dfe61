"""Most templates only name variables and choose among words: those are joined from pieces, without liquid's machinery.

Everything else, and every row where something could come out differently, is left to liquid. A property test compares
the two. Needs liquid's parsed nodes, but imports nothing of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import escape

Piece = Callable[[Mapping[str, Any], Mapping[str, int]], str]

SURELY_SHORT = 64 << 10
"""Characters up to which no limit of liquid's output can have been reached."""
_BUILT_IN = ("now", "today")


class NotStraight(Exception):  # noqa: N818  # a turn to take, not an error
    """Leave it to liquid: this template, or this row."""


def shortened(nodes: Sequence[Any], counts: Sequence[int], *, html: bool) -> list[Piece] | None:
    """Return the pieces of a parsed template whose choices have *counts* options, None where it needs liquid."""
    try:
        return _pieces(nodes, counts, _escaped if html else _as_it_is)
    except NotStraight:
        return None


def joined(pieces: Sequence[Piece], variables: Mapping[str, Any], choices: Mapping[str, int]) -> str | None:
    """Return the text of a row, None where liquid has to decide."""
    try:
        text = "".join([piece(variables, choices) for piece in pieces])
    except NotStraight:
        return None
    return text if len(text) < SURELY_SHORT else None


def _escaped(text: str) -> str:
    return str(escape(text))


def _as_it_is(text: str) -> str:
    return text


def _pieces(nodes: Sequence[Any], counts: Sequence[int], show: Callable[[str], str]) -> list[Piece]:
    return [_piece(node, counts, show) for node in nodes]


def _piece(node: Any, counts: Sequence[int], show: Callable[[str], str]) -> Piece:
    match type(node).__name__:
        case "ContentNode":
            return _said(_newlines(str(node.text)))
        case "OutputNode":
            return _named(node.expression, show)
        case "CaseNode" if not node.blank:
            return _chosen(node, counts, show)
    raise NotStraight


def _newlines(text: str) -> str:
    """Return a text as liquid's output writes it, each time it is given one."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _said(text: str) -> Piece:
    return lambda _variables, _choices: text


def _named(expression: Any, show: Callable[[str], str]) -> Piece:
    if type(expression).__name__ != "FilteredExpression":
        raise NotStraight
    name, instead = _variable(expression.left), _default(expression.filters or [])
    if name in _BUILT_IN or name.startswith("_spin_"):
        raise NotStraight

    def piece(variables: Mapping[str, Any], _choices: Mapping[str, int]) -> str:
        value = variables.get(name)
        if type(value) is str and value:
            return show(_newlines(value) if "\r" in value else value)
        if instead is not None and name not in variables:
            return instead
        raise NotStraight

    return piece


def _variable(expression: Any) -> str:
    if type(expression).__name__ != "Path" or len(expression.path) != 1 or not isinstance(expression.path[0], str):
        raise NotStraight
    return str(expression.path[0])


def _default(filters: Sequence[Any]) -> str | None:
    """Return the literal of `| default: "…"`, None without filters; a literal is a person's own words, never escaped."""
    if not filters:
        return None
    if len(filters) != 1 or filters[0].name != "default" or len(filters[0].args) != 1:
        raise NotStraight
    argument = filters[0].args[0]
    if type(argument).__name__ != "PositionalArgument" or type(argument.value).__name__ != "StringLiteral":
        raise NotStraight
    return _newlines(str(argument.value.value))


def _chosen(node: Any, counts: Sequence[int], show: Callable[[str], str]) -> Piece:
    name = _variable(node.expression)
    if not name.startswith("_spin_") or not name[6:].isdecimal() or int(name[6:]) >= len(counts):
        raise NotStraight
    if len(node.blocks) != counts[int(name[6:])]:
        raise NotStraight
    options = [_option(block, number, counts, show) for number, block in enumerate(node.blocks)]
    return lambda variables, choices: "".join([piece(variables, choices) for piece in options[choices[name]]])


def _option(block: Any, number: int, counts: Sequence[int], show: Callable[[str], str]) -> list[Piece]:
    """Return the pieces of `{% when number %}…`, as the spinner writes it."""
    when = getattr(getattr(block, "expression", None), "expressions", None)
    if when is None or len(when) != 1 or type(when[0]).__name__ != "IntegerLiteral" or when[0].value != number:
        raise NotStraight
    return _pieces(block.block.nodes, counts, show)
