"""What a person sees of the demo: a timeline with a level meter, plain lines, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from omnirt.demo.sound import bars
from omnirt.terminal import beside, can_move, has_unicode, json_line

Who = Literal["host", "you", "agent", "tool", "daemon"]

STYLES: dict[Who, str] = {
    "host": "dim", "you": "bold cyan", "agent": "bold green", "tool": "bold yellow", "daemon": "dim",
}  # fmt: skip
METER_STYLES = {"you": "cyan", "agent": "green"}
METER_WIDTH = 24
METER_EVERY_S = 0.06
"""Quick enough for the eye, and slow enough for a terminal over a network."""


@dataclass(frozen=True)
class Entry:
    """One line of the timeline.

    Attributes:
        at_ms: Since the demo began.
        who: Whose act it is.
        event: What happened, in one word; the same word in `--json`.
        text: For people.
        latency_ms: How long the other side took, where there is such a thing.
        wave: The shape of the sound, as levels from 0 to 1.
        facts: Figures for `--json`.
    """

    at_ms: int
    who: Who
    event: str
    text: str
    latency_ms: float | None = None
    wave: list[float] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)


class View(Protocol):
    """Where the conversation shows itself."""

    def show(self, entry: Entry) -> None:
        """Adds a line to the timeline."""

    def meter(self, you: float, agent: float, saying: str) -> None:
        """Draws how loud both sides are now, and what the agent has said so far."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class JsonView:
    """One JSON object for each line of the timeline."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, entry: Entry) -> None:
        """Writes the entry as a line of JSON."""
        record: dict[str, object] = {
            "atMs": entry.at_ms,
            "who": entry.who,
            "event": entry.event,
            "text": entry.text,
        }
        if entry.latency_ms is not None:
            record["latencyMs"] = round(entry.latency_ms, 1)
        self._out.write(json_line(record | entry.facts, self._out))
        self._out.flush()

    def meter(self, you: float, agent: float, saying: str) -> None:
        """A program has no use for it."""

    def close(self) -> None:
        """Nothing to restore."""


class TextView:
    """The timeline for people; on a terminal that can, in columns and with a meter that moves below it."""

    def __init__(self, out: TextIO) -> None:
        self._ascii = not has_unicode(out)
        self._console = Console(file=out, highlight=False)
        self._you: deque[float] = deque([0.0] * METER_WIDTH, METER_WIDTH)
        self._agent: deque[float] = deque([0.0] * METER_WIDTH, METER_WIDTH)
        self._drawn_at = 0.0
        self._live: Live | None = None
        if can_move(self._console):
            self._live = Live(Text(), console=self._console, transient=True, auto_refresh=False)
            self._live.start()

    def show(self, entry: Entry) -> None:
        """Prints the entry, with its sound below it."""
        at = Text(f"{entry.at_ms / 1000:.2f}s", style="dim")
        who = Text(entry.who, style=STYLES[entry.who])
        latency = Text("" if entry.latency_ms is None else f"{entry.latency_ms:.0f} ms", style="magenta")
        spoken = entry.who in ("you", "agent", "tool")
        words = Text(self._plain(entry.text), style="default" if spoken else "dim", overflow="fold")
        drawing = Text(bars(entry.wave, ascii_only=self._ascii), style=STYLES[entry.who])
        if self._live is None:
            line = f"{at.plain:>8}  {who.plain:<6}  {latency.plain:>8}  {words.plain}"
            self._write(f"{line}\n{'':28}{drawing.plain}" if entry.wave else line)
        else:
            body = Group(words, drawing) if entry.wave else words
            self._console.print(beside(self._console, [(at, -8), (who, 6), (latency, -8)], body))

    def meter(self, you: float, agent: float, saying: str) -> None:
        """Moves both meters on by one step."""
        now = time.monotonic()
        if self._live is None or now - self._drawn_at < METER_EVERY_S:
            return
        self._drawn_at = now
        self._you.append(you)
        self._agent.append(agent)
        line = Text()
        width = max(1, min(METER_WIDTH, (self._console.width - 16) // 2))
        for name, levels in (("you", self._you), ("agent", self._agent)):
            drawing = bars(list(levels)[-width:], ascii_only=self._ascii)
            line.append(f"  {name} {drawing}", style=METER_STYLES[name])
        room = max(0, self._console.width - line.cell_len - 4)
        line.append(f"  {self._plain(saying)[-room:] if room else ''}", style="dim")
        self._live.update(line, refresh=True)

    def close(self) -> None:
        """Takes the meter away."""
        if self._live is not None:
            self._live.stop()

    def _write(self, text: str) -> None:
        self._console.file.write(f"{text}\n")
        self._console.file.flush()

    def _plain(self, text: str) -> str:
        return text.encode("ascii", "replace").decode() if self._ascii else text


def make_view(as_json: bool, out: TextIO | None = None) -> View:
    """The view that suits the flag and the terminal."""
    out = out or sys.stdout
    return JsonView(out) if as_json else TextView(out)
