"""How the commands show things: tables and colours at a terminal, plain text and JSON for scripts."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from omnirt.protocol.stored_methods import StoredItem, StoredSession

# Control characters, what turns the direction of a line, and halves of characters.
_COMMANDING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")

Advance = Callable[[int, int], None]
"""Told how much of how much is done."""


def write_json(document: object) -> None:
    """One JSON document on a line."""
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")


def write_rows(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; without a terminal a line for each row, its cells separated by tabs."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(row) + "\n" for row in rows)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def write_transcript(session: StoredSession, items: Sequence[StoredItem]) -> None:
    """What was said, with what was not heard marked as such."""
    console = Console(soft_wrap=True, highlight=False)
    facts = [session.agent, when(session.started_at), length(session.duration_ms), *_ending(session)]
    console.print(Text(clean(f"{session.session_id}  {', '.join(facts)}"), style="bold"))
    run_id = items[0].run_id if items else ""
    for item in items:
        if item.run_id != run_id:
            run_id = item.run_id
            console.print(Text("— went on later —", style="dim"))
        line = _line(session, item, plain=not console.is_terminal)
        if line is not None:
            console.print(line)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar on stderr for work that takes a while; none without a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def clean(text: str) -> str:
    """A text of somebody else's for a terminal: on one line, and without characters that command it."""
    return _COMMANDING.sub("�", " ".join(text.split()))


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


def _ending(session: StoredSession) -> list[str]:
    return ["live"] if session.ended_at is UNSET else []


def _line(session: StoredSession, item: StoredItem, *, plain: bool) -> Text | None:
    at = Text().append(f"{length(item.at_ms):>7}  ", style="dim")
    match item.type:
        case "functionCall":
            return at.append(clean(f"calls {item.tool_name} {_json(item.arguments)}"), style="yellow")
        case "functionCallOutput":
            return at.append(clean(f"gets  {_json(item.output)}"), style="yellow")
        case "message":
            if item.role == "assistant":
                return at.append(f"{clean(session.agent)}: ", style="bold green").append(
                    _spoken(item, plain=plain)
                )
            who, style = ("you", "bold cyan") if item.role == "user" else ("system", "bold magenta")
            return at.append(f"{who}: ", style=style).append(clean(_written(item)))


def _spoken(item: StoredItem, *, plain: bool) -> Text:
    """What was heard, and behind it what was not: struck through, or plainly in brackets."""
    generated = item.generated_text if isinstance(item.generated_text, str) else ""
    if not isinstance(item.heard_text, str):
        return Text(clean(generated or "…"))
    heard = item.heard_text
    unheard = generated[len(heard) :] if generated.startswith(heard) else ""
    text = Text(clean(heard))
    if unheard.strip():
        text.append(" " if heard else "")
        text.append(f"[unheard: {clean(unheard)}]" if plain else clean(unheard), style="dim strike")
    return text


def _written(item: StoredItem) -> str:
    parts = item.content if isinstance(item.content, list) else []
    words = {"image": "(an image)", "audio": "(speech)", "text": ""}
    texts = [part.text if part.type == "text" else part.transcript for part in parts]
    return " ".join(
        text if isinstance(text, str) else words[part.type] for part, text in zip(parts, texts, strict=True)
    )


def _json(value: object) -> str:
    if value is UNSET:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
