"""How times, lengths and progress of what is stored are shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from omnirt.terminal import can_move

Advance = Callable[[int, int], None]
"""Told how much of how much is done."""


@contextlib.contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar on stderr for work that takes a while; none where it can't move."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not can_move(console)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def when(time: str) -> str:
    """A time of the wire as the clock on the wall shows it."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return time


def length(ms: int) -> str:
    """How long something lasts: `1:02:03`, `2:03`."""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
