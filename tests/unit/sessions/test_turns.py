"""Whose turn it is: one request for a response at a time, none lost, and idle when nothing is owed."""

from __future__ import annotations

from typing import ClassVar

import pytest

from omnirt.protocol import events as ev
from omnirt.sessions.turns import (
    CANCEL_TIMEOUT_S,
    CREATE_TIMEOUT_S,
    MAX_ASKS,
    SPEECH_REPORT_S,
    VAD_RESPONSE_S,
    Turns,
)
from tests.support import provider_events as pe
from tests.unit.sessions.helpers import Talk

BUSY = "conversation_already_has_active_response"


def committed(item_id: str) -> dict[str, object]:
    return pe.event("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)


def detected(item_id: str) -> list[dict[str, object]]:
    """A turn from its start to its end, as the provider's turn detection tells it."""
    return [
        pe.speech_started(item_id),
        pe.event("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=500),
        committed(item_id),
    ]


def commit(talk: Talk) -> str:
    """The host's commit goes upstream; returns its event id."""
    event_id = talk.core.turns.event_id("commit")
    talk.core.turns.commit_sent(event_id, talk.now)
    talk.core.pump(talk.now)
    talk.collect()
    return event_id


def empty(event_id: str) -> dict[str, object]:
    return pe.error("Empty", event_id=event_id, code="input_audio_buffer_commit_empty")


class TestAsking:
    def test_the_next_ask_waits_for_the_end_of_the_response(self) -> None:
        talk = Talk()
        assert talk.ask("One.")
        assert talk.ask("Two.") == ""
        talk.feed(pe.created("resp_1"))
        assert len(talk.sent) == 1
        talk.feed(pe.done("resp_1"))
        assert [event.get("response") for event in talk.sent] == [
            {"instructions": "One."},
            {"instructions": "Two."},
        ]

    def test_a_create_that_lost_to_the_providers_own_response_is_sent_again_after_it(self) -> None:
        talk = Talk()
        event_id = talk.ask()
        talk.feed(pe.created("resp_vad"), pe.error("Busy", event_id=event_id, code=BUSY))
        assert talk.of(ev.RealtimeError) == []
        assert len(talk.sent) == 1
        talk.feed(pe.done("resp_vad"))
        assert talk.sent_types() == ["response.create", "response.create"]
        assert talk.sent[1]["event_id"] != event_id

    def test_a_create_refused_for_a_response_we_know_nothing_of_is_not_sent_in_a_loop(self) -> None:
        talk = Talk()
        talk.feed(pe.error("Busy", event_id=talk.ask(), code=BUSY))
        talk.feed(pe.event("rate_limits.updated", rate_limits=[]))
        assert len(talk.sent) == 1
        talk.feed(pe.done("resp_unknown"))
        assert len(talk.sent) == 2

    def test_a_create_refused_for_good_is_told_and_not_waited_for(self) -> None:
        talk = Talk()
        talk.feed(pe.error("No such voice", event_id=talk.ask(), code="invalid_value"))
        assert [error.message for error in talk.of(ev.RealtimeError)] == ["No such voice"]
        assert talk.core.turns.idle(talk.now)

    def test_an_ask_that_was_cancelled_is_not_asked_again(self) -> None:
        talk = Talk()
        event_id = talk.ask()
        talk.interrupt()
        talk.feed(pe.error("Busy", event_id=event_id, code=BUSY))
        assert talk.core.turns.idle(talk.now)

    def test_an_ask_cancelled_in_flight_is_cancelled_as_it_begins(self) -> None:
        talk = Talk()
        talk.ask()
        assert talk.interrupt()[0]
        talk.feed(pe.created("resp_1"), pe.audio("resp_1", "item_a", 20))
        assert talk.sent_types() == ["response.create", "response.cancel"]
        assert talk.sent[1]["response_id"] == "resp_1"
        assert talk.of(ev.RealtimeAudio) == []

    def test_asks_beyond_the_bound_are_answered_by_the_last_one(self) -> None:
        turns = Turns()
        for _ in range(10 * MAX_ASKS):
            turns.ask(0.0)
        assert len(turns.asks) == MAX_ASKS


class TestWhatNeverComes:
    def test_an_ask_without_an_answer_is_given_up(self) -> None:
        turns = Turns()
        turns.ask(0.0)
        ask = turns.next_create(0.0)
        assert turns.deadline() == CREATE_TIMEOUT_S
        assert turns.overdue(CREATE_TIMEOUT_S - 0.1) == (None, [])
        assert turns.overdue(CREATE_TIMEOUT_S) == (ask, [])
        assert turns.idle(CREATE_TIMEOUT_S)

    def test_an_ask_that_stays_refused_is_given_up(self) -> None:
        turns = Turns()
        turns.ask(0.0)
        ask = turns.next_create(0.0)
        assert ask
        assert turns.refused(ask.event_id, BUSY, 1.0)
        assert turns.next_create(2.0) is None
        assert turns.deadline() == 1.0 + CREATE_TIMEOUT_S
        assert turns.overdue(1.0 + CREATE_TIMEOUT_S) == (ask, [])
        assert turns.idle(1.0 + CREATE_TIMEOUT_S)
        assert turns.deadline() is None

    def test_a_cancelled_response_that_does_not_end_is_ended(self) -> None:
        turns = Turns()
        turns.created("resp_1")
        [(response_id, event_id)] = turns.cancel_targets(0.0)
        assert turns.cancel_targets(1.0) == []
        assert turns.refused(event_id, "response_cancel_not_active", 1.0)
        assert turns.overdue(CANCEL_TIMEOUT_S) == (None, [response_id])


class TestIdle:
    def test_the_provider_has_a_while_to_report_speech(self) -> None:
        turns = Turns()
        turns.audio_sent(10.0)
        assert not turns.idle(10.0 + SPEECH_REPORT_S - 0.1)
        assert turns.idle_at(10.0) == 10.0 + SPEECH_REPORT_S
        assert turns.idle(10.0 + SPEECH_REPORT_S)

    def test_without_turn_detection_audio_alone_asks_for_nothing(self) -> None:
        turns = Turns(server_vad=False)
        turns.audio_sent(10.0)
        assert turns.idle(10.0)

    def test_nobody_knows_how_long_the_user_will_speak(self) -> None:
        turns = Turns()
        turns.audio_sent(10.0)
        turns.speech_started()
        assert turns.idle_at(100.0) is None
        assert not turns.idle(100.0)

    def test_the_end_of_speech_owes_a_response(self) -> None:
        turns = Turns()
        turns.speech_started()
        turns.speech_stopped("item_u", 5.0)
        assert turns.idle_at(5.0) == 5.0 + VAD_RESPONSE_S
        turns.created("resp_1")
        assert turns.idle_at(5.0) is None
        turns.done("resp_1")
        assert turns.idle(5.0)

    def test_two_responses_at_once_both_have_to_end(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.created("resp_2"), pe.done("resp_2"))
        assert not talk.core.turns.idle(talk.now)
        talk.feed(pe.done("resp_1"))
        assert talk.core.turns.idle(talk.now)


class TestCommits:
    def test_without_turn_detection_a_commit_asks_at_once(self) -> None:
        turns = Turns(server_vad=False)
        turns.commit_sent("omnirt_commit_1", 0.0)
        assert turns.next_create(0.0)

    @pytest.mark.parametrize("item_id", ["item_u", ""])
    def test_under_turn_detection_the_providers_answer_asks(self, item_id: str) -> None:
        talk = Talk()
        talk.core.turns.commit_sent(talk.core.turns.event_id("commit"), talk.now)
        assert talk.sent == []
        talk.feed(committed(item_id))
        assert talk.sent_types() == ["response.create"]

    def test_a_turn_that_the_provider_ended_first_is_answered_once(self) -> None:
        talk = Talk()
        talk.feed(pe.speech_started("item_u"))
        event_id = talk.core.turns.event_id("commit")
        talk.core.turns.commit_sent(event_id, talk.now)
        talk.feed(
            pe.event("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=500),
            committed("item_u"),
            pe.error("Empty", event_id=event_id, code="input_audio_buffer_commit_empty"),
        )
        assert talk.sent == []
        assert talk.of(ev.RealtimeError) == []

    @pytest.mark.parametrize("detection", [True, False])
    def test_a_commit_of_nothing_asks_once(self, detection: bool) -> None:
        talk = Talk()
        talk.core.turns.server_vad = detection
        event_id = commit(talk)
        talk.feed(empty(event_id))
        assert talk.of(ev.RealtimeError) == []
        assert talk.sent_types() == ["response.create"]

    @pytest.mark.parametrize("made_item", [True, False])
    def test_a_commit_behind_an_answered_turn_asks(self, made_item: bool) -> None:
        talk = Talk()
        talk.feed(*detected("item_u"), pe.created("resp_1"), pe.done("resp_1"))
        event_id = commit(talk)
        talk.feed(committed("item_v") if made_item else empty(event_id))
        assert talk.sent_types() == ["response.create"]
        assert talk.of(ev.RealtimeError) == []

    @pytest.mark.parametrize("made_item", [True, False])
    @pytest.mark.parametrize("ended", [True, False])
    def test_the_rest_of_a_detected_turn_is_answered_with_it(self, made_item: bool, ended: bool) -> None:
        talk = Talk()
        talk.feed(*detected("item_u"), pe.created("resp_1"))
        event_id = commit(talk)
        if ended:
            talk.feed(pe.done("resp_1"))
        talk.feed(committed("item_v") if made_item else empty(event_id))
        assert talk.sent == []
        assert talk.of(ev.RealtimeError) == []

    def test_a_commit_in_the_midst_of_new_speech_asks_after_the_response_that_it_interrupts(self) -> None:
        talk = Talk()
        talk.feed(*detected("item_u"), pe.created("resp_1"), pe.speech_started("item_v"))
        commit(talk)
        talk.feed(pe.done("resp_1", "cancelled"), committed("item_v"))
        assert talk.sent_types() == ["response.create"]

    def test_another_refusal_of_a_commit_is_told(self) -> None:
        talk = Talk()
        talk.feed(pe.error("No", event_id=commit(talk), code="server_error"))
        assert len(talk.of(ev.RealtimeError)) == 1
        assert talk.core.turns.idle(talk.now)


class TestDetectionTurnedOff:
    OFF: ClassVar = pe.event("session.updated", session={"audio": {"input": {"turn_detection": None}}})

    def test_speech_that_goes_on_ends(self) -> None:
        talk = Talk()
        talk.core.turns.audio_sent(talk.now)
        talk.feed(pe.speech_started("item_u"), self.OFF)
        assert len(talk.of(ev.RealtimeInputSpeechEnd)) == 1
        assert talk.core.state == "listening"
        assert talk.core.turns.idle(talk.now)

    def test_where_nobody_speaks_nothing_is_told(self) -> None:
        talk = Talk()
        talk.feed(self.OFF)
        assert talk.of(ev.RealtimeInputSpeechEnd) == []


class TestTools:
    def test_the_last_output_of_a_response_asks_for_the_answer_to_all(self) -> None:
        talk = Talk()
        talk.feed(pe.created("r"), pe.function_call("r", "one", "weather"))
        talk.feed(pe.function_call("r", "two", "weather"), pe.done("r"))
        turns = talk.core.turns
        turns.tool_answered("one", talk.now, respond=True)
        assert turns.next_create(talk.now) is None
        turns.tool_answered("two", talk.now, respond=True)
        assert turns.next_create(talk.now)

    def test_an_output_that_wants_no_answer_asks_for_none(self) -> None:
        turns = Turns()
        turns.tool_called("one", "r")
        turns.tool_answered("one", 0.0, respond=False)
        assert turns.idle(0.0)
