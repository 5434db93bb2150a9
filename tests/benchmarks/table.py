"""Figures of a benchmark: medians with their spread, ratios within one run, and whether a target is met."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line: what was measured, the figure, its ratio to a floor, the target, and whether it is met.

    `missed` says in how many of the rounds it was not.
    """

    what: str
    figure: str
    ratio: str = ""
    target: str = ""
    met: bool | None = None
    missed: str = ""


HEAD = Row("what", "figure", "ratio", "target")


class Target(NamedTuple):
    """What a figure or ratio must not exceed (or, with `at_least`, not fall below)."""

    limit: float
    unit: str = "×"
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether `value` meets it."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{_space(self.unit)}"


def median(values: Sequence[float]) -> float:
    """The middle."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of a hundred lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def figure(values: Sequence[float], unit: str) -> str:
    """The median of the rounds, with least and greatest."""
    spread = f" ({short(min(values))}–{short(max(values))})" if len(values) > 1 else ""
    return f"{short(median(values))}{_space(unit)}{spread}"


def plain(what: str, values: Sequence[float], unit: str, target: Target | None = None) -> Row:
    """A figure by itself, against a target in its own unit."""
    return Row(what, figure(values, unit), "", *_judged(values, target))


def against(
    what: str,
    values: Sequence[float],
    unit: str,
    floor: Sequence[float],
    name: str,
    target: Target | None = None,
) -> Row:
    """A figure and its ratio to a floor, round by round, as both met the same noise in one round.

    A target of `at_least` is about how many times less than the floor it is.
    """
    turned = target is not None and target.at_least
    pairs = zip(values, floor, strict=True)
    ratios = [low / value if turned else value / low for value, low in pairs]
    told = f"{figure(ratios, '×')} {'less than ' if turned else ''}{name}"
    return Row(what, figure(values, unit), told, *_judged(ratios, target))


def _judged(values: Sequence[float], target: Target | None) -> tuple[str, bool | None, str]:
    """The target, whether the median meets it, and how many of several rounds did not."""
    if target is None:
        return "", None, ""
    missed = sum(not target.met(value) for value in values)
    return str(target), target.met(median(values)), f"{missed} of {len(values)} not" if missed else ""


def short(value: float) -> str:
    """Three figures that count."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def verdict(row: Row) -> str:
    """The last cell."""
    if row.met is None:
        return ""
    return " ".join(["met" if row.met else "**missed**", *([f"({row.missed})"] if row.missed else [])])


def render(rows: Iterable[Row]) -> str:
    """A Markdown table that is also readable as it stands."""
    lines = [(*HEAD[:4], ""), *((*row[:4], verdict(row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    told = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([told[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *told[1:]])


def _space(unit: str) -> str:
    return unit if unit in ("×", "%") else f" {unit}"
