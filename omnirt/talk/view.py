"""What a person sees of a talk: its lines, and below them the state and what is typed. Or JSON lines."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from rich.text import Text

from omnirt import terminal
from omnirt.client.streams import Notification
from omnirt.demo.view import Entry, TextView, Who

STATES = {
    "listening": ("●", "green"),
    "userSpeaking": ("●", "bold cyan"),
    "thinking": ("…", "yellow"),
    "speaking": ("▶", "bold green"),
    "reconnecting": ("…", "bold red"),
}
LABELS = {"userSpeaking": "you speak"}


class View(Protocol):
    """Where a talk shows itself."""

    def event(self, event: Notification) -> None:
        """Every notification, as it came."""

    def say(self, who: Who, event: str, text: str, latency_ms: float | None = None) -> None:
        """A line for people."""

    def status(self, state: str, saying: str, typed: str) -> None:
        """The line below: it is drawn anew each time."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class Lines(TextView):
    """For people."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self._began = time.monotonic()

    def event(self, event: Notification) -> None:
        """Shown in words, by `say`."""

    def say(self, who: Who, event: str, text: str, latency_ms: float | None = None) -> None:
        """Prints a line."""
        at_ms = round((time.monotonic() - self._began) * 1000)
        self.show(Entry(at_ms, who, event, terminal.clean(text), latency_ms))

    def status(self, state: str, saying: str, typed: str) -> None:
        """Draws the state, what the agent says just now, and what is typed."""
        if self._live is None:
            return
        sign, style = STATES.get(state, ("·", "dim"))
        line = Text(f"  {self._plain(sign)} {LABELS.get(state, state)}  ", style=style)
        room = max(0, self._console.width - line.cell_len - 4)
        if typed:
            line.append(f"> {terminal.clean(typed)}"[-room:] + "_", style="bold")
        else:
            line.append(self._plain(terminal.clean(saying))[-room:] if room else "", style="dim")
        self._live.update(line, refresh=True)


class JsonLines:
    """For programs: each notification as a JSON object on a line, `{method, params}`, and nothing else."""

    def event(self, event: Notification) -> None:
        """Writes it."""
        terminal.write_json({"method": event.METHOD, "params": event})
        sys.stdout.flush()

    def say(self, who: Who, event: str, text: str, latency_ms: float | None = None) -> None:
        """What the notifications do not say goes to stderr."""
        if who in ("host", "tool"):
            sys.stderr.write(f"{text}\n")

    def status(self, state: str, saying: str, typed: str) -> None:
        """A program has no use for it."""

    def close(self) -> None:
        """Nothing to restore."""


def make_view(*, as_json: bool) -> View:
    """The view that suits the flag."""
    return JsonLines() if as_json else Lines()
