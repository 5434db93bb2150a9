"""What goes wrong on a simulated connection: a sans-IO line between the conversation and its socket.

The line passes the client's events in and the server's events out, and on the way drops, delays and
spoils them as its faults say. What only a socket can do (`Drop`, `HalfOpen`) is handed out in its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from omnirt.loopback.conversation import Conversation
from omnirt.loopback.script import Drop, Fault, Moment
from omnirt.loopback.wire import Json, decode_envelope

_AUDIO_DELTA = "response.output_audio.delta"


class HalfOpen(msgspec.Struct, frozen=True):
    """From here on the socket is held open, and neither read nor written."""


class Line:
    """A conversation behind its faults; the shell around it calls it like the conversation itself."""

    def __init__(self, talk: Conversation, faults: Sequence[Fault], now: float) -> None:
        self.talk = talk
        self._waiting = [fault for fault in faults if fault.kind not in ("refuse", "hang")]
        self._began = now
        self._out: deque[tuple[float, str | bytes | Drop | HalfOpen]] = deque()
        self._slow_s = 0.0
        self._on: set[str] = set()
        self._ignored: set[str] = set()
        self._client_events: dict[str | None, int] = {}
        self._audio_deltas = 0
        self._raise_connected()
        self._pass_out(now)

    def receive(self, message: str | bytes, now: float) -> None:
        """Take one event of the client."""
        kind = decode_envelope(message).type
        for name in {None, kind}:
            self._client_events[name] = self._client_events.get(name, 0) + 1
        self._raise_due(now)
        for fault in list(self._waiting):
            if fault.at.type in (None, kind) and fault.at.nth_event == self._client_events[fault.at.type]:
                self._raise(fault, now)
        if kind in self._ignored or (kind == "response.cancel" and "ignore_cancel" in self._on):
            return
        self.talk.receive(message, now)
        self._pass_out(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._raise_due(now)
        self.talk.tick(now)
        self._pass_out(now)

    def take(self, now: float) -> list[str | bytes | Drop | HalfOpen]:
        """What is to be sent now, in order."""
        out = []
        while self._out and self._out[0][0] <= now:
            out.append(self._out.popleft()[1])
        return out

    @property
    def wake_at(self) -> float | None:
        """When `tick` and `take` have something to do."""
        times = [self._began + f.at.after_ms / 1000 for f in self._waiting if f.at.after_ms is not None]
        if self._out:
            times.append(self._out[0][0])
        if self.talk.wake_at is not None:
            times.append(self.talk.wake_at)
        return min(times, default=None)

    # faults

    def _raise_connected(self) -> None:
        for fault in list(self._waiting):
            if fault.at == Moment():
                self._raise(fault, self._began)

    def _raise_due(self, now: float) -> None:
        for fault in list(self._waiting):
            after_ms = fault.at.after_ms
            if after_ms is not None and now >= self._began + after_ms / 1000:
                self._raise(fault, now)

    def _raise(self, fault: Fault, now: float) -> None:
        self._waiting.remove(fault)
        match fault.kind:
            case "drop":
                self._put(fault.ending, now)
            case "half_open":
                self._put(HalfOpen(), now)
            case "slow_ms":
                self._slow_s = (fault.slow_ms or 0) / 1000
            case "malformed":
                self._put('{"type":"response.output_audio.delta","delta":', now)
            case "unknown_event":
                event = {"type": "simulator.unknown", "event_id": self.talk.new_id("event")}
                self._put(msgspec.json.encode(event), now)
            case "ignore":
                self._ignored.add(fault.ignore or "")
            case "event":
                self._put(msgspec.json.encode(fault.event), now)
            case kind:
                self._on.add(kind)

    def _pass_out(self, now: float) -> None:
        for event in self.talk.take():
            if "silent" in self._on:
                continue
            if event["type"] == "session.updated" and "no_session_updated" in self._on:
                continue
            if event["type"] == _AUDIO_DELTA:
                self._pass_audio(event, now)
            else:
                for _ in range(2 if "twice" in self._on else 1):
                    self._put(msgspec.json.encode(event), now)

    def _pass_audio(self, event: Json, now: float) -> None:
        if "bad_audio" in self._on:
            self._on.remove("bad_audio")
            event = {**event, "delta": "not base64!"}
        self._put(msgspec.json.encode(event), now)
        self._audio_deltas += 1
        for fault in list(self._waiting):
            if fault.at.audio_delta == self._audio_deltas:
                self._raise(fault, now)

    def _put(self, message: str | bytes | Drop | HalfOpen, now: float) -> None:
        if "ended" in self._on:
            return
        if isinstance(message, Drop | HalfOpen):
            self._on.add("ended")
        self._out.append((now + self._slow_s, message))
