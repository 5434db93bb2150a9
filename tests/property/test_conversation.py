"""A talk in any order of what can happen to it, against a provider that keeps to its protocol.

`test_sessions` feeds anything at all; here the order makes sense, so that more is promised of what is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import away, heard
from omnirt.sessions.turns import CREATE_TIMEOUT_S
from tests.property.test_sessions import assert_pairs
from tests.support import provider_events as pe
from tests.unit.sessions.helpers import Talk, audio_done, words_done

BUSY = "conversation_already_has_active_response"
TRANSCRIPTION = "conversation.item.input_audio_transcription"

Step = Callable[[], None]


class Answer:
    """A response of the provider, while it runs there."""

    def __init__(self, response_id: str) -> None:
        self.response_id = response_id
        self.item_id = ""
        self.words = ""
        self.audio_done = False
        self.words_done = False


class Hearer:
    """Reads what the host is told, event by event, and objects to the first that breaks a promise."""

    def __init__(self) -> None:
        self.read = 0
        self.deltas: defaultdict[tuple[str, str, int], str] = defaultdict(str)
        self.generated: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.cut: set[tuple[str, int]] = set()
        self.over: set[str] = set()
        self.state = ""
        self.at_ms = 0
        self.closed = False

    def hear(self, told: list[Event]) -> None:
        for event in told[self.read :]:
            assert not self.closed, f"{event.METHOD} after the end"
            assert event.at_ms >= self.at_ms
            self.at_ms = event.at_ms
            if not self.read:
                assert isinstance(event, ev.RealtimeState)
                assert event.state == "connected"
            self.read += 1
            self._one(event)

    def _one(self, event: Event) -> None:
        match event:
            case ev.RealtimeState():
                assert event.state != self.state or event.state == "reconnecting", "told when it changes"
                self.state = event.state
            case ev.RealtimeAudio():
                part = event.item_id, event.content_index
                assert part not in self.cut, "no audio of what was cut"
                assert event.response_id not in self.over, "no audio of what ended"
                assert event.offset_ms == self.generated[part]
                self.generated[part] += event.delta_ms
            case ev.RealtimeAudioInterrupted():
                part = event.item_id, event.content_index
                assert part not in self.cut, "cut once"
                assert 0 <= event.heard_ms <= event.generated_ms == self.generated[part]
                self.cut.add(part)
            case ev.RealtimeResponseEnd():
                self.over.add(event.response_id)
            case ev.RealtimeTranscriptDelta() | ev.RealtimeTextDelta():
                self.deltas[event.METHOD[:-5], event.item_id, event.content_index] += event.delta
            case ev.RealtimeTranscriptDone() | ev.RealtimeTextDone():
                said = self.deltas.pop((event.METHOD[:-4], event.item_id, event.content_index), event.text)
                assert event.text == said, "the deltas are the text"
            case ev.RealtimeClosed():
                self.closed = True
            case _:
                pass


class Call(RuleBasedStateMachine):
    """One session: a provider, a host that interrupts, and a connection that drops."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Talk(connected=False)
        self.hearer = Hearer()
        self.count = 0
        self.answer: Answer | None = None
        self.last: Answer | None = None
        """The one before, of which something may come late."""
        self.creates: list[str] = []
        self.read = 0
        self.tools: list[str] = []
        self.speaking = ""
        self.attempt = 0
        """Of the reconnect that goes on; 0 while there is a connection."""
        self.unanswered: list[Any] = []

    def new(self, what: str) -> str:
        self.count += 1
        return f"{what}_{self.count}"

    @property
    def up(self) -> bool:
        return not self.attempt

    @initialize(early=st.booleans())
    def connect(self, early: bool) -> None:
        if early:
            self.talk.feed(pe.item_added(pe.message("item_0", "user")))
            assert self.talk.told == []
        self.talk.core.connected(self.talk.now)
        self.talk.collect()

    # -- the provider

    @precondition(lambda self: self.up and self.answer is None and self.creates)
    @rule()
    def it_answers(self) -> None:
        self.creates.pop(0)
        self.begin()

    @precondition(lambda self: self.up and self.answer is None)
    @rule()
    def it_begins_by_itself(self) -> None:
        refused, self.creates = self.creates, []
        self.begin()
        for event_id in refused:
            self.talk.feed(pe.error("One is running.", event_id=event_id, code=BUSY))

    def begin(self) -> None:
        self.answer = Answer(self.new("resp"))
        self.talk.feed(pe.created(self.answer.response_id))

    @precondition(lambda self: self.up and self.creates)
    @rule(code=st.sampled_from([BUSY, "invalid_value"]))
    def it_refuses(self, code: str) -> None:
        self.talk.feed(pe.error("No.", event_id=self.creates.pop(0), code=code))

    @precondition(lambda self: self.up and self.answer is not None and not self.answer.item_id)
    @rule()
    def it_adds_an_item(self) -> None:
        assert self.answer is not None
        self.answer.item_id = self.new("item")
        item = {**pe.message(self.answer.item_id, "assistant"), "status": "in_progress"}
        self.talk.feed(
            pe.event(
                "response.output_item.added", response_id=self.answer.response_id, output_index=0, item=item
            ),
            pe.item_added(item),
        )

    @precondition(lambda self: self.up and self.saying)
    @rule(ms=st.integers(1, 400))
    def it_speaks(self, ms: int) -> None:
        assert self.answer is not None
        if not self.answer.audio_done:
            self.talk.feed(pe.audio(self.answer.response_id, self.answer.item_id, ms))

    @precondition(lambda self: self.up and self.saying)
    @rule(words=st.sampled_from(["Hello ", "there. ", "你好", "x"]))
    def it_says_words(self, words: str) -> None:
        assert self.answer is not None
        if not self.answer.words_done:
            self.answer.words += words
            self.talk.feed(pe.words(self.answer.response_id, self.answer.item_id, words))

    @precondition(lambda self: self.up and self.saying)
    @rule(audio=st.booleans())
    def it_has_said_all(self, audio: bool) -> None:
        answer = self.answer
        assert answer is not None
        if audio and not answer.audio_done:
            answer.audio_done = True
            self.talk.feed(audio_done(answer.response_id, answer.item_id))
        elif not audio and not answer.words_done:
            answer.words_done = True
            self.talk.feed(words_done(answer.response_id, answer.item_id, answer.words))

    @property
    def saying(self) -> bool:
        return self.answer is not None and self.answer.item_id != ""

    @precondition(lambda self: self.up and self.answer is not None)
    @rule()
    def it_calls_a_tool(self) -> None:
        assert self.answer is not None
        self.tools.append(self.new("call"))
        self.talk.feed(pe.function_call(self.answer.response_id, self.tools[-1], "get_weather"))

    @precondition(lambda self: self.up and self.answer is not None)
    @rule(status=st.sampled_from(["completed", "cancelled", "failed", "incomplete"]))
    def it_ends(self, status: str) -> None:
        assert self.answer is not None
        self.last, self.answer = self.answer, None
        self.talk.feed(pe.done(self.last.response_id, status))

    @precondition(lambda self: self.up and self.last is not None and self.last.item_id)
    @rule()
    def something_comes_late(self) -> None:
        last = self.last
        assert last is not None
        self.talk.feed(
            pe.audio(last.response_id, last.item_id, 20),
            pe.words(last.response_id, last.item_id, "late"),
            words_done(last.response_id, last.item_id, last.words),
            audio_done(last.response_id, last.item_id),
            pe.done(last.response_id),
        )

    # -- the user

    @precondition(lambda self: self.up and not self.speaking)
    @rule()
    def the_user_speaks(self) -> None:
        self.speaking = self.new("item")
        self.talk.feed(pe.speech_started(self.speaking))

    @precondition(lambda self: self.up and self.speaking)
    @rule(words=st.sampled_from(["", "Hello"]))
    def the_user_is_silent(self, words: str) -> None:
        where = {"item_id": self.speaking, "content_index": 0}
        self.talk.feed(
            pe.event("input_audio_buffer.speech_stopped", item_id=self.speaking, audio_end_ms=100),
            pe.event("input_audio_buffer.committed", item_id=self.speaking),
            pe.item_added(pe.message(self.speaking, "user")),
            *([pe.event(f"{TRANSCRIPTION}.delta", delta=words, **where)] if words else []),
            pe.event(f"{TRANSCRIPTION}.completed", transcript=words, **where),
        )
        self.speaking = ""

    # -- the host

    @precondition(lambda self: self.up)
    @rule(instructions=st.none() | st.just("Be brief."))
    def the_host_asks(self, instructions: str | None) -> None:
        self.talk.ask(instructions)

    @rule(played_ms=st.none() | st.integers(0, 500), named=st.booleans())
    def the_host_interrupts(self, played_ms: int | None, named: bool) -> None:
        parts = self.talk.core.playback.parts()
        item_id = parts[-1].item_id if parts and named else None
        self.talk.interrupt(item_id, None, played_ms if item_id else None)

    @rule(played_ms=st.integers(0, 800))
    def the_host_reports(self, played_ms: int) -> None:
        if parts := self.talk.core.playback.parts():
            heard.reported(self.talk.core, parts[-1].item_id, 0, played_ms, self.talk.now)
            self.talk.collect()

    @precondition(lambda self: self.tools)
    @rule(respond=st.booleans())
    def a_tool_answers(self, respond: bool) -> None:
        self.talk.core.turns.tool_answered(self.tools.pop(0), self.talk.now, respond=respond)
        self.talk.core.pump(self.talk.now)
        self.talk.collect()

    # -- time, and the connection

    @rule(seconds=st.floats(0, 2))
    def time_passes(self, seconds: float) -> None:
        self.talk.now += seconds
        heard.settle_played(self.talk.core, self.talk.now)
        self.talk.collect()

    @precondition(lambda self: self.up)
    @rule()
    def the_connection_drops(self) -> None:
        self.unanswered += away.leave(self.talk.core, self.talk.now)
        self.answer = self.last = None
        self.creates, self.speaking = [], ""
        self.next_attempt()

    @precondition(lambda self: not self.up)
    @rule()
    def an_attempt_fails(self) -> None:
        self.next_attempt()

    def next_attempt(self) -> None:
        self.attempt += 1
        away.tell_attempt(self.talk.core, self.talk.now, self.attempt, 0.1, "connectionLost")
        self.talk.collect()

    @precondition(lambda self: not self.up)
    @rule()
    def it_is_back(self) -> None:
        away.come_back(self.talk.core, self.talk.now, self.attempt, 0.5, restored=True)
        self.attempt = 0
        self.talk.collect()
        asks, self.unanswered = self.unanswered, []
        for ask in asks:
            self.talk.ask(ask.instructions)

    # -- what holds

    @invariant()
    def what_is_told_keeps_its_promises(self) -> None:
        self.hearer.hear(self.talk.told)
        if self.hearer.read:
            assert self.hearer.state == self.talk.core.state

    @invariant()
    def what_is_asked_is_asked_of_who_is_there(self) -> None:
        for event in self.talk.sent[self.read :]:
            if event["type"] == "response.create":
                assert self.up
                self.creates.append(event["event_id"])
                assert len(self.creates) == 1, "one at a time"
        self.read = len(self.talk.sent)

    def teardown(self) -> None:
        """When the provider answers what it has to, the talk is idle; and the end ends everything."""
        if not self.hearer.read:
            return
        if not self.up:
            self.it_is_back()
        if self.speaking:
            self.the_user_is_silent("")
        for _ in range(10_000):
            self.what_is_asked_is_asked_of_who_is_there()
            if self.tools:
                self.a_tool_answers(True)
            elif self.answer is not None:
                self.it_ends("completed")
            elif self.creates:
                self.it_answers()
            elif self.talk.core.turns.thinking():
                self.talk.now += CREATE_TIMEOUT_S
                self.talk.core.turns.overdue(self.talk.now)
                self.talk.core.pump(self.talk.now)
                self.talk.collect()
            else:
                break
        assert self.talk.core.responses.running == {}
        self.talk.core.sync_state(self.talk.now)
        self.talk.collect()
        self.what_is_told_keeps_its_promises()
        assert self.talk.core.state == "listening"
        self.talk.close()
        self.talk.close()
        self.talk.feed(pe.created("resp_after"))
        self.hearer.hear(self.talk.told)
        assert self.hearer.closed
        assert_pairs(self.talk.told)


TestCall = Call.TestCase
TestCall.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)
