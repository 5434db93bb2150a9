"""Section 4's notifications: each comes from its source event, with what that event says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from omnirt.protocol import events as ev
from omnirt.protocol.types import ContentPart, ErrorInfo, InputTokens, OutputTokens
from omnirt.sessions.reading import MAX_CONTENT_INDEX
from tests.support import provider_events as pe
from tests.unit.sessions.helpers import Talk, audio_done, spoken, words_done


def user_words(kind: str, **members: Any) -> dict[str, Any]:
    return pe.event(
        f"conversation.item.input_audio_transcription.{kind}", item_id="item_u", content_index=0, **members
    )


class TestStates:
    def test_connected_is_first_then_listening(self) -> None:
        talk = Talk()
        assert [event.state for event in talk.of(ev.RealtimeState)] == ["connected", "listening"]
        assert talk.told[0] == ev.RealtimeState(session_id="s1", run_id="run1", at_ms=0, state="connected")

    def test_what_comes_before_the_connection_is_told_after_it(self) -> None:
        talk = Talk(connected=False)
        talk.feed(pe.item_added(pe.message("item_1", "user")))
        assert talk.told == []
        talk.now += 1
        talk.core.connected(talk.now)
        talk.collect()
        assert talk.kinds() == ["state", "itemAdded", "state"]
        assert [event.at_ms for event in talk.told] == [1000, 1000, 1000]

    def test_a_spoken_turn_goes_through_all_states(self) -> None:
        talk = Talk()
        talk.feed(pe.speech_started("item_u"))
        talk.feed(pe.event("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=900))
        talk.feed(*spoken("resp_1", "item_a", 100))
        states = [event.state for event in talk.of(ev.RealtimeState)][2:]
        assert states == ["userSpeaking", "listening", "thinking", "speaking", "listening"]

    def test_a_running_tool_is_thinking(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.function_call("resp_1", "call_1", "weather"), pe.done("resp_1"))
        assert talk.core.state == "thinking"

    def test_tools_of_one_id_are_waited_for_one_by_one(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"))
        talk.feed(pe.function_call("resp_1", "", "weather"), pe.function_call("resp_1", "", "time"))
        talk.feed(pe.done("resp_1"))
        talk.core.turns.tool_answered("", talk.now, respond=True)
        assert not talk.core.turns.asks
        talk.core.turns.tool_answered("", talk.now, respond=True)
        assert len(talk.core.turns.asks) == 1

    def test_closing_is_the_last_state(self) -> None:
        talk = Talk()
        talk.core.closing(talk.now)
        talk.collect()
        talk.feed(pe.speech_started("item_u"))
        assert [event.state for event in talk.of(ev.RealtimeState)][-1] == "closing"


class TestSpeechOfTheAgent:
    def test_audio_says_where_it_belongs(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.audio("resp_1", "item_a", 100), pe.audio("resp_1", "item_a", 50))
        first, second = talk.of(ev.RealtimeAudio)
        assert first.audio == b"\x01\x00" * 2400
        assert (first.response_id, first.item_id, first.content_index) == ("resp_1", "item_a", 0)
        assert (first.offset_ms, first.delta_ms, first.audio_format) == (0, 100, "pcm16")
        assert (second.offset_ms, second.delta_ms) == (100, 50)

    def test_audio_end_has_the_length(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.audio("resp_1", "item_a", 120), audio_done("resp_1", "item_a"))
        talk.feed(audio_done("resp_1", "item_a"), pe.done("resp_1"))
        [end] = talk.of(ev.RealtimeAudioEnd)
        assert (end.item_id, end.content_index, end.total_ms) == ("item_a", 0, 120)

    def test_a_response_that_ends_ends_its_audio_and_words(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.words("resp_1", "item_a", "Hel"), pe.audio("resp_1", "item_a", 20))
        talk.feed(pe.done("resp_1", "cancelled", {"type": "cancelled", "reason": "turn_detected"}))
        assert talk.kinds()[-6:] == [
            "audioEnd",
            "transcriptDone",
            "agentEnd",
            "responseEnd",
            "usage",
            "state",
        ]
        [end] = talk.of(ev.RealtimeResponseEnd)
        assert (end.status, end.reason) == ("cancelled", "turn_detected")

    def test_late_audio_of_a_response_that_ended_goes_nowhere(self) -> None:
        talk = Talk()
        talk.feed(*spoken("resp_1", "item_a", 100), pe.audio("resp_1", "item_b", 100))
        assert len(talk.of(ev.RealtimeAudio)) == 1

    def test_audio_after_the_end_of_its_part_goes_nowhere(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.audio("resp_1", "item_a", 20), audio_done("resp_1", "item_a"))
        talk.feed(pe.audio("resp_1", "item_a", 20))
        assert len(talk.of(ev.RealtimeAudio)) == 1

    def test_an_empty_chunk_of_audio_is_none(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.audio("resp_1", "item_a", 0))
        assert talk.of(ev.RealtimeAudio) == []
        assert talk.core.state == "thinking"

    def test_transcripts_come_in_pieces_and_whole(self) -> None:
        talk = Talk()
        talk.feed(
            pe.created("resp_1"), pe.words("resp_1", "item_a", "Hel"), pe.words("resp_1", "item_a", "o")
        )
        talk.feed(words_done("resp_1", "item_a", "Hello."))
        assert [(d.item_id, d.role, d.delta) for d in talk.of(ev.RealtimeTranscriptDelta)] == [
            ("item_a", "assistant", "Hel"),
            ("item_a", "assistant", "o"),
        ]
        [done] = talk.of(ev.RealtimeTranscriptDone)
        assert (done.item_id, done.content_index, done.role, done.text) == (
            "item_a",
            0,
            "assistant",
            "Hello.",
        )

    def test_a_transcript_is_ended_once(self) -> None:
        talk = Talk()
        talk.feed(*spoken("resp_1", "item_a", 20)[:-1], words_done("resp_1", "item_a", "Hello"))
        assert len(talk.of(ev.RealtimeTranscriptDone)) == 1

    def test_text_output_is_text(self) -> None:
        talk = Talk()
        where = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 1}
        talk.feed(pe.created("resp_1"), pe.event("response.output_text.delta", delta="Hi", **where))
        talk.feed(pe.event("response.output_text.done", text="Hi!", **where), pe.done("resp_1"))
        [delta], [done] = talk.of(ev.RealtimeTextDelta), talk.of(ev.RealtimeTextDone)
        assert (delta.delta, delta.content_index, delta.role) == ("Hi", 1, "assistant")
        assert (done.text, done.content_index, done.role) == ("Hi!", 1, "assistant")
        assert [r.text for r in talk.core.responses.take_ended()] == ["Hi!"]


class TestSpeechOfTheUser:
    def test_speech_begins_and_ends(self) -> None:
        talk = Talk()
        talk.feed(pe.event("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=320))
        talk.feed(pe.event("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=1200))
        [start], [end] = talk.of(ev.RealtimeInputSpeechStart), talk.of(ev.RealtimeInputSpeechEnd)
        assert (start.item_id, start.audio_ms) == ("item_u", 320)
        assert (end.item_id, end.audio_ms) == ("item_u", 1200)

    def test_speech_that_was_reported_twice_begins_once(self) -> None:
        talk = Talk()
        talk.feed(pe.speech_started("item_u"), pe.speech_started("item_u"))
        assert len(talk.of(ev.RealtimeInputSpeechStart)) == 1

    def test_a_commit_ends_speech(self) -> None:
        talk = Talk()
        committed = pe.event("input_audio_buffer.committed", item_id="item_u", previous_item_id=None)
        talk.feed(pe.speech_started("item_u"), committed, committed)
        assert [end.item_id for end in talk.of(ev.RealtimeInputSpeechEnd)] == ["item_u"]

    def test_an_idle_timeout_is_told(self) -> None:
        talk = Talk()
        talk.feed(
            pe.event("input_audio_buffer.timeout_triggered", item_id="i", audio_start_ms=10, audio_end_ms=600)
        )
        [timeout] = talk.of(ev.RealtimeInputTimeout)
        assert (timeout.item_id, timeout.audio_ms) == ("i", 600)

    def test_words_come_in_pieces_and_whole_and_the_item_gets_them(self) -> None:
        talk = Talk()
        talk.feed(pe.item_added(pe.message("item_u", "user", {"type": "input_audio", "transcript": None})))
        talk.feed(user_words("delta", delta="Goo"), user_words("completed", transcript="Good day"))
        [delta], [done] = talk.of(ev.RealtimeTranscriptDelta), talk.of(ev.RealtimeTranscriptDone)
        assert (delta.role, delta.delta) == ("user", "Goo")
        assert (done.role, done.text, done.error) == ("user", "Good day", UNSET)
        [updated] = talk.of(ev.RealtimeItemUpdated)
        assert updated.item.content == [ContentPart(type="audio", transcript="Good day")]

    def test_words_that_could_not_be_had_say_why(self) -> None:
        talk = Talk()
        error = {"type": "transcription_error", "code": "audio_unintelligible", "message": "No words."}
        talk.feed(user_words("failed", error=error))
        [done] = talk.of(ev.RealtimeTranscriptDone)
        assert done.text == ""
        assert done.error == ErrorInfo(
            kind="provider_error", message="No words.", code="audio_unintelligible"
        )

    def test_transcription_by_time_counts_seconds(self) -> None:
        talk = Talk()
        talk.feed(user_words("completed", transcript="Yes", usage={"type": "duration", "seconds": 1.5}))
        assert [usage.seconds for usage in talk.of(ev.RealtimeUsage)] == [1.5]


class TestItems:
    def test_an_item_is_added_then_only_its_changes_are_told(self) -> None:
        talk = Talk()
        item = pe.message("item_1", "user", {"type": "input_text", "text": "Hello"})
        talk.feed(
            pe.item_added({**item, "status": "in_progress"}), pe.event("conversation.item.done", item=item)
        )
        talk.feed(pe.event("conversation.item.done", item=item))
        [added], [updated] = talk.of(ev.RealtimeItemAdded), talk.of(ev.RealtimeItemUpdated)
        assert (added.item.item_id, added.item.status, added.item.role) == ("item_1", "inProgress", "user")
        assert updated.item.status == "completed"

    def test_an_item_never_carries_audio_or_images(self) -> None:
        talk = Talk()
        talk.feed(
            pe.item_added(
                pe.message(
                    "item_1",
                    "user",
                    {"type": "input_audio", "audio": "QUJD", "transcript": "Hm"},
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
                )
            )
        )
        [added] = talk.of(ev.RealtimeItemAdded)
        assert added.item.content == [ContentPart(type="audio", transcript="Hm"), ContentPart(type="image")]
        assert b"QUJD" not in msgspec.json.encode(added)

    def test_function_calls_and_their_outputs_are_items(self) -> None:
        talk = Talk()
        talk.feed(pe.created("r"), pe.function_call("r", "call_1", "weather", '{"city": "Rome"}'))
        output = {"id": "item_o", "type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
        talk.feed(pe.item_added(output))
        call, result = [event.item for event in talk.of(ev.RealtimeItemAdded)]
        assert (call.type, call.tool_call_id, call.tool_name) == ("functionCall", "call_1", "weather")
        assert call.arguments == {"city": "Rome"}
        assert (result.type, result.tool_call_id, result.output) == ("functionCallOutput", "call_1", "Sunny")

    def test_a_removed_item_is_told_if_it_was_known(self) -> None:
        talk = Talk()
        talk.feed(pe.item_added(pe.message("item_1", "user")))
        talk.feed(pe.event("conversation.item.deleted", item_id="item_1"))
        talk.feed(pe.event("conversation.item.deleted", item_id="item_1"))
        assert [event.item_id for event in talk.of(ev.RealtimeItemRemoved)] == ["item_1"]

    def test_a_truncated_item_says_what_was_heard(self) -> None:
        talk = Talk()
        talk.feed(pe.item_added(pe.message("item_1", "assistant")))
        talk.feed(
            pe.event("conversation.item.truncated", item_id="item_1", content_index=0, audio_end_ms=740)
        )
        [updated] = talk.of(ev.RealtimeItemUpdated)
        assert (updated.item.heard_ms, updated.item.interrupted) == (740, True)


class TestResponses:
    def test_a_response_starts_and_ends_around_its_agent(self) -> None:
        talk = Talk()
        talk.feed(pe.created("resp_1"), pe.done("resp_1"))
        assert [k for k in talk.kinds() if k[:5] in ("respo", "agent")] == [
            "responseStart",
            "agentStart",
            "agentEnd",
            "responseEnd",
        ]
        assert talk.of(ev.RealtimeResponseStart)[0].response_id == "resp_1"
        assert talk.of(ev.RealtimeAgentStart)[0].agent == talk.of(ev.RealtimeAgentEnd)[0].agent == "greeter"
        [end] = talk.of(ev.RealtimeResponseEnd)
        assert (end.response_id, end.status, end.reason) == ("resp_1", "completed", UNSET)

    def test_usage_is_of_the_response_and_of_the_session(self) -> None:
        talk = Talk()
        talk.feed(pe.created("r1"), pe.done("r1"), pe.created("r2"), pe.done("r2"))
        ends = talk.of(ev.RealtimeResponseEnd)
        assert [end.usage.total_tokens if end.usage else None for end in ends] == [30, 30]
        assert [usage.total_tokens for usage in talk.of(ev.RealtimeUsage)] == [30, 60]
        assert talk.of(ev.RealtimeUsage)[-1].input == InputTokens(text=20, audio=0, cached=0)
        assert talk.of(ev.RealtimeUsage)[-1].output == OutputTokens(text=10, audio=30)

    def test_a_failed_response_says_why_without_secrets(self) -> None:
        talk = Talk()
        talk.core.mask = lambda text: text.replace("sk-secret", "***")
        failure = {"type": "failed", "error": {"code": "quota", "message": "sk-secret has no quota"}}
        talk.feed(pe.created("resp_1"), pe.done("resp_1", "failed", failure))
        [end] = talk.of(ev.RealtimeResponseEnd)
        assert end.status == "failed"
        assert end.error == ErrorInfo(kind="provider_error", message="*** has no quota", code="quota")

    def test_latencies_count_from_speech_and_from_the_request(self) -> None:
        talk = Talk()
        talk.feed(pe.event("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=900))
        talk.now += 0.2
        event_id = talk.ask()
        assert event_id
        talk.now += 0.3
        talk.feed(*spoken("resp_1", "item_a", 20))
        [end] = talk.of(ev.RealtimeResponseEnd)
        assert end.latency == ev.Latency(speech_end_to_first_audio_ms=500, request_to_first_audio_ms=300)

    def test_speech_that_ended_after_the_request_counts_for_the_next_response(self) -> None:
        talk = Talk()
        talk.ask()
        talk.now += 0.2
        talk.core.turns.server_vad = False
        talk.core.speech_ended_at = talk.now  # a commit of the host's went upstream
        talk.core.turns.commit_sent("omnirt_commit_1", talk.now)
        talk.now += 0.3
        talk.feed(*spoken("resp_1", "item_a", 20))
        talk.now += 0.1
        talk.feed(*spoken("resp_2", "item_b", 20))
        latencies = [end.latency for end in talk.of(ev.RealtimeResponseEnd)]
        assert latencies == [
            ev.Latency(request_to_first_audio_ms=500),
            ev.Latency(speech_end_to_first_audio_ms=400, request_to_first_audio_ms=100),
        ]

    def test_a_response_known_only_by_its_end_has_a_start_too(self) -> None:
        talk = Talk()
        talk.feed(pe.done("resp_1"), pe.done("resp_1"))
        assert talk.kinds().count("responseStart") == talk.kinds().count("responseEnd") == 1

    def test_a_provider_without_ids_gets_ours(self) -> None:
        talk = Talk()
        nameless = {"output_index": 0, "content_index": 0}
        talk.feed(pe.event("response.output_audio_transcript.delta", delta="Hi", **nameless))
        talk.feed({**pe.audio("", "", 20)}, pe.event("response.output_audio.done", **nameless))
        talk.feed(pe.event("response.output_audio_transcript.done", transcript="Hi", **nameless))
        talk.feed(pe.done("resp_of_the_end"))
        [start], [end] = talk.of(ev.RealtimeResponseStart), talk.of(ev.RealtimeResponseEnd)
        assert start.response_id == end.response_id
        assert start.response_id
        [audio], [part], [words] = (
            talk.of(ev.RealtimeAudio),
            talk.of(ev.RealtimeAudioEnd),
            talk.of(ev.RealtimeTranscriptDone),
        )
        assert audio.item_id == part.item_id == words.item_id
        assert audio.item_id
        assert talk.core.turns.idle(talk.now)

    def test_responses_that_never_end_are_ended_at_last(self) -> None:
        talk = Talk()
        for number in range(200):
            talk.feed(pe.created(f"resp_{number}"))
        assert len(talk.core.responses.running) < 20
        talk.close()
        assert talk.kinds().count("responseStart") == talk.kinds().count("responseEnd") == 200


class TestToolsAndHandoffs:
    def test_a_handoff_names_both_and_the_next_response_has_the_new_agent(self) -> None:
        talk = Talk()
        talk.feed(pe.created("r1"))
        talk.core.handed_off("greeter", "billing", talk.now)
        talk.feed(pe.done("r1"), pe.created("r2"))
        [handoff] = talk.of(ev.RealtimeHandoff)
        assert (handoff.from_agent, handoff.to_agent) == ("greeter", "billing")
        assert [event.agent for event in talk.of(ev.RealtimeAgentStart)] == ["greeter", "billing"]
        assert [event.agent for event in talk.of(ev.RealtimeAgentEnd)] == ["greeter"]


class TestErrorsAndTheRest:
    def test_an_error_says_what_the_provider_said_without_secrets(self) -> None:
        talk = Talk()
        talk.core.mask = lambda text: text.replace("sk-secret", "***")
        talk.feed(pe.error("Bad sk-secret", event_id="theirs", code="rate_limit_exceeded"))
        [error] = talk.of(ev.RealtimeError)
        assert (error.kind, error.message, error.fatal, error.retryable) == (
            "provider_error",
            "Bad ***",
            False,
            True,
        )
        assert error.upstream
        assert (error.upstream.type, error.upstream.code, error.upstream.event_id) == (
            "invalid_request_error",
            "rate_limit_exceeded",
            "theirs",
        )

    @pytest.mark.parametrize(
        ("kind", "code", "retryable"),
        [
            ("rate_limit_error", None, True),
            ("server_error", None, True),
            ("tokens", "rate_limit_exceeded", True),
            ("insufficient_quota", "insufficient_quota", False),
            ("insufficient_quota", "rate_limit_exceeded", False),
            ("invalid_request_error", "invalid_value", False),
        ],
    )
    def test_an_error_is_retryable_when_it_passes_by_itself(
        self, kind: str, code: str | None, retryable: bool
    ) -> None:
        talk = Talk()
        talk.feed(pe.event("error", error={"type": kind, "code": code, "message": "No."}))
        assert [error.retryable for error in talk.of(ev.RealtimeError)] == [retryable]

    def test_a_page_of_error_is_cut(self) -> None:
        talk = Talk()
        talk.feed(pe.error("x" * 1_000_000, event_id=None))
        assert len(talk.of(ev.RealtimeError)[0].message) == 2000

    def test_audio_that_the_disk_could_not_take_is_told(self) -> None:
        talk = Talk()
        talk.core.flow(talk.now, "storage", 300, 4096, "item_a", 100)
        talk.collect()
        [flow] = talk.of(ev.RealtimeFlow)
        assert (flow.direction, flow.lost, flow.dropped_ms, flow.queued_bytes) == ("storage", True, 300, 4096)
        assert (flow.item_id, flow.from_ms) == ("item_a", 100)

    def test_an_unknown_event_is_passed_over(self) -> None:
        talk = Talk()
        before = list(talk.told)
        talk.feed(pe.event("response.hologram.delta", delta="…"), {"type": 7}, {})
        assert talk.told == before

    def test_closed_is_last_and_everything_ended_before_it(self) -> None:
        talk = Talk()
        talk.feed(pe.speech_started("item_u"), user_words("delta", delta="Wai"))
        talk.feed(pe.created("resp_1"), pe.words("resp_1", "item_a", "No"), pe.audio("resp_1", "item_a", 20))
        talk.core.close(talk.now, "connectionLost", ErrorInfo(kind="provider_unreachable", message="Gone."))
        talk.collect()
        for start, end in (
            ("responseStart", "responseEnd"),
            ("agentStart", "agentEnd"),
            ("inputSpeechStart", "inputSpeechEnd"),
        ):
            assert talk.kinds().count(start) == talk.kinds().count(end) == 1
        assert talk.kinds().count("audioEnd") == 1
        assert talk.kinds().count("transcriptDone") == 2
        closed = talk.told[-1]
        assert isinstance(closed, ev.RealtimeClosed)
        assert (closed.reason, closed.error) == (
            "connectionLost",
            ErrorInfo(kind="provider_unreachable", message="Gone."),
        )

    def test_nothing_is_told_after_the_end(self) -> None:
        talk = Talk()
        talk.close()
        sent = len(talk.sent)
        talk.feed(*spoken("resp_1", "item_a", 20), pe.error("Late", event_id=None))
        talk.core.flow(talk.now, "storage", 300, 0, None, 0)
        talk.ask()
        talk.core.close(talk.now, "error")
        talk.collect()
        assert talk.kinds()[-1] == "closed"
        assert talk.kinds().count("closed") == 1
        assert len(talk.sent) == sent


@pytest.mark.parametrize("absurd", [-1, 10**9, 2**80, True, 1.5, "0", None, float("nan"), [0]])
def test_absurd_numbers_are_as_good_as_absent(absurd: object) -> None:
    talk = Talk()
    talk.feed(pe.item_added(pe.message("item_a", "assistant")), pe.created("r"))
    talk.feed({**pe.words("r", "item_a", "Hi"), "content_index": absurd})
    talk.feed({**words_done("r", "item_a", "Hi"), "content_index": absurd})
    talk.feed(
        pe.event("input_audio_buffer.speech_started", item_id=absurd, audio_start_ms=absurd),
        pe.event("input_audio_buffer.speech_stopped", item_id=absurd, audio_end_ms=absurd),
        pe.event("conversation.item.truncated", item_id="item_a", audio_end_ms=absurd),
    )
    usage = {"total_tokens": absurd, "input_token_details": absurd}
    talk.feed(pe.event("response.done", response={"id": "r", "status": absurd, "usage": usage}))
    talk.feed(user_words("completed", transcript=absurd, usage={"type": "duration", "seconds": absurd}))
    talk.close()
    assert [done.content_index for done in talk.of(ev.RealtimeTranscriptDone)] == [0, 0]
    item = talk.core.items.get("item_a")
    assert item
    assert item.content
    assert len(item.content) <= MAX_CONTENT_INDEX
    for event in talk.told:
        msgspec.json.decode(msgspec.json.encode(event))


def test_the_items_of_a_response_without_an_end_do_not_stay_in_progress() -> None:
    talk = Talk()
    item = {**pe.message("item_a", "assistant", {"type": "output_audio"}), "status": "in_progress"}
    added = pe.event("response.output_item.added", response_id="resp_1", output_index=0, item=item)
    talk.feed(pe.created("resp_1"), added, pe.words("resp_1", "item_a", "Once upon"))
    talk.close()
    last = talk.of(ev.RealtimeItemUpdated)[-1].item
    assert (last.item_id, last.status, last.generated_text) == ("item_a", "incomplete", "Once upon")
    assert talk.kinds()[-1] == "closed"
