"""Waits for notifications in order, within bounds, and says what came instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

import msgspec

from omnirt.protocol.events import LogMessage
from omnirt.protocol.types import Event

Notification = Event | LogMessage
E = TypeVar("E", bound=Notification)

_PIECES = ("realtime.audio", "realtime.transcriptDelta", "realtime.textDelta")
_LEFT_OUT = ("sessionId", "runId", "seq", "atMs", "audio")
_SHOWN = 30
_LONG = 300


class Expectations:
    """Reads a session's events for a test.

    expect = Expectations(session.events)
    start = await expect.next(RealtimeToolStart, tool_name="get_weather")
    await expect.next(RealtimeResponseEnd, status="completed")

    Args:
        events: `session.events` or `client.notifications()`.
        timeout_s: How long each wait may take.

    Attributes:
        seen: All that was read so far.
    """

    def __init__(self, events: AsyncIterator[Notification], *, timeout_s: float = 30.0) -> None:
        self._events = events
        self._timeout_s = timeout_s
        self.seen: list[Notification] = []

    async def next(self, kind: type[E], **members: Any) -> E:
        """The next event of this kind with these members; others that come before it are passed over.

        Raises:
            AssertionError: It did not come; with all that did.
        """
        begin = len(self.seen)
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    event = await anext(self._events)
                    self.seen.append(event)
                    if isinstance(event, kind) and fits(event, members):
                        return event
        except TimeoutError:
            problem = f"did not come within {self._timeout_s:g} s"
        except StopAsyncIteration:
            problem = "did not come before the end"
        wanted = ", ".join(f"{name}={value!r}" for name, value in members.items())
        came = "\n".join(f"  {line}" for line in listed(self.seen[begin:])[-_SHOWN:])
        raise AssertionError(f"{kind.__name__}({wanted}) {problem}. What came:\n{came or '  nothing'}")

    async def in_order(self, *kinds: type[Notification]) -> list[Notification]:
        """One event of each of these kinds, in this order."""
        return [await self.next(kind) for kind in kinds]

    async def rest(self) -> list[Notification]:
        """All that comes up to the end of the session.

        Raises:
            AssertionError: It does not end.
        """
        begin = len(self.seen)
        try:
            async with asyncio.timeout(self._timeout_s):
                async for event in self._events:
                    self.seen.append(event)
        except TimeoutError:
            last = shown(self.seen[-1]) if self.seen else "nothing"
            raise AssertionError(
                f"The session did not end within {self._timeout_s:g} s after {last}"
            ) from None
        return self.seen[begin:]


def fits(event: Notification, members: dict[str, Any]) -> bool:
    """Whether an event has these members; a function as a value is asked."""
    return all(
        value(getattr(event, name)) if callable(value) else getattr(event, name) == value
        for name, value in members.items()
    )


def listed(events: Iterable[Notification]) -> list[str]:
    """Events for the eyes, a line for each; runs of audio and deltas are counted."""
    lines: list[str] = []
    pieces = 0
    for event in events:
        if event.METHOD in _PIECES:
            pieces += 1
            continue
        if pieces:
            lines.append(f"… {pieces} pieces of audio and text")
            pieces = 0
        lines.append(shown(event))
    return [*lines, f"… {pieces} pieces of audio and text"] if pieces else lines


def shown(event: Notification) -> str:
    """An event on a line, without its audio."""
    members = msgspec.to_builtins(event)
    told = {name: value for name, value in members.items() if name not in _LEFT_OUT}
    text = f"{event.METHOD} {msgspec.json.encode(told).decode()}"
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"
