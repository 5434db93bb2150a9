"""A conversation with the simulator's core, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import struct
import wave
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel

from omnirt.loopback.conversation import Conversation
from omnirt.loopback.parts import Parts
from omnirt.loopback.reading import load_script
from omnirt.loopback.script import Script
from omnirt.loopback.simulator import simulated_parts
from omnirt.loopback.speech import Voice
from tests.support.programs import find_program

Event = dict[str, Any]  # an event as JSON gives it

_MODELS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(RealtimeServerEvent)[0])
}

EXAMPLES = Path(__file__).parents[3] / "examples"
CHUNK = 960  # bytes: 20 ms of PCM16 at 24 kHz


def check(event: Event) -> None:
    """Fail unless this is an event that the provider's own library knows."""
    _MODELS[event["type"]].model_validate(event)


def recording(name: str) -> bytes:
    """The samples of a recording of examples/audio."""
    with wave.open(str(EXAMPLES / "audio" / f"{name}.wav"), "rb") as file:
        return file.readframes(file.getnframes())


def silence(ms: int) -> bytes:
    """Digital silence."""
    return bytes(48 * ms)


def noise(ms: int, loudness: float, seed: int = 7) -> bytes:
    """White noise of a given standard deviation."""
    source = random.Random(seed)
    samples = (max(-32768, min(32767, round(source.gauss(0, loudness)))) for _ in range(24 * ms))
    return b"".join(struct.pack("<h", sample) for sample in samples)


class Talk:
    """Sends events and collects what comes back; the clock stands still unless it is moved."""

    def __init__(
        self,
        script: Script | Mapping[str, object] | None = None,
        *,
        synthesiser: bool = False,
        parts: Parts | None = None,
    ) -> None:
        program = find_program("espeak-ng") if synthesiser else None
        if not isinstance(script, Script):
            script = load_script(script or {})
        self.voice = Voice(program)
        self.now = 100.0
        self.parts = parts or simulated_parts(script, self.voice)
        self.core = Conversation(
            self.parts, tag="t", model="gpt-realtime", now=self.now, expires_at=1_000_003_600
        )
        self.events: list[Event] = []
        self._collect()

    def _collect(self) -> list[Event]:
        fresh: list[Event] = json.loads(json.dumps(self.core.take()))
        for event in fresh:
            check(event)
        self.events += fresh
        return fresh

    def send(self, type_: str, /, **members: object) -> list[Event]:
        """Send one event; returns what comes back at once."""
        self.core.receive(json.dumps({"type": type_, **members}), self.now)
        return self._collect()

    def raw(self, message: str | bytes) -> list[Event]:
        """Send anything."""
        self.core.receive(message, self.now)
        return self._collect()

    def update(self, **session: object) -> list[Event]:
        """Change settings."""
        return self.send("session.update", session={"type": "realtime", **session})

    def detect(self, detection: object, **input_: object) -> list[Event]:
        """Choose the turn detection."""
        return self.update(audio={"input": {"turn_detection": detection, **input_}})

    def say(self, text: str, *, respond: bool = True) -> list[Event]:
        """Write to it, and ask for a response."""
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        fresh = self.send("conversation.item.create", item=item)
        return fresh + (self.send("response.create") if respond else [])

    def speak(self, audio: bytes, chunk: int = CHUNK) -> list[Event]:
        """Append audio in chunks."""
        fresh = []
        for at in range(0, len(audio), chunk):
            data = base64.b64encode(audio[at : at + chunk]).decode()
            fresh += self.send("input_audio_buffer.append", audio=data)
        return fresh

    def advance(self, seconds: float) -> list[Event]:
        """Let time pass, stopping wherever the core wants to be called."""
        until, fresh = self.now + seconds, []
        while (wake := self.core.wake_at) is not None and wake <= until:
            self.now = max(self.now, wake)
            self.core.tick(self.now)
            fresh += self._collect()
        self.now = until
        return fresh

    def finish(self) -> list[Event]:
        """Let time pass until nothing is left to do, speaking what is wanted."""
        fresh = self.advance(600)
        while self.core.wanted:
            for job in self.core.wanted:
                asyncio.run(self.parts.perform(job, lambda: None))
            self.core.tick(self.now)
            fresh += self._collect() + self.advance(600)
        return fresh

    def answer(self, text: str) -> str:
        """What it says to a text."""
        return said([*self.say(text), *self.finish()])


def types(events: Iterable[Event]) -> list[str]:
    """The types of events."""
    return [event["type"] for event in events]


def of(events: Iterable[Event], type_: str) -> list[Event]:
    """The events of a type."""
    return [event for event in events if event["type"] == type_]


def only(events: Iterable[Event], type_: str) -> Event:
    """The one event of a type."""
    [event] = of(events, type_)
    return event


def said(events: Iterable[Event]) -> str:
    """All that was said or written."""
    kinds = ("response.output_audio_transcript.delta", "response.output_text.delta")
    return "".join(event["delta"] for event in events if event["type"] in kinds)


def audio(events: Iterable[Event]) -> bytes:
    """All that could be heard."""
    return b"".join(base64.b64decode(event["delta"]) for event in of(events, "response.output_audio.delta"))


def error(events: Iterable[Event]) -> Event:
    """The one error."""
    found: Event = only(events, "error")["error"]
    return found
