"""The output queue: order, numbers, bounds, and what an interrupt leaves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from omnirt.protocol.events import RealtimeAudio, RealtimeAudioInterrupted, RealtimeClosed, RealtimeUsage
from omnirt.protocol.types import InputTokens, OutputTokens
from omnirt.rpc.lane import Lane
from omnirt.rpc.lanes import OutputQueue
from tests.support.daemon import driven

ALL = 10**9


def new_queue(limit: int = 10**6) -> OutputQueue:
    queue = OutputQueue(limit, overrun=lambda: None)
    queue.framing = "lines"
    return queue


def audio(item: str, offset: int = 0, size: int = 90, session: str = "s") -> RealtimeAudio:
    return RealtimeAudio(
        session_id=session,
        run_id="r",
        at_ms=offset,
        response_id="resp",
        item_id=item,
        content_index=0,
        audio=b"\0" * size,
        offset_ms=offset,
        delta_ms=20,
        audio_format="pcm16",
    )


def usage(session: str = "s") -> RealtimeUsage:
    return RealtimeUsage(session_id=session, run_id="r", at_ms=1, input=InputTokens(), output=OutputTokens())


def closed(session: str = "s") -> RealtimeClosed:
    return RealtimeClosed(session_id=session, run_id="r", at_ms=1, reason="stopped")


def cut(item: str) -> RealtimeAudioInterrupted:
    return RealtimeAudioInterrupted(
        session_id="s",
        run_id="r",
        at_ms=1,
        item_id=item,
        content_index=0,
        was_playing=True,
        heard_ms=0,
        generated_ms=20,
    )


def leave(queue: OutputQueue, limit: int = ALL, count: int | None = None) -> list[dict[str, Any]]:
    """Takes frames as the writer does, and settles that `count` of them went."""
    frames = queue.take(limit)
    count = len(frames) if count is None else count
    queue.sent(count)
    return [json.loads(frame) for frame in frames[:count]]


def told(messages: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(message["method"].removeprefix("realtime."), message["params"]["seq"]) for message in messages]


def open_lane(queue: OutputQueue, *, audio_stored: bool = True) -> Lane:
    lane = queue.open_lane(audio_stored=audio_stored)
    lane.release()
    return lane


def test_replies_overtake_notifications() -> None:
    queue = new_queue()
    lane = open_lane(queue)
    lane.put(usage())
    queue.put(b'{"id":1}')
    assert leave(queue)[0] == {"id": 1}


def test_lanes_are_served_in_turn_and_each_keeps_its_order() -> None:
    queue = new_queue()
    lanes = [open_lane(queue) for _ in range(3)]
    for lane, name in zip(lanes, "abc", strict=True):
        for _ in range(3):
            lane.put(usage(name))
    sessions = [message["params"]["sessionId"] for message in leave(queue)]
    assert sessions == list("abc") * 3
    assert queue.lane_bytes == 0


def test_nothing_leaves_before_the_release_nor_before_the_framing_is_known() -> None:
    queue = new_queue()
    lane = queue.open_lane()
    lane.put(usage())
    assert leave(queue) == []
    queue.framing = None
    lane.release()
    assert leave(queue) == []
    queue.framing = "headers"
    [frame] = queue.take(ALL)
    assert frame.startswith(b"Content-Length: ")


def test_what_did_not_fit_into_a_write_comes_again_under_the_same_number() -> None:
    queue = new_queue()
    lane, other = open_lane(queue), open_lane(queue)
    for _ in range(3):
        lane.put(usage("a"))
        other.put(usage("b"))
    queue.put(b'{"id":1}')
    first = leave(queue, count=2)
    second = leave(queue, count=0)
    third = leave(queue)
    assert second == []
    assert first[0] == {"id": 1}
    for session in "ab":
        mine = [m["params"]["seq"] for m in first[1:] + third if m["params"]["sessionId"] == session]
        assert mine == [1, 2, 3]


def test_an_interrupt_drops_unsent_audio_of_its_items_and_is_next() -> None:
    queue = new_queue()
    lane = open_lane(queue)
    for event in (usage(), audio("one"), usage(), audio("one", 20), audio("two"), usage()):
        lane.put(event)
    assert told(leave(queue, limit=1)) == [("usage", 1)]
    assert lane.unsent_ms("one", 0) == 40
    lane.interrupt({"one"}, [cut("one"), cut("one")])
    assert lane.unsent_ms("one", 0) == 0
    assert told(leave(queue)) == [
        ("audioInterrupted", 2),
        ("audioInterrupted", 3),
        ("usage", 4),
        ("audio", 5),
        ("usage", 6),
    ]
    assert queue.lane_bytes == 0


def test_the_first_event_of_a_run_stays_the_first() -> None:
    queue = new_queue()
    lane = queue.open_lane()
    lane.put(usage())
    lane.put(audio("one"))
    lane.interrupt({"one"}, [cut("one")])
    lane.release()
    assert told(leave(queue)) == [("usage", 1), ("audioInterrupted", 2)]


def test_audio_beyond_the_bound_becomes_one_flow_in_its_place() -> None:
    queue = new_queue(limit=2000)
    lane = open_lane(queue, audio_stored=False)
    for offset in range(0, 200, 20):
        lane.put(audio("one", offset))
    lane.put(usage())
    lane.put(audio("one", 200))
    lane.put(audio("two", 0))
    left = leave(queue)
    names = [name for name, _ in told(left)]
    assert names == ["audio"] * names.count("audio") + ["flow", "usage", "flow"]
    kept = names.count("audio")
    flow = next(m["params"] for m in left if m["method"] == "realtime.flow")
    assert flow["direction"] == "output"
    assert flow["lost"] is True
    assert (flow["itemId"], flow["fromMs"]) == ("one", kept * 20)
    assert flow["droppedMs"] == (11 - kept) * 20
    assert flow["queuedBytes"] <= 2000
    assert queue.dropped_audio_ms == (12 - kept) * 20
    assert [seq for _, seq in told(left)] == list(range(1, len(left) + 1))


def test_audio_is_taken_again_once_the_host_has_read() -> None:
    queue = new_queue(limit=2000)
    lane = open_lane(queue)
    for offset in range(0, 200, 20):
        lane.put(audio("one", offset))
    leave(queue)
    lane.put(audio("one", 200))
    lane.put(audio("one", 220))
    assert [name for name, _ in told(leave(queue))] == ["audio", "audio"]


def test_a_lane_within_its_share_is_not_starved_by_one_that_is_full() -> None:
    queue = new_queue(limit=8000)
    greedy, modest = open_lane(queue), open_lane(queue)
    for offset in range(0, 2000, 20):
        greedy.put(audio("one", offset))
    modest.put(audio("two"))
    assert ("two", "realtime.audio") in {(m["params"].get("itemId"), m["method"]) for m in leave(queue)}


def test_the_bound_holds_over_all_lanes_and_who_has_most_gives_up_the_end_of_its_audio() -> None:
    queue = new_queue(limit=20_000)
    greedy = open_lane(queue)
    for offset in range(0, 2000, 20):
        greedy.put(audio("one", offset, session="greedy"))
    greedy.put(usage("greedy"))
    modest = [open_lane(queue) for _ in range(4)]
    for offset in range(0, 2000, 20):
        for lane, session in zip(modest, "abcd", strict=True):
            lane.put(audio("two", offset, session=session))
    assert queue.lane_bytes <= 20_000 + 5 * 300, "one flow for each lane"
    assert [lane.queued_bytes() > 3000 for lane in (greedy, *modest)] == [True] * 5
    dropped_ms = queue.dropped_audio_ms
    left = [m for m in leave(queue) if m["params"]["sessionId"] == "greedy"]
    kept = len(left) - 2
    names = [name for name, _ in told(left)]
    assert names == ["audio"] * kept + ["flow", "usage"]
    assert [seq for _, seq in told(left)] == list(range(1, len(left) + 1))
    flow = left[-2]["params"]
    assert (flow["fromMs"], flow["droppedMs"]) == (kept * 20, 2000 - kept * 20)
    assert dropped_ms > flow["droppedMs"]
    assert (queue.lane_bytes, greedy.has_audio, greedy.waiting) == (0, False, False)


def test_flows_of_one_item_leave_no_hole_between_them() -> None:
    queue = new_queue(limit=2000)
    greedy, modest = open_lane(queue), open_lane(queue)
    for offset in range(0, 200, 20):
        greedy.put(audio("one", offset, session="greedy"))
    leave(queue, limit=1)
    greedy.put(audio("one", 200, session="greedy"))
    for offset in (0, 20):
        modest.put(audio("two", offset))
        greedy.put(audio("one", 220 + offset, session="greedy"))
    at_ms = 20
    for message in leave(queue):
        params = message["params"]
        if params["sessionId"] == "greedy":
            assert params.get("fromMs", params.get("offsetMs")) == at_ms
            at_ms += params.get("droppedMs", 20)
    assert at_ms == 260


@driven
async def test_audio_given_up_for_another_lane_keeps_nobody_waiting() -> None:
    queue = new_queue(limit=900)
    queue.opted_out = frozenset({"realtime.flow"})
    greedy, modest = open_lane(queue), open_lane(queue)
    greedy.put(audio("one"))
    greedy.put(audio("one", 20))
    waiting = asyncio.create_task(greedy.flushed())
    await asyncio.sleep(0)
    modest.put(audio("two"))
    [first] = leave(queue, limit=1)
    assert (first["params"]["itemId"], greedy.waiting) == ("one", False)
    await asyncio.wait_for(waiting, 5)
    assert [m["params"]["itemId"] for m in leave(queue)] == ["two"]
    assert queue.lane_bytes == 0


def test_events_that_are_no_audio_go_on_until_the_host_is_given_up() -> None:
    given_up: list[bool] = []
    queue = OutputQueue(1000, overrun=lambda: given_up.append(True))
    queue.framing = "lines"
    lane = open_lane(queue)
    while not given_up:
        lane.put(usage())
    held = queue.lane_bytes
    assert held > 4000
    lane.put(usage())
    queue.put(b"{}")
    assert (queue.lane_bytes, queue.priority_bytes, given_up) == (held, 0, [True])


def test_what_the_host_opted_out_of_takes_no_number() -> None:
    queue = new_queue()
    queue.opted_out = frozenset({"realtime.usage", "realtime.audio", "log.message"})
    lane = open_lane(queue)
    for event in (usage(), audio("one"), closed()):
        lane.put(event)
    queue.log_message("warning", "text")
    assert told(leave(queue)) == [("closed", 1)]


def test_a_closed_lane_sends_what_waits_and_takes_no_more() -> None:
    queue = new_queue()
    lane = open_lane(queue)
    lane.put(closed())
    lane.close()
    lane.put(usage())
    assert queue.open_lanes == 1
    assert told(leave(queue)) == [("closed", 1)]
    assert queue.open_lanes == 0


def test_a_lane_that_was_never_released_tells_nothing() -> None:
    queue = new_queue()
    lane = queue.open_lane()
    lane.put(usage())
    lane.close()
    lane.release()
    assert leave(queue) == []
    assert (queue.open_lanes, queue.lane_bytes) == (0, 0)


@driven
async def test_flushed_returns_when_all_before_it_has_left() -> None:
    queue = new_queue()
    lane = open_lane(queue)
    await lane.flushed()
    lane.put(usage())
    lane.put(audio("one"))
    waiting = asyncio.create_task(lane.flushed())
    await asyncio.sleep(0)
    leave(queue, count=1)
    await asyncio.sleep(0)
    assert not waiting.done()
    lane.put(usage())
    leave(queue, count=1)
    await asyncio.wait_for(waiting, 5)
    assert lane.waiting


@driven
async def test_flushed_does_not_wait_for_audio_that_was_dropped_nor_for_a_reader_that_is_gone() -> None:
    queue = new_queue()
    lane = open_lane(queue)
    lane.put(audio("one"))
    waiting = asyncio.create_task(lane.flushed())
    await asyncio.sleep(0)
    lane.drop_audio({"one"})
    await asyncio.wait_for(waiting, 5)
    lane.put(usage())
    waiting = asyncio.create_task(lane.flushed())
    await asyncio.sleep(0)
    queue.take(ALL)
    queue.abandon()
    await asyncio.wait_for(waiting, 5)
    assert (queue.lane_bytes, queue.open_lanes) == (0, 0)


def test_reading_goes_on_when_enough_replies_have_left() -> None:
    queue = new_queue()
    relieved: list[bool] = []
    for _ in range(10):
        queue.put(b"x" * 100)
    queue.relieved(500, lambda: relieved.append(True))
    queue.take(ALL)
    queue.sent(4)
    assert not relieved
    queue.take(ALL)
    queue.sent(4)
    assert relieved == [True]


def test_events_with_half_characters_are_sent() -> None:
    queue = new_queue()
    lane = open_lane(queue)
    event = closed()
    event.session_id = "a\ud800b"
    lane.put(event)
    assert leave(queue)[0]["params"]["sessionId"] == "a\ufffdb"
