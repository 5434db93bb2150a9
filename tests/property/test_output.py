"""The output queue in any order of what a daemon does, read by a host as slowly as it likes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omnirt.protocol.events import (
    RealtimeAudio,
    RealtimeAudioInterrupted,
    RealtimeClosed,
    RealtimeItemRemoved,
)
from omnirt.rpc.lane import Lane
from omnirt.rpc.lanes import OutputQueue

LIMIT = 4000
FLOW = 400
"""A `realtime.flow`, rounded up."""
ALL = 10**9
lanes = st.sampled_from(["s1", "s2"])
items = st.sampled_from(["i1", "i2"])


class Output(RuleBasedStateMachine):
    """Two sessions, replies, and a reader that takes some of it now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = OutputQueue(LIMIT, overrun=lambda: None)
        self.queue.framing = "lines"
        self.lanes: dict[str, Lane] = {}
        self.now = 0
        self.replies = 0
        self.replied = 0
        self.seq: Counter[str] = Counter()
        self.at_ms: Counter[str] = Counter()
        self.owed: defaultdict[str, list[str]] = defaultdict(list)
        """Events that are no audio and have not arrived, in order."""
        self.audio_ms: Counter[str] = Counter()
        """Audio that was put and is not accounted for."""
        self.offsets: Counter[tuple[str, str]] = Counter()
        self.cut: set[tuple[str, str]] = set()
        """Items whose interruption has arrived."""
        self.interrupted: set[tuple[str, str]] = set()

    @initialize(released=st.booleans())
    def open(self, released: bool) -> None:
        for name in ("s1", "s2"):
            self.lanes[name] = self.queue.open_lane()
            if released or name == "s1":
                self.lanes[name].release()

    @rule(name=lanes, item=items, ms=st.integers(1, 30))
    def audio(self, name: str, item: str, ms: int) -> None:
        if (name, item) in self.interrupted:
            return  # the conversation sends none
        self.now += 1
        event = RealtimeAudio(
            session_id=name,
            run_id=name,
            at_ms=self.now,
            response_id="resp",
            item_id=item,
            content_index=0,
            audio=bytes(48 * ms),
            offset_ms=self.offsets[name, item],
            delta_ms=ms,
            audio_format="pcm16",
        )
        self.offsets[name, item] += ms
        self.audio_ms[name] += ms
        before = self.queue.lane_bytes
        self.lanes[name].put(event)
        assert self.queue.lane_bytes <= max(LIMIT, before) + FLOW, "audio keeps to the limit"

    @rule(name=lanes)
    def event(self, name: str) -> None:
        self.now += 1
        self.owed[name].append(f"e{self.now}")
        self.lanes[name].put(
            RealtimeItemRemoved(session_id=name, run_id=name, at_ms=self.now, item_id=f"e{self.now}")
        )

    @rule(name=lanes, item=items)
    def interrupt(self, name: str, item: str) -> None:
        if (name, item) in self.interrupted:
            return
        self.interrupted.add((name, item))
        self.audio_ms[name] -= self.lanes[name].unsent_ms(item, 0)
        cut = RealtimeAudioInterrupted(
            session_id=name,
            run_id=name,
            at_ms=self.now,
            item_id=item,
            content_index=0,
            was_playing=True,
            heard_ms=0,
            generated_ms=self.offsets[name, item],
        )
        self.lanes[name].interrupt([item], [cut])

    @rule()
    def reply(self) -> None:
        self.replies += 1
        self.queue.put(json.dumps({"id": self.replies}).encode())

    @rule(name=lanes)
    def release(self, name: str) -> None:
        self.lanes[name].release()

    @rule(limit=st.integers(1, 6000), share=st.floats(0, 1))
    def the_host_reads(self, limit: int, share: float) -> None:
        frames = self.queue.take(limit)
        count = round(len(frames) * share)
        self.queue.sent(count)
        for frame in frames[:count]:
            self.arrived(json.loads(frame))

    def arrived(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self.replied += 1
            assert message["id"] == self.replied, "replies keep their order"
            return
        assert self.replied == self.replies, "a reply never waits behind an event"
        params = message["params"]
        name = params["sessionId"]
        self.seq[name] += 1
        assert params["seq"] == self.seq[name]
        assert params["atMs"] >= self.at_ms[name]
        self.at_ms[name] = params["atMs"]
        match message["method"]:
            case "realtime.audio":
                assert (name, params["itemId"]) not in self.cut, "no audio after its interruption"
                self.audio_ms[name] -= params["deltaMs"]
            case "realtime.flow":
                assert params["droppedMs"] > 0
                self.audio_ms[name] -= params["droppedMs"]
            case "realtime.audioInterrupted":
                self.cut.add((name, params["itemId"]))
            case "realtime.itemRemoved":
                assert params["itemId"] == self.owed[name].pop(0), "what is no audio is never dropped"
            case other:
                assert other == "realtime.closed"

    @invariant()
    def it_is_bounded(self) -> None:
        assert self.queue.lane_bytes == sum(lane.queued_bytes() for lane in self.lanes.values())
        assert not self.queue.closed or self.queue.lane_bytes > LIMIT

    def teardown(self) -> None:
        """When all is read, all has arrived or was told as dropped, and the end is last."""
        if self.queue.closed or not self.lanes:
            return
        for name, lane in self.lanes.items():
            lane.release()
            lane.put(RealtimeClosed(session_id=name, run_id=name, at_ms=self.now, reason="stopped"))
            lane.close()
            self.event(name)
            self.owed[name].pop()
        messages = [json.loads(frame) for frame in self.queue.take(ALL)]
        self.queue.sent(len(messages))
        for message in messages:
            self.arrived(message)
        last = {
            message["params"]["sessionId"]: message["method"] for message in messages if "id" not in message
        }
        assert last == {"s1": "realtime.closed", "s2": "realtime.closed"}
        assert self.replied == self.replies
        assert not any(self.owed.values())
        assert not any(self.audio_ms.values()), "audio that neither came nor was told as dropped"
        assert self.queue.lane_bytes == self.queue.open_lanes == 0


TestOutput = Output.TestCase
TestOutput.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
