"""Bounded streams of typed notifications, one for each who asked."""

from __future__ import annotations

import asyncio
from collections import deque

from omnirt.errors import OmnirtError
from omnirt.protocol.events import LogMessage
from omnirt.protocol.types import Event

Notification = Event | LogMessage

MAX_EVENTS = 20_000
MAX_BYTES = 64 * 1024 * 1024
"""About 17 minutes of speech: a reader so far behind will not catch up."""


class EventStream:
    """An async iterator of notifications for one reader.

    Replies come over the same pipe, so a reader that is slow must not hold it up. Instead the stream is
    broken off when `max_events` or `max_bytes` wait unread: it gives what it has and then raises
    `overloaded`. When the daemon dies it gives what it has and raises `DaemonGone`. To wait for it while
    another reader does is an `invalid_request`: each would have a part of it.
    """

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._queue: deque[tuple[Notification, int]] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[object] | None = None

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Notification:
        while not self._queue:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        event, size = self._queue.popleft()
        self._bytes -= size
        return event

    async def _wait(self) -> None:
        if self._reader is not None and not self._reader.cancelling():
            raise OmnirtError("invalid_request", "Another task reads this stream: it is for one reader.")
        reader = self._reader = asyncio.current_task()
        self._changed.clear()
        try:
            await self._changed.wait()
        finally:
            if self._reader is reader:
                self._reader = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be put in."""
        return self._ended

    def push(self, event: Notification, size: int) -> None:
        """Adds a notification of `size` bytes on the wire, or breaks the stream off when it is full."""
        if self._ended:
            return
        if len(self._queue) >= self._max_events or self._bytes + size > self._max_bytes:
            unread = f"{len(self._queue)} notifications ({self._bytes} bytes)"
            self.end(OmnirtError("overloaded", f"The stream was broken off with {unread} unread."))
            return
        self._queue.append((event, size))
        self._bytes += size
        self._changed.set()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes: after what is queued the iteration ends, or raises `error`."""
        if not self._ended:
            self._ended, self._error = True, error
            self._changed.set()
