"""Figures of a benchmark: medians, percentiles, and the table they are printed in."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line: what was measured, the figure, and its ratio or target."""

    what: str
    figure: str
    against: str


def median(values: Sequence[float]) -> float:
    """The middle."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of a hundred lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def spread(values: Sequence[float]) -> str:
    """Least and greatest of the rounds."""
    return f"{min(values):.0f}–{max(values):.0f}"


def render(rows: Iterable[Row]) -> str:
    """The rows under each other, in columns."""
    lines = [tuple(row) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(2)]
    return "\n".join(
        f"{what:<{widths[0]}}  {figure:<{widths[1]}}  {against}" for what, figure, against in lines
    )
