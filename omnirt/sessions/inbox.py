"""The inputs of one session, in order: bounded, answered on acceptance, held back by a wait for idle."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionSendAudioResult
from omnirt.protocol.types import Empty, Result

INPUT_QUEUE_MS = 120_000
"""How much audio a session takes before it goes upstream (`limits.inputQueueMs`)."""
MAX_ENTRIES = 16_384
"""Inputs of any kind in the queue; 120 s of 10 ms chunks are 12,000."""
MAX_TEXT_BYTES = 32 * 1024 * 1024
"""Text and images in the queue."""

Reply = Result | asyncio.Future[Result]


class Entry(Struct, kw_only=True):
    """One input. `reply` is set while its acceptance is held back."""

    reply: asyncio.Future[Result] | None = None

    @property
    def withdrawn(self) -> bool:
        """Whether the host cancelled it before it was accepted."""
        return self.reply is not None and self.reply.cancelled()


class AudioEntry(Entry, gc=False):
    """Audio, then perhaps the end of the turn; `sent_at` is when it went upstream.

    Minutes of it are kept for each session, and the garbage collector would stop everything to look at them.
    """

    data: bytes
    duration_ms: int
    commit: bool
    sent_at: float = 0.0


class EventsEntry(Entry):
    """Events for the provider, then perhaps an ask for a response."""

    events: list[dict[str, Any]]
    size: int = 0
    ask: bool = False
    instructions: str | None = None


class UpdateEntry(Entry):
    """Something to apply to the connection in its turn."""

    apply: Callable[[], Any]


class WaitEntry(Entry):
    """A wait for idle."""

    timeout_s: float
    timer: asyncio.TimerHandle | None = None


class CaughtUpEntry(Entry):
    """Behind what goes upstream once more: when it comes, all of that has gone."""


class Inbox:
    """The queue between the host's inputs and the session's pump."""

    def __init__(self, accepted_audio: Callable[[bytes], None] = lambda _: None) -> None:
        """`accepted_audio` is called with each chunk as it is accepted, before it goes upstream."""
        self._accepted_audio = accepted_audio
        self.forward: Callable[[AudioEntry], bool] = lambda _: False
        """Carries audio upstream at once, if it can, when nothing is before it."""
        self._waiting = False
        """Whether all that was taken from here has been carried out."""
        self._entries: deque[Entry] = deque()
        self._unanswered: deque[Entry] = deque()
        self._ready = asyncio.Event()
        self.caught_up = asyncio.Event()
        """Set unless there is something that has to go upstream once more."""
        self.caught_up.set()
        self._open = False
        self._closed = False
        self._settling = 0
        """Answers given whose callbacks have not run yet."""
        self._behind_waits: tuple[Iterable[WaitEntry], Callable[[], None]] | None = None
        self.queued_ms = 0
        self._text_bytes = 0
        self._refused_ms = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> Reply:
        """Take an input whole.

        Returns:
            Its result, or a future of it while the session starts or a wait for idle is unanswered.

        Raises:
            OmnirtError: `overloaded` when the queue is full; nothing of the input was taken.
        """
        self._check_room(entry)
        if isinstance(entry, AudioEntry):
            self.queued_ms += entry.duration_ms
        elif isinstance(entry, EventsEntry):
            self._text_bytes += entry.size
        if isinstance(entry, WaitEntry) or not self._open or self._unanswered or self._settling:
            self._append(entry)
            entry.reply = asyncio.get_running_loop().create_future()
            self._unanswered.append(entry)
            if isinstance(entry, WaitEntry):
                entry.reply.add_done_callback(lambda _: self._wait_over(entry))
            self._arm()
            return entry.reply
        accepted = self._accepted(entry)
        nothing_before = self._waiting and not self._entries
        if nothing_before and isinstance(entry, AudioEntry) and self.forward(entry):
            self.sent(entry.duration_ms)
        else:
            self._append(entry)
        return accepted

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._ready.set()

    def put_back(self, entry: Entry) -> None:
        """What `next` gave could not be carried out now."""
        self._entries.appendleft(entry)
        if isinstance(entry, EventsEntry):
            self._text_bytes += entry.size
        self._ready.set()

    def take_refused_ms(self) -> int:
        """How much audio found no room since the last call."""
        refused_ms, self._refused_ms = self._refused_ms, 0
        return refused_ms

    def again(self, entries: Sequence[Entry]) -> None:
        """These went upstream, and have to once more, before all others."""
        if entries and self.caught_up.is_set():
            self.caught_up.clear()
            self.put_back(CaughtUpEntry())  # where it is not set, one of these is further back
        for entry in reversed(entries):
            self.put_back(entry)
            if isinstance(entry, AudioEntry):
                self.queued_ms += entry.duration_ms

    def open(self) -> None:
        """The session is connected: answer what was queued, up to the first wait."""
        self._open = True
        self._settle_later()  # behind the reply to the start
        self.answer()

    def fail(self, error: Callable[[], Exception]) -> None:
        """The session will not take these inputs: each unanswered one gets the error."""
        for entry in self._unanswered:
            if entry.reply is not None and not entry.reply.done():
                entry.reply.set_exception(error())
        self._unanswered.clear()
        self._entries.clear()
        self.queued_ms = self._text_bytes = 0

    def waits(self) -> Iterable[WaitEntry]:
        """The unanswered waits for idle, in order."""
        return [e for e in self._unanswered if isinstance(e, WaitEntry) and e.reply and not e.reply.done()]

    def after_waits(self, callback: Callable[[], None]) -> None:
        """Call back once the waits queued so far are answered, before the inputs behind them are."""
        if self._behind_waits is None:
            self._behind_waits = (self.waits(), callback)
            self._call_back()

    def close(self) -> None:
        """The session is ending: nothing more goes upstream, and nothing more is accepted."""
        self._closed = True
        self._entries.clear()

    def _call_back(self) -> None:
        if self._behind_waits is None:
            return
        waits, callback = self._behind_waits
        if all(wait.reply is None or wait.reply.done() for wait in waits):
            self._behind_waits = None
            callback()

    def answer(self) -> None:
        """Answer held-back inputs up to the next unanswered wait."""
        self._call_back()
        while self._unanswered and self._open and not self._closed:
            entry = self._unanswered[0]
            assert entry.reply is not None
            if isinstance(entry, WaitEntry) and not entry.reply.done():
                self._arm()
                return
            self._unanswered.popleft()
            if not entry.reply.done():
                entry.reply.set_result(self._accepted(entry))
                self._settle_later()

    def _settle_later(self) -> None:
        # A future's answer is on its way only when its callbacks ran: until then nothing is answered at once.
        self._settling += 1
        asyncio.get_running_loop().call_soon(self._settled)

    def _settled(self) -> None:
        self._settling -= 1
        if not self._settling:
            self.answer()

    async def next(self) -> Entry:
        """The next input to carry out; those the host withdrew are passed over."""
        while True:
            while self._entries:
                entry = self._entries.popleft()
                if isinstance(entry, EventsEntry):
                    self._text_bytes -= entry.size
                if not entry.withdrawn:
                    return entry
                if isinstance(entry, AudioEntry):
                    self.sent(entry.duration_ms)
            self._ready.clear()
            self._waiting = True
            try:
                await self._ready.wait()
            finally:
                self._waiting = False

    def sent(self, duration_ms: int) -> None:
        """Audio left the queue."""
        self.queued_ms = max(0, self.queued_ms - duration_ms)

    def _accepted(self, entry: Entry) -> Result:
        if isinstance(entry, AudioEntry):
            self._accepted_audio(entry.data)
            return SessionSendAudioResult(accepted_ms=entry.duration_ms, queued_ms=self.queued_ms)
        return Empty()

    def _arm(self) -> None:
        """Start the clock of the wait whose turn it is: every earlier input was accepted."""
        head = self._unanswered[0]
        if self._open and isinstance(head, WaitEntry) and head.timer is None:
            loop = asyncio.get_running_loop()
            head.timer = loop.call_later(head.timeout_s, self._time_out, head)

    def _time_out(self, entry: WaitEntry) -> None:
        if entry.reply is not None and not entry.reply.done():
            message = f"The session was not idle within {entry.timeout_s:g} s; wait again or interrupt it."
            entry.reply.set_exception(OmnirtError("timed_out", message))

    def _wait_over(self, entry: WaitEntry) -> None:
        # However it ended, by a cancel of the host too: what it held back is answered.
        if entry.timer is not None:
            entry.timer.cancel()
        self.answer()

    def _check_room(self, entry: Entry) -> None:
        full = self._fullness(entry)
        if full:
            self._refused_ms += entry.duration_ms if isinstance(entry, AudioEntry) else 0
            message = f"The input queue is full ({full}); send this again when it drained."
            raise OmnirtError("overloaded", message, queuedMs=self.queued_ms)

    def _fullness(self, entry: Entry) -> str:
        """What there is too much of for this input, in words; "" if there is room."""
        if len(self._entries) >= MAX_ENTRIES:
            return f"{len(self._entries)} inputs"
        match entry:
            case AudioEntry() if 0 < self.queued_ms > INPUT_QUEUE_MS - entry.duration_ms:
                return f"{self.queued_ms} ms of audio"
            case EventsEntry() if 0 < self._text_bytes > MAX_TEXT_BYTES - entry.size:
                return f"{self._text_bytes} bytes of texts and images"
        return ""
