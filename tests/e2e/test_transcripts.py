"""Every recorded transcript against a real daemon, in every way; and nothing on the wire without one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.framing import Framing
from omnirt.protocol.methods import METHODS
from omnirt.tapes.lines import DaemonLine, Mode, Tape, read_tape
from omnirt.tapes.patterns import Json
from tests.support.expectations import Expected
from tests.support.transcripts import modes, play

FOLDER = Path(__file__).parents[1] / "transcripts"
TRANSCRIPTS = {path.stem: read_tape(path) for path in sorted(FOLDER.glob("*.jsonl"))}
FULL = {"text"}
"""A session takes seconds to start: of those with one, these are played in every way and framing."""


def ways(name: str, transcript: Tape) -> Iterator[tuple[Mode, Framing]]:
    """How a transcript is played here: in every way, and in both framings where that is cheap."""
    for mode in modes(transcript):
        other: Framing = "headers" if mode == "bytes" else "lines"
        both = name in FULL or "session.start" not in methods_of([x.message for x in transcript.host_lines])
        for framing in transcript.framings:
            if both or framing == other or len(transcript.framings) == 1:
                yield mode, framing


def methods_of(messages: list[Json]) -> set[str]:
    """The methods in these messages, batches opened."""
    found: set[str] = set()
    for message in messages:
        for one in message if isinstance(message, list) else [message]:
            if isinstance(one, dict) and isinstance(one.get("method"), str):
                found.add(str(one["method"]))
    return found


WAYS = [
    pytest.param(name, mode, framing, id=f"{name}-{mode}-{framing}")
    for name, transcript in TRANSCRIPTS.items()
    for mode, framing in ways(name, transcript)
]


@pytest.mark.parametrize(("name", "mode", "framing"), WAYS)
def test_the_daemon_does_what_was_recorded(name: str, mode: Mode, framing: Framing) -> None:
    asyncio.run(play(TRANSCRIPTS[name], mode, framing))


def expected_of(transcript: Tape) -> list[Json]:
    lines = [Expected(x.number, x.patterns) for x in transcript.lines if isinstance(x, DaemonLine)]
    return [part.pattern for line in lines for part in line.parts]


def test_every_method_is_in_a_transcript() -> None:
    sent = methods_of([line.message for t in TRANSCRIPTS.values() for line in t.host_lines])
    assert set(METHODS) - sent == set()


def test_every_notification_and_call_is_in_a_transcript() -> None:
    received = methods_of([pattern for t in TRANSCRIPTS.values() for pattern in expected_of(t)])
    assert (set(EVENTS) | set(CALLS)) - received == set()
