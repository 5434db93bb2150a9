"""The in-process sink is bounded, numbers what it gives, and ends."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import sink as sinks
from omnirt.sessions.sink import QueueSink
from tests.support.daemon import driven

IDS: dict[str, Any] = {"session_id": "s1", "run_id": "r1", "at_ms": 0}


def audio(item_id: str, size: int = 480, offset_ms: int = 0) -> ev.RealtimeAudio:
    return ev.RealtimeAudio(
        **IDS,
        response_id="r",
        item_id=item_id,
        content_index=0,
        audio=bytes(size),
        offset_ms=offset_ms,
        delta_ms=size // 48,
        audio_format="pcm16",
    )


def state(name: Literal["connected", "listening", "thinking"] = "listening") -> ev.RealtimeState:
    return ev.RealtimeState(**IDS, state=name)


def closed() -> ev.RealtimeClosed:
    return ev.RealtimeClosed(**IDS, reason="stopped")


async def read(sink: QueueSink) -> list[Event]:
    async with asyncio.timeout(5):
        return [event async for event in sink.events()]


@driven
async def test_events_are_numbered_as_they_leave_up_to_closed() -> None:
    sink = QueueSink()
    for event in (state("connected"), audio("a"), audio("b"), state(), closed(), state()):
        sink.put(event)
    sink.interrupt({"a"}, [])
    events = await read(sink)
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert isinstance(events[-1], ev.RealtimeClosed)


@driven
async def test_an_interruption_comes_first_but_behind_the_first_event_of_the_run() -> None:
    sink = QueueSink()
    for event in (state("connected"), state("thinking"), audio("a"), audio("b")):
        sink.put(event)
    cut = ev.RealtimeAudioInterrupted(
        **IDS, item_id="a", content_index=0, was_playing=True, heard_ms=0, generated_ms=10
    )
    assert sink.unsent_ms("a", 0) == 10
    sink.interrupt({"a"}, [cut])
    assert sink.unsent_ms("a", 0) == 0
    sink.close()
    methods = [event.METHOD for event in await read(sink)]
    assert methods == ["realtime.state", "realtime.audioInterrupted", "realtime.state", "realtime.audio"]


@driven
async def test_over_the_bound_the_oldest_audio_goes_and_is_told_once_for_each_item() -> None:
    sink = QueueSink(limit_bytes=1000)
    sink.put(state("connected"))
    for number in range(6):
        sink.put(audio("a" if number < 3 else "b", offset_ms=10 * (number % 3)))
    sink.close()
    assert sink.queued_bytes() <= 1000
    _, one, other, *left = await read(sink)
    assert isinstance(one, ev.RealtimeFlow)
    assert isinstance(other, ev.RealtimeFlow)
    assert (one.item_id, one.from_ms, one.dropped_ms, one.lost) == ("a", 0, 30, False)
    assert (other.item_id, other.from_ms, other.dropped_ms, other.direction) == ("b", 0, 10, "output")
    assert [event.METHOD for event in left] == ["realtime.audio", "realtime.audio"]


@driven
async def test_raw_events_are_bounded_too() -> None:
    sink = QueueSink(limit_bytes=10_000)
    for _ in range(100):
        sink.put(ev.RealtimeRaw(**IDS, event={"type": "response.output_audio.delta", "delta": "A" * 1000}))
    sink.close()
    assert len(await read(sink)) == 6


@driven
async def test_events_of_any_kind_are_bounded() -> None:
    sink = QueueSink()
    for _ in range(sinks.MAX_QUEUED_EVENTS + 100):
        sink.put(state())
    sink.close()
    assert len(await read(sink)) == sinks.MAX_QUEUED_EVENTS


@driven
async def test_a_closed_sink_ends_its_reader_and_each_later_one() -> None:
    sink = QueueSink()
    reading = asyncio.create_task(read(sink))
    sink.put(state())
    sink.close()
    assert len(await reading) == 1
    assert await read(sink) == []
