"""Responses of the simulator's core: their events, their order, and how they end."""

from __future__ import annotations

import pytest

from tests.unit.loopback.helpers import Event, Talk, audio, error, of, only, said, types

WEATHER = {
    "rules": [
        {
            "match": "weather",
            "do": [{"say": "lookup"}, {"call": {"tool": "get_weather", "arguments": {"city": "Lisbon"}}}],
        },
        {"on": "tool_output", "tool": "get_weather", "do": [{"say": "weather"}]},
    ]
}


def done(events: list[Event]) -> Event:
    response: Event = only(events, "response.done")["response"]
    return response


def test_an_answer_in_speech_has_the_events_of_the_protocol_in_order() -> None:
    talk = Talk()
    events = [*talk.say("Hello"), *talk.finish()]
    kept = [t for t in types(events) if not t.endswith(".delta")]
    assert kept == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert said(events) == "Hello there, it is good to hear you."
    assert only(events, "response.output_audio_transcript.done")["transcript"] == said(events)
    assert audio(events) == talk.voice.book.read("hello").pcm[: len(audio(events))]
    assert done(events)["status"] == "completed"
    assert done(events)["output"][0]["content"][0]["transcript"] == said(events)


def test_every_event_has_an_id_of_its_own() -> None:
    talk = Talk()
    talk.answer("Hello")
    ids = [event["event_id"] for event in talk.events]
    assert len(set(ids)) == len(ids)


def test_texts_in_a_row_can_be_answered_one_by_one_in_order() -> None:
    talk = Talk({"answers": "each"})
    talk.say("Hello", respond=False)
    talk.say("Tell me a story", respond=False)
    talk.say("Goodbye", respond=False)
    answers = []
    for _ in range(3):
        answers.append(said([*talk.send("response.create"), *talk.finish()])[:8])
    assert answers == ["Hello th", "Once upo", "Goodbye,"]


def test_all_that_waits_is_answered_as_one_turn() -> None:
    talk = Talk({"rules": [{"match": "/^hello\nthanks$/", "do": [{"say": "done"}]}]})
    talk.say("Hello", respond=False)
    assert talk.answer("Thanks") == "That is done."
    assert talk.answer("Thanks") == "You are welcome."


def test_a_tool_call_and_the_answer_to_its_output() -> None:
    talk = Talk(WEATHER)
    events = [*talk.say("What is the weather?"), *talk.finish()]
    assert said(events) == "Let me look that up."
    call = only(events, "response.function_call_arguments.done")
    assert (call["name"], call["arguments"]) == ("get_weather", '{"city":"Lisbon"}')
    assert (
        "".join(e["delta"] for e in of(events, "response.function_call_arguments.delta")) == call["arguments"]
    )
    item = done(events)["output"][1]
    assert (item["type"], item["call_id"], item["status"]) == ("function_call", call["call_id"], "completed")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}
    events = talk.send("conversation.item.create", item=output)
    events += [*talk.send("response.create"), *talk.finish()]
    assert said(events) == "In Lisbon it is twenty one degrees and sunny."


def test_several_calls_at_once_and_arguments_that_are_no_json() -> None:
    calls = [{"tool": "a"}, {"tool": "b", "arguments": "{broken"}]
    talk = Talk({"rules": [{"do": [{"call": calls}]}]})
    events = [*talk.say("go"), *talk.finish()]
    done_calls = of(events, "response.function_call_arguments.done")
    assert [(e["name"], e["arguments"], e["output_index"]) for e in done_calls] == [
        ("a", "{}", 0),
        ("b", "{broken", 1),
    ]


def test_a_handoff_calls_the_tool_that_the_voice_sdk_makes_for_it() -> None:
    talk = Talk({"rules": [{"do": [{"hand_off": "Billing Desk"}]}]})
    events = [*talk.say("My bill is wrong"), *talk.finish()]
    assert only(events, "response.function_call_arguments.done")["name"] == "transfer_to_billing_desk"


def test_with_nothing_to_answer_it_greets_and_says_what_the_instructions_quote() -> None:
    talk = Talk()
    assert said([*talk.send("response.create"), *talk.finish()]) == "Hello! How can I help you today?"
    quoted = {"instructions": 'Say "You are welcome." and nothing else.'}
    assert said([*talk.send("response.create", response=quoted), *talk.finish()]) == "You are welcome."


def test_text_output_by_session_and_by_response() -> None:
    talk = Talk()
    talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": []})
    events = talk.send("response.create", response={"output_modalities": ["text"]})
    events += talk.finish()
    assert said(events) == "I heard you."
    assert audio(events) == b""
    assert only(events, "response.output_text.done")["text"] == "I heard you."
    assert only(events, "response.content_part.done")["part"] == {"type": "text", "text": "I heard you."}
    talk.update(output_modalities=["text"])
    assert not of([*talk.say("Hello"), *talk.finish()], "response.output_audio.delta")


def test_a_second_response_while_one_is_active_is_refused_with_the_event_id() -> None:
    talk = Talk()
    talk.say("Tell me a story")
    refused = error(talk.send("response.create", event_id="mine"))
    assert refused["code"] == "conversation_already_has_active_response"
    assert refused["event_id"] == "mine"


def test_a_response_beside_the_conversation_runs_at_the_same_time_and_leaves_no_items() -> None:
    talk = Talk()
    talk.say("Tell me a story")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "thanks"}]}
    params = {
        "conversation": "none",
        "metadata": {"topic": "x"},
        "output_modalities": ["text"],
        "input": [item],
    }
    events = talk.send("response.create", response=params)
    assert said(events) == "You are welcome."
    assert done(events)["metadata"] == {"topic": "x"}
    assert done(events)["conversation_id"] is None
    assert not of(events, "conversation.item.added")


def test_cancel_ends_what_is_open_and_says_who_cancelled() -> None:
    talk = Talk()
    talk.say("Tell me a story")
    talk.advance(2)
    events = [*talk.send("response.cancel"), *talk.finish()]
    assert types(events) == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert done(events)["status"] == "cancelled"
    assert done(events)["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done(events)["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("members", [{}, {"response_id": "resp_unknown"}])
def test_cancel_of_nothing_is_an_error(members: dict[str, str]) -> None:
    talk = Talk()
    if members:
        talk.say("Tell me a story")
    refused = error(talk.send("response.cancel", event_id="mine", **members))
    assert (refused["code"], refused["event_id"]) == ("response_cancel_not_active", "mine")


@pytest.mark.parametrize(
    ("fail", "status", "details"),
    [
        ("content_filter", "incomplete", {"type": "incomplete", "reason": "content_filter"}),
        ("max_output_tokens", "incomplete", {"type": "incomplete", "reason": "max_output_tokens"}),
        (
            {"type": "server_error", "code": "x", "message": "Oh no."},
            "failed",
            {"type": "failed", "error": {"type": "server_error", "code": "x", "message": "Oh no."}},
        ),
    ],
)
def test_a_scripted_failure(fail: object, status: str, details: Event) -> None:
    talk = Talk({"rules": [{"do": [{"say": "lookup"}, {"fail": fail}]}]})
    events = [*talk.say("go"), *talk.finish()]
    assert done(events)["status"] == status
    assert done(events)["status_details"] == details
    assert done(events)["output"][0]["status"] == "incomplete"


def test_an_exhausted_quota_fails_before_anything_is_said() -> None:
    talk = Talk({"rules": [{"do": [{"fail": "quota"}]}]})
    events = [*talk.say("go"), *talk.finish()]
    assert done(events)["output"] == []
    assert done(events)["status_details"]["error"]["code"] == "insufficient_quota"


def test_the_token_limit_makes_a_response_incomplete() -> None:
    talk = Talk()
    talk.update(max_output_tokens=20)
    events = [*talk.say("Tell me a story"), *talk.finish()]
    assert done(events)["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}


def test_an_error_event_in_the_middle_of_a_response_that_goes_on() -> None:
    script = {"rules": [{"do": [{"error": {"message": "Hm.", "code": "odd"}}, {"say": "done"}]}]}
    talk = Talk(script)
    events = [*talk.say("go"), *talk.finish()]
    assert error(events)["code"] == "odd"
    assert said(events) == "That is done."
    assert done(events)["status"] == "completed"


def test_speech_and_text_of_one_response_are_items_of_their_own() -> None:
    talk = Talk({"rules": [{"do": [{"say": "done"}, {"say": "of_course"}, {"text": "(smiles)"}]}]})
    output = done([*talk.say("go"), *talk.finish()])["output"]
    assert [item["content"][0] for item in output] == [
        {"type": "output_audio", "transcript": "That is done. Of course."},
        {"type": "output_text", "text": "(smiles)"},
    ]


def test_usage_grows_with_the_conversation_and_the_rest_is_cached() -> None:
    talk = Talk()
    first = done([*talk.say("Tell me a story"), *talk.finish()])["usage"]
    second = done([*talk.say("Tell me a story"), *talk.finish()])["usage"]
    assert second["input_tokens"] > first["input_tokens"]
    assert first["input_token_details"]["cached_tokens"] == 0
    assert first["output_token_details"]["audio_tokens"] == round(9.527 * 20)
    assert first["total_tokens"] == first["input_tokens"] + first["output_tokens"]
    talk.answer("Tell me a story")
    third = done([*talk.say("Thanks"), *talk.finish()])["usage"]
    assert third["input_token_details"]["cached_tokens_details"]["audio_tokens"] > 0


def test_the_rate_limits_shrink() -> None:
    talk = Talk()
    talk.answer("Hello")
    talk.answer("Hello")
    left = [event["rate_limits"][0]["remaining"] for event in of(talk.events, "rate_limits.updated")]
    assert left == [999, 998]


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("no json", "invalid_json", None),
        (b"\xff", "invalid_json", None),
        ("[]", "missing_required_parameter", "type"),
        ("{}", "missing_required_parameter", "type"),
        ('{"type":"session.begin","event_id":"e"}', "invalid_value", "type"),
        ('{"type":"response.create","respond":true}', "unknown_parameter", "respond"),
        ('{"type":"input_audio_buffer.append"}', "missing_required_parameter", "audio"),
        ('{"type":"input_audio_buffer.append","audio":7}', "invalid_type", "audio"),
        ('{"type":"input_audio_buffer.append","audio":"?"}', "invalid_value", "audio"),
        (
            '{"type":"response.create","response":{"output_modalities":["text","audio"]}}',
            "invalid_value",
            None,
        ),
    ],
)
def test_what_is_no_event_is_an_error_and_the_session_goes_on(
    message: str | bytes, code: str, param: str | None
) -> None:
    talk = Talk()
    refused = error(talk.raw(message))
    assert refused["code"] == code
    assert refused["type"] == "invalid_request_error"
    if param is not None:
        assert refused["param"] == param
    assert talk.answer("Hello").startswith("Hello")


def test_there_is_a_bound_to_responses_at_once() -> None:
    talk = Talk({"rules": [{"on": "any", "do": [{"wait_ms": 1000}, {"say": "done"}]}]})
    for _ in range(8):
        talk.send("response.create", response={"conversation": "none"})
    refused = error(talk.send("response.create", response={"conversation": "none"}))
    assert refused["code"] == "too_many_responses"
    assert len(of(talk.finish(), "response.done")) == 8
