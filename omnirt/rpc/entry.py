"""One event in the output queue, encoded as it is put."""

from __future__ import annotations

import asyncio

from msgspec import UNSET

from omnirt.protocol import jsonrpc
from omnirt.protocol.events import RealtimeAudio, RealtimeFlow
from omnirt.protocol.types import Event

ENVELOPE_BYTES = 300
"""What an audio event has besides its audio, for the bound: measured, rounded up."""
_STAMP_BYTES = 20
"""`seq` and `atMs`, which an event gets as it leaves."""


class Entry:
    """One event that waits. `flow` is what it says while it may still change; else `body` is its JSON.

    Its `size` is 0 once it is nothing any more: audio that was given up, and told elsewhere.
    """

    __slots__ = (
        "at_ms",
        "audio_ms",
        "audio_of",
        "body",
        "content_index",
        "flow",
        "marks",
        "method",
        "offset_ms",
        "size",
    )

    def __init__(self, event: Event) -> None:
        self.method = event.METHOD
        self.at_ms = event.at_ms
        self.body = encode_body(event)
        self.audio_of: str | None = None
        if isinstance(event, RealtimeAudio):
            self.audio_of = event.item_id
            self.content_index = event.content_index
            self.audio_ms = event.delta_ms
            self.offset_ms = event.offset_ms
        self.flow: RealtimeFlow | None = event if isinstance(event, RealtimeFlow) else None
        self.size = len(self.body) + _STAMP_BYTES
        self.marks: list[asyncio.Future[None]] = []

    def become(self, flow: RealtimeFlow | None) -> None:
        """From audio to what is told in its place, if anything is."""
        self.audio_of, self.flow = None, flow
        self.method = "" if flow is None else flow.METHOD
        self.body = b"" if flow is None else encode_body(flow)
        self.size = 0 if flow is None else len(self.body) + _STAMP_BYTES

    def resolve(self) -> None:
        """Nobody has to wait for it any more."""
        for mark in self.marks:
            if not mark.done():
                mark.set_result(None)


def encode_body(event: Event) -> bytes:
    """The event's JSON behind its first bracket, without `seq` and `atMs`, which it gets as it leaves."""
    at_ms = event.at_ms
    event.at_ms = UNSET  # type: ignore[assignment] # for the time of the encoding, so that it is left out
    try:
        return _audio_body(event) if isinstance(event, RealtimeAudio) else jsonrpc.encode(event)[1:]
    finally:
        event.at_ms = at_ms


def _audio_body(event: RealtimeAudio) -> bytes:
    """The same of audio, whose base64 is put in afterwards: msgspec's own is ten times as slow."""
    from pybase64 import b64encode  # late: nothing of it is needed for the reply to `initialize`

    data, event.audio = event.audio, b""
    try:
        head, empty, tail = jsonrpc.encode(event).partition(b'"audio":""')
    finally:
        event.audio = data
    return b'%b"audio":"%b"%b' % (head[1:], b64encode(data), tail) if empty else head[1:]
