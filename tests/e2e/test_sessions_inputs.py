"""What a host puts into a session: order, acceptance, refusals (PROTOCOL section 3)."""

from __future__ import annotations

import pytest

from tests.support.daemon import Message
from tests.support.host import SPEED, Host, Talk, error_of, says, start_params
from tests.support.speech import b64, silence, utterance

pytestmark = pytest.mark.anyio

CONNECTS_LATE = {"faults": [{"slow_ms": 1000 * SPEED}]}
"""About a second to connect, on any clock."""
NEVER_CONNECTS = {"faults": [{"silent": True}]}


async def test_inputs_sent_at_once_are_answered_in_order_behind_their_start(host: Host) -> None:
    talk, start = host.begin(script=CONNECTS_LATE)
    ids = [
        start,
        talk.tell("sendText", text="One", respond=False),
        talk.tell("sendAudio", audio=b64(silence(100))),
        talk.tell("clearAudio"),
        talk.tell("sendMessage", content=[{"type": "input_text", "text": "Two"}], respond=False),
        talk.tell("update", variables={"x": 1}),
        talk.tell("respond"),
        talk.tell("wait"),
        talk.tell("sendText", text="Three"),
    ]
    for request_id in ids:
        assert "result" in await host.reply(request_id)
    assert host.order(*ids) == ids


async def test_the_answer_to_a_chunk_tells_what_was_taken_and_what_waits(host: Host) -> None:
    talk, _ = host.begin(script=CONNECTS_LATE)
    ids = [talk.tell("sendAudio", audio=b64(silence(250))) for _ in range(4)]
    results = [(await host.reply(request_id))["result"] for request_id in ids]
    assert [result["acceptedMs"] for result in results] == [250] * 4
    assert all(0 <= result["queuedMs"] <= 1000 for result in results)


@pytest.mark.parametrize("bad", ["script", "agent"])
async def test_inputs_of_a_start_that_fails_get_its_error(host: Host, bad: str) -> None:
    """Whether it fails at once or as it connects."""
    params = {"script": {"faults": [{"refuse": 401}]}} if bad == "script" else {"agent": "nobody"}
    talk, start = host.begin(**params)
    ids = [
        start,
        talk.tell("sendText", text="One"),
        talk.tell("sendAudio", audio=b64(silence(100))),
        talk.tell("respond"),
        talk.tell("wait"),
    ]
    errors = [error_of(await host.reply(request_id)) for request_id in ids]
    kind = "auth_failed" if bad == "script" else "agent_not_found"
    assert [error["kind"] for error in errors] == [kind] * len(ids)
    assert host.order(*ids) == ids
    assert talk.events == []


async def test_a_cancelled_start_cancels_its_inputs(host: Host) -> None:
    talk, start = host.begin(script=NEVER_CONNECTS)
    text = talk.tell("sendText", text="One")
    host.notify("$/cancelRequest", id=start)
    for request_id in (start, text):
        error = error_of(await host.reply(request_id))
        assert (error["code"], error["kind"]) == (-32800, "cancelled")
    await host.start(talk.id)


async def test_an_input_that_is_cancelled_before_it_is_accepted_never_goes_upstream(host: Host) -> None:
    talk, _ = host.begin(script=CONNECTS_LATE)
    talk.tell("sendText", text="One", respond=False)
    withdrawn = talk.tell("sendText", text="Two", respond=False)
    talk.tell("sendText", text="Three", respond=False)
    host.notify("$/cancelRequest", id=withdrawn)
    assert error_of(await host.reply(withdrawn))["kind"] == "cancelled"
    await talk.event("itemAdded", 2)
    assert [e["item"]["content"][0]["text"] for e in talk.of("itemAdded")] == ["One", "Three"]


async def test_texts_reach_the_model_in_their_order(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    ids = [talk.tell("sendText", text=text) for text in ("One", "Two", "Three")]
    responses = (await talk.ask("wait"))["responses"]
    assert {response["status"] for response in responses} == {"completed"}
    assert [r["responseId"] for r in responses] == [e["responseId"] for e in talk.of("responseEnd")]
    assert host.order(*ids) == ids
    users = [e["item"] for e in talk.of("itemAdded") if e["item"]["role"] == "user"]
    assert [item["content"][0]["text"] for item in users] == ["One", "Two", "Three"]


async def test_half_a_sample_is_audio_invalid_and_nothing_of_it_is_taken(host: Host) -> None:
    talk = await host.start()
    error = await talk.refused("sendAudio", audio=b64(bytes(4801)))
    assert (error["code"], error["kind"], error["retryable"]) == (-32042, "audio_invalid", False)
    assert (await talk.ask("sendAudio", audio=""))["acceptedMs"] == 0


async def test_broken_base64_is_invalid_params_at_audio(host: Host) -> None:
    talk = await host.start()
    for audio in ("AAA", "A*AA", "ÄÄÄÄ", 7):
        error = await talk.refused("sendAudio", audio=audio)
        assert (error["kind"], error["path"]) == ("invalid_params", "$.audio"), audio


async def test_a_full_queue_takes_all_of_a_chunk_or_none(host: Host) -> None:
    talk, start = host.begin(script={"faults": [{"slow_ms": 3000 * SPEED}]})
    chunk = b64(silence(7000))
    ids = [talk.tell("sendAudio", audio=chunk) for _ in range(18)]
    refused = [error_of(await host.reply(request_id)) for request_id in ids[17:]]
    assert [(error["code"], error["kind"], error["retryable"]) for error in refused] == [
        (-32001, "overloaded", True)
    ]
    assert (await talk.ask("get"))["queues"]["inputMs"] == 17 * 7000
    small = talk.tell("sendAudio", audio=b64(silence(1000)))
    assert "result" in await host.reply(start)
    for request_id in ids[:17]:
        assert (await host.reply(request_id))["result"]["acceptedMs"] == 7000
    assert (await host.reply(small))["result"]["acceptedMs"] == 1000
    assert (await talk.ask("sendAudio", audio=chunk))["acceptedMs"] == 7000


async def test_a_chunk_of_any_length_fits_an_empty_queue_up_to_its_limit(host: Host) -> None:
    talk = await host.start()
    assert (await talk.ask("sendAudio", audio=b64(silence(120_000))))["acceptedMs"] == 120_000


async def test_respond_false_asks_for_nothing_and_respond_asks_later(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.ask("sendText", text="Hello", respond=False)
    assert (await talk.ask("wait"))["responses"] == []
    assert talk.of("responseStart") == []
    await talk.ask("respond")
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]


async def test_respond_takes_instructions_and_lets_the_agent_speak_first(host: Host) -> None:
    talk = await host.start()
    await talk.ask("respond", instructions='Say "Goodbye, and talk to you soon."')
    (response,) = (await talk.ask("wait"))["responses"]
    assert response["text"] == "Goodbye, and talk to you soon."
    assert [e["item"]["role"] for e in talk.of("itemAdded")] == ["assistant"]


async def test_a_message_has_texts_and_images_and_the_item_shows_no_image_data(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    pixel = "data:image/png;base64,iVBORw0KGgo="
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "imageUrl": pixel, "detail": "low"},
    ]
    await talk.ask("sendMessage", content=content)
    await talk.ask("wait")
    item = talk.of("itemAdded")[0]["item"]
    assert item["role"] == "user"
    assert item["content"] == [{"type": "text", "text": "What is this?"}, {"type": "image"}]
    assert pixel not in str(talk.events)


async def test_a_system_message_is_an_item_of_the_system(host: Host) -> None:
    talk = await host.start()
    content = [{"type": "input_text", "text": "The user is called Ana."}]
    await talk.ask("sendMessage", role="system", content=content, respond=False)
    added = await talk.event("itemAdded")
    assert (added["item"]["role"], added["item"]["type"]) == ("system", "message")


async def test_a_message_that_does_not_fit_is_refused_at_its_path(host: Host) -> None:
    talk = await host.start()
    for content in ([], [{"type": "input_audio"}], [{"type": "input_text"}], "text"):
        error = await talk.refused("sendMessage", content=content)
        assert error["kind"] == "invalid_params"
        assert error["path"].startswith("$.content"), content
    error = await talk.refused("sendMessage", content=[{"type": "input_image", "imageUrl": "file:///x"}])
    assert error["path"] == "$.content[0].imageUrl"
    assert talk.of("itemAdded") == []


async def test_update_swaps_the_agent_for_what_comes_after_it(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    talk.tell("sendText", text="One")
    talk.tell("wait")
    talk.tell("update", agent={"name": "clerk", "instructions": "Be formal."})
    talk.tell("sendText", text="Two")
    await talk.ask("wait")
    assert [event["agent"] for event in talk.of("agentStart")] == ["greeter", "clerk"]
    assert (await talk.ask("get"))["agent"] == "clerk"


async def test_update_renders_the_instructions_again_with_new_variables(host: Host) -> None:
    agent = {
        "name": "greeter",
        "instructions": "Help {{ user }} of {{ city }}.",
        "variables": {"city": "Rome"},
    }
    talk = await host.start(agent=agent, variables={"user": "Ana"}, raw=True)
    assert (await settings_of(talk, 1))["instructions"] == "Help Ana of Rome."
    await talk.ask("update", variables={"user": "Eva"})
    assert (await settings_of(talk, 2))["instructions"] == "Help Eva of Rome."


async def test_update_changes_settings_member_by_member(host: Host) -> None:
    talk = await host.start(realtime={"voice": "sage", "speed": 1.2}, raw=True)
    await talk.ask("update", realtime={"turn_detection": None})
    audio = (await settings_of(talk, 2))["audio"]
    assert audio["input"]["turn_detection"] is None
    assert (audio["output"]["voice"], audio["output"]["speed"]) == ("sage", 1.2)


async def settings_of(talk: Talk, nth: int) -> Message:
    """What the provider holds after the nth update, the one of the start included; needs `raw`."""

    def find() -> Message | None:
        updated = [raw["event"] for raw in talk.of("raw") if raw["event"]["type"] == "session.updated"]
        return updated[nth - 1]["session"] if len(updated) >= nth else None

    return await talk.host.until(find, "session.updated")


async def test_an_update_that_cannot_be_is_refused_and_changes_nothing(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    assert (await talk.refused("update", agent="nobody"))["kind"] == "agent_not_found"
    assert (await talk.refused("update", realtime={"voise": "x"}))["kind"] == "invalid_params"
    fixed = await talk.refused("update", realtime={"input_audio_format": "g711_ulaw"})
    assert fixed["path"] == "$.realtime.input_audio_format"
    await talk.ask("sendText", text="Hello")
    assert len((await talk.ask("wait"))["responses"]) == 1


async def test_an_agent_speaks_in_text_when_its_modality_is_text(host: Host) -> None:
    talk = await host.start(realtime={"modalities": ["text"]}, script=says("heard"))
    await talk.ask("sendText", text="Hello")
    (response,) = (await talk.ask("wait"))["responses"]
    (done,) = talk.of("textDone")
    assert done["role"] == "assistant"
    assert done["text"] == response["text"] == "I heard you."
    assert "".join(delta["delta"] for delta in talk.of("textDelta")) == done["text"]
    assert talk.of("audio") == []
    assert (await talk.ask("stop"))["files"] == []


async def test_methods_do_not_mind_a_start_with_the_same_id_that_is_refused(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    assert (await host.refused("session.start", sessionId=talk.id, **start_params()))[
        "kind"
    ] == "session_exists"
    await talk.ask("sendText", text="Hello")
    assert len((await talk.ask("wait"))["responses"]) == 1


async def test_audio_of_a_user_is_accepted_while_the_agent_speaks(host: Host) -> None:
    talk = await host.start(script=says("story"), speed=1, realtime={"turn_detection": None})
    await talk.ask("sendText", text="Tell me a story")
    await talk.event("audio")
    await talk.say(utterance("stop")[:96000])
    assert talk.of("audioInterrupted") == []
    assert (await talk.ask("get"))["state"] == "speaking"
