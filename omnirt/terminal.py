"""How commands tell things: tables and colours where they can be shown, plain text and JSON elsewhere."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO

import msgspec

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

MIN_WIDTH = 60
"""On a narrower terminal there is no room for words beside something else."""

# Control characters, what turns the direction of a line, and halves of characters.
_COMMANDING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")


def has_unicode(stream: TextIO) -> bool:
    """Whether any character can be written to it."""
    return (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")


def json_line(document: object, stream: TextIO) -> str:
    """A document as JSON on one line, its characters escaped where the stream does not have them."""
    text = msgspec.json.encode(document).decode()
    return f"{text if has_unicode(stream) else json.dumps(json.loads(text))}\n"


def write_json(document: object) -> None:
    """One JSON document on a line."""
    sys.stdout.write(json_line(document, sys.stdout))


def fail(program: str, kind: str, message: str, *, as_json: bool, code: int = 1) -> int:
    """Tells on stderr why a command can't go on, and to a program on stdout too; returns the exit code."""
    if as_json:
        write_json({"error": {"kind": kind, "message": message}})
    sys.stderr.write(f"{program}: {clean(message)}\n")
    return code


def clean(text: str) -> str:
    """A text of somebody else's for a terminal: on one line, and without characters that command it."""
    return _COMMANDING.sub("�", " ".join(text.split()))


def can_move(console: Console) -> bool:
    """Whether this is a terminal with a cursor to move, and not a pipe, a file or a dumb one."""
    return console.is_terminal and not console.is_dumb_terminal


def beside(console: Console, facts: Sequence[tuple[Text, int]], body: RenderableType) -> RenderableType:
    """Short facts, each with its width (negative: to the right), and a body beside them, or below."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    if console.width < MIN_WIDTH:
        head = Text("  ").join(fact for fact, _ in facts if fact)
        return Group(head, Padding(body, (0, 0, 0, 2)))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _, width in facts:
        justify: Literal["left", "right"] = "right" if width < 0 else "left"
        grid.add_column(justify=justify, width=abs(width), overflow="ellipsis", no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    grid.add_row(*(fact for fact, _ in facts), body)
    return grid


def write_rows(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; where it is too wide a paragraph, and without a terminal cells and tabs, for each row."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(row) + "\n" for row in rows)
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if console.width < _natural_width(titles, rows):
        for first, *others in rows:
            console.print(Text(first, style="bold", overflow="fold"))
            rest = Text(", ".join(filter(None, others)), overflow="fold")
            console.print(Padding(rest, (0, 0, 0, 2), expand=False))  # no spaces to the edge
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _natural_width(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(titles, *rows, strict=True)) - 2


def examples(*lines: str, before: str = "") -> str:
    """What a help ends with, in a parser with `Help`: examples, each a line for a shell.

    Args:
        lines: The examples.
        before: Sentences that stand before them.
    """
    return f"{before}\n\nexamples:\n" + "\n".join(f"  {line}" for line in lines)


class Help(argparse.HelpFormatter):
    """Help in which the examples keep their lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        prose, heading, listing = text.partition("examples:\n")
        wrapped = super()._fill_text(prose, width, indent) if prose.strip() else ""
        return f"{wrapped}\n\n{heading}{listing}".lstrip("\n") if heading else wrapped
