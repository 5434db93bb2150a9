"""What a sandboxed template may do to values: filters that check before they grow, and the measure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import jinja2
from jinja2.exceptions import SecurityError

MAX_OUTPUT: Final = 256 * 1024
"""Characters of a rendered text, and of every value on the way to it, written out."""
MAX_RANGE: Final = 10_000
MAX_INT_BITS: Final = 4096


class TemplateBudgetError(Exception):
    """The template does too much."""


def collect(parts: Iterable[object]) -> str:
    """The parts as one text, refused as soon as it grows too long."""
    texts: list[str] = []
    length = 0
    for part in parts:
        text = str(part)
        length += len(text)
        measure(length)
        texts.append(text)
    return "".join(texts)


def bounded_join(
    environment: jinja2.Environment,
    value: Iterable[Any],
    d: object = "",
    attribute: str | int | None = None,
) -> str:
    """The filter `join`, measured as it is done."""
    members: Iterable[Any] = value
    if attribute is not None:
        members = map(jinja2.filters.make_attrgetter(environment, attribute), members)
    parts: list[object] = []
    for member in members:
        parts.extend((d, member) if parts else (member,))
    return collect(parts)


def bounded_replace(text: object, old: object, new: object, count: int | None = None) -> str:
    """The filter `replace`, measured before it is done."""
    source, before, after = str(text), str(old), str(new)
    found = source.count(before) if count is None else min(count, source.count(before))
    measure(len(source) + found * (len(after) - len(before)))
    return source.replace(before, after, -1 if count is None else count)


def bounded_indent(text: object, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """The filter `indent`, measured before it is done."""
    pad = width if isinstance(width, str) else " " * min(width, 100)
    lines = str(text).split("\n")
    measure(sum(map(len, lines)) + len(lines) * (len(pad) + 1))
    return "\n".join(
        pad + line if (line.strip() or blank) and (first or index) else line
        for index, line in enumerate(lines)
    )


def bounded_format(text: object, *args: Any, **kwargs: Any) -> str:
    """The filter `format`, without large widths."""
    source = str(text)
    _refuse_widths(source)
    return source % (kwargs or args)


def bounded_round(
    value: float, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common"
) -> float:
    """The filter `round`; a precision of minus a billion would be a number of a billion digits."""
    return jinja2.filters.do_round(value, max(-15, min(precision, 15)), method)


def _refuse_widths(text: str) -> None:
    if re.search(r"\*|\d{4}", text):
        raise SecurityError("a format with a width above 999, or one given as `*`, is not allowed")


def bounded_range(*args: int) -> range:
    """`range`, of at most `MAX_RANGE` numbers."""
    numbers = range(*args)
    if len(numbers) > MAX_RANGE:
        raise TemplateBudgetError(f"its range has more than {MAX_RANGE} numbers")
    return numbers


def refuse_growth(operator: str, left: object, right: object) -> None:
    """Refuses what would be too large before it is made."""
    match operator, left, right:
        case "%", str(), _:
            _refuse_widths(left)
        case "**", int(), int() if left.bit_length() * max(right, 0) > MAX_INT_BITS:
            raise TemplateBudgetError("a number grows too large")
        case "*", int(), int() if left.bit_length() + right.bit_length() > MAX_INT_BITS:
            raise TemplateBudgetError("a number grows too large")
        case ("*", str() | list() | tuple() as many, int(times)) | (
            "*",
            int(times),
            str() | list() | tuple() as many,
        ):
            measure(len(many) * max(times, 0))
        case "+", str() | list() | tuple(), str() | list() | tuple():
            measure(len(left) + len(right))


def weighed(value: Any) -> Any:
    """`value`, when it is not too long written out; what is shared counts as often as it stands there."""
    length = 0
    todo = [value]
    while todo:
        part = todo.pop()
        length += 1
        if isinstance(part, str):
            length += len(part)
        elif isinstance(part, list | tuple):
            todo.extend(part)
        elif isinstance(part, dict):
            todo.extend(part.keys())
            todo.extend(part.values())
        measure(length + len(todo))
    return value


def measure(length: int) -> None:
    """Refuses what is longer than a text may be."""
    if length > MAX_OUTPUT:
        raise TemplateBudgetError("a value grows too large")
