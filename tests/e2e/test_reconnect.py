"""Sessions that outlive their connections: what the host is told, and what the model still knows."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.daemon import Message
from tests.support.host import Host, Talk, error_of
from tests.support.provider import Provider
from tests.support.speech import b64, silence, utterance

FIRST_TEXT = {"type": "conversation.item.create"}
ECHO: list[Message] = [
    {"on": "tool_output", "do": [{"text": "Told: {tool_output}"}]},
    {"match": "weather", "do": [{"call": {"tool": "get_weather", "arguments": {"city": "Lisbon"}}}]},
    {"match": "story", "do": [{"say": "story"}]},
    {"match": "colleague", "do": [{"hand_off": "colleague"}]},
    {"match": "know", "do": [{"text": "It knows: {conversation}"}]},
    {"on": "user", "do": [{"text": "Heard: {text}"}]},
]
DESK: Message = {"name": "desk", "tools": [{"name": "get_weather", "run": "host", "timeout_s": 20}]}


def broken_once(*faults: Message, **script: Any) -> Message:
    """A provider whose first connection has these faults, and whose others are well."""
    return {"rules": ECHO, "connections": [{"faults": list(faults)}, {"faults": []}], **script}


def drop_at(**at: Any) -> Message:
    return {"at": at, "drop": 1006}


def states(talk: Talk, name: str) -> list[Message]:
    return talk.of("state", state=name)


async def back(talk: Talk) -> Message:
    """The `connected` after a reconnect."""
    return await talk.event("state", 2, state="connected")


async def said(talk: Talk) -> list[str]:
    """The texts of the responses that said something to their end, since the last wait."""
    responses = (await talk.ask("wait"))["responses"]
    return [r["text"] for r in responses if r["status"] == "completed" and r["text"]]


@pytest.mark.parametrize("drop", [1000, 1001, 1006, 1011, 1012, 4000, {"code": 1008, "reason": "too slow"}])
async def test_a_text_that_was_on_its_way_is_answered_on_the_next_connection(host: Host, drop: Any) -> None:
    talk = await host.start(script=broken_once({"at": FIRST_TEXT, "drop": drop}))
    await talk.ask("sendText", text="Hello there")
    assert await said(talk) == ["Heard: Hello there"]
    (lost,) = states(talk, "reconnecting")
    assert (lost["attempt"], lost["delayMs"], lost["cause"]) == (1, 0, "connectionLost")
    found = await back(talk)
    assert (found["attempt"], found["restored"]) == (1, True)
    assert 0 <= found["gapMs"] < 10_000
    items = talk.of("itemAdded")
    assert [item["item"]["role"] for item in items] == ["user", "assistant"], "each once"
    assert talk.of("error") == []


async def test_what_was_said_before_is_known_after(host: Host) -> None:
    talk = await host.start(script=broken_once({"at": {**FIRST_TEXT, "client_event": 3}, "drop": 1006}))
    for text in ("My name is Ana", "I live in Porto"):
        await talk.ask("sendText", text=text)
        assert await said(talk) == [f"Heard: {text}"]
    await talk.ask("sendText", text="So what do you know?")
    (told,) = await said(talk)
    parts = ["My name is Ana", "Heard: My name is Ana", "I live in Porto", "Heard: I live in Porto"]
    assert told == f"It knows: {' / '.join([*parts, 'So what do you know?'])}"
    assert [role for role, _ in await conversation(talk)] == ["user", "assistant"] * 3, "each once"


async def test_an_answer_that_broke_off_is_told_as_failed_and_asked_for_again(host: Host) -> None:
    talk = await host.start(script=broken_once(drop_at(audio_delta=4)))
    await talk.ask("sendText", text="Tell me a story")
    responses = (await talk.ask("wait"))["responses"]
    assert [response["status"] for response in responses] == ["failed", "completed"]
    failed = talk.of("responseEnd", status="failed")[0]
    assert (failed["reason"], failed["error"]["kind"]) == ("connection_lost", "provider_unreachable")
    assert sum(event["deltaMs"] for event in talk.of("audio", responseId=failed["responseId"])) == 400
    before = [role for role, _ in await conversation(talk)]
    assert before[:2] == ["user", "assistant"], "what was received of it is in the talk"


@pytest.mark.parametrize("detection", [{"type": "server_vad", "silence_duration_ms": 300}, None])
async def test_speech_in_the_midst_of_a_turn_is_heard_whole(host: Host, detection: Any) -> None:
    """The provider is gone after 1 s of the question; the rest comes while there is no connection."""
    faults = [{"at": {"type": "input_audio_buffer.append", "client_event": 10}, "drop": 1006}]
    connections = [{"faults": faults}, {"faults": [{"refuse": 503}]}, {"faults": []}]
    realtime = {"turn_detection": detection, "input_audio_transcription": {"model": "whisper-1"}}
    talk = await host.start(
        agent=DESK,
        script={"rules": ECHO, "connections": connections},
        realtime=realtime,
        record="both",
        speed=5,
    )
    question = utterance("weather") + silence(600 if detection else 0)
    host.answer = lambda call: {"result": {"output": "sunny"}}
    await talk.say(question, commit=detection is None)
    assert await said(talk) == ["Told: sunny"]
    assert len(states(talk, "reconnecting")) == 2, "the second connection was refused"
    words = [done["text"] for done in talk.of("transcriptDone", role="user")]
    assert words == ["What is the weather like in Lisbon today?"], "all of it, and once"
    files = (await talk.ask("stop"))["files"]
    recorded = sum(file["durationMs"] for file in files if file["side"] == "host")
    assert abs(recorded - len(question) / 48) <= 2, "the host's audio is stored once"


async def test_a_turn_that_waits_for_its_answer_is_sent_again(host: Host) -> None:
    script = broken_once(drop_at(type="response.create"))
    realtime = {"turn_detection": None, "input_audio_transcription": None}
    talk = await host.start(agent=DESK, script=script, realtime=realtime)
    host.answer = lambda call: {"result": {"output": "sunny"}}
    await talk.say(utterance("weather"), commit=True)
    assert await said(talk) == ["Told: sunny"]
    removed = [event["itemId"] for event in talk.of("itemRemoved")]
    added = [event["item"]["itemId"] for event in talk.of("itemAdded") if event["item"].get("role") == "user"]
    assert removed == added[:1], "its item is made anew"
    assert len(added) == 2


async def test_a_tool_that_runs_meanwhile_ends_on_the_next_connection(host: Host) -> None:
    faults: Message = {"at": {"after_ms": 4000}, "drop": 1006}
    talk = await host.start(agent=DESK, script=broken_once(faults), speed=10)
    await talk.ask("sendText", text="The weather?")
    call = await host.call("tool.call")
    await back(talk)
    host.respond(call, result={"output": "sunny"})
    assert await said(talk) == ["Told: sunny"]
    (ended,) = talk.of("toolEnd")
    assert (ended["status"], ended["toolCallId"]) == ("completed", call["params"]["toolCallId"])


async def test_a_tools_output_that_was_on_its_way_is_not_lost(host: Host) -> None:
    host.answer = lambda call: {"result": {"output": "sunny"}}
    lost = {"at": {**FIRST_TEXT, "client_event": 2}, "drop": 1006}
    talk = await host.start(agent=DESK, script=broken_once(lost))
    await talk.ask("sendText", text="The weather?")
    assert await said(talk) == ["Told: sunny"]
    assert len(talk.of("toolStart")) == 1, "the tool ran once"


async def test_the_agent_that_was_handed_to_answers_on(host: Host) -> None:
    agent = {"name": "desk", "handoffs": [{"name": "colleague", "instructions": "You are the colleague."}]}
    lost = {"at": {**FIRST_TEXT, "client_event": 3}, "drop": 1006}
    talk = await host.start(agent=agent, script=broken_once(lost), raw=True)
    await talk.ask("sendText", text="A colleague, please")
    await talk.ask("wait")
    await talk.ask("sendText", text="Who are you?")
    assert await said(talk) == ["Heard: Who are you?"]
    assert (await talk.ask("get"))["agent"] == "colleague"
    updated = [raw["event"] for raw in talk.of("raw") if raw["event"].get("type") == "session.updated"]
    assert updated[-1]["session"]["instructions"] == "You are the colleague."


async def test_attempts_go_on_with_pauses_until_one_succeeds(host: Host) -> None:
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, *[{"faults": [{"refuse": 503}]}] * 2, {"faults": []}]
    talk = await host.start(script={"rules": ECHO, "connections": connections})
    await talk.ask("sendText", text="Hello")
    assert await said(talk) == ["Heard: Hello"]
    attempts = states(talk, "reconnecting")
    assert [attempt["attempt"] for attempt in attempts] == [1, 2, 3]
    delays = [attempt["delayMs"] for attempt in attempts]
    assert delays[0] == 0
    assert 125 <= delays[1] <= 250 <= delays[2] <= 500
    assert (await back(talk))["attempt"] == 3


async def test_when_all_attempts_fail_the_session_ends_with_the_first_reason(host: Host) -> None:
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, *[{"faults": [{"refuse": 503}]}] * 9]
    policy = {"attempts": 3, "max_delay_ms": 100}
    talk = await host.start(script={"connections": connections}, reconnect=policy)
    await talk.ask("sendText", text="Hello")
    closed = await talk.event("closed")
    assert (closed["reason"], closed["error"]["kind"]) == ("connectionLost", "provider_unreachable")
    assert closed["error"]["message"].endswith("3 attempts to connect again failed.")
    assert len(states(talk, "reconnecting")) == 3
    assert all(state["delayMs"] <= 100 for state in states(talk, "reconnecting"))
    assert talk.of("error", fatal=True)[0]["message"] == closed["error"]["message"]


async def test_a_deadline_ends_the_attempts_too(host: Host) -> None:
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, *[{"faults": [{"refuse": 503}]}] * 9]
    talk = await host.start(script={"connections": connections}, reconnect={"deadline_ms": 300})
    await talk.ask("sendText", text="Hello")
    assert (await talk.event("closed"))["reason"] == "connectionLost"
    assert len(states(talk, "reconnecting")) <= 3


async def test_a_deadline_ends_an_attempt_that_hangs(host: Host) -> None:
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, {"faults": [{"hang": True}]}]
    talk = await host.start(script={"connections": connections}, reconnect={"deadline_ms": 500})
    await talk.ask("sendText", text="Hello")
    closed = await talk.event("closed")
    assert closed["reason"] == "connectionLost"
    lost = states(talk, "reconnecting")[0]
    assert closed["atMs"] - lost["atMs"] < 8000, "the attempt alone would have taken ten seconds"


async def test_connections_that_are_lost_at_once_again_and_again_end_the_session(host: Host) -> None:
    talk = await host.start(script={"rules": ECHO, "faults": [drop_at(**FIRST_TEXT)]})
    await talk.ask("sendText", text="Hello")
    closed = await talk.event("closed")
    assert closed["reason"] == "connectionLost"
    assert closed["error"]["message"].endswith("3 connections were made again, and lost within 10 s.")
    assert len(states(talk, "connected")) == 4


async def test_without_reconnecting_a_lost_connection_ends_the_session(host: Host) -> None:
    talk = await host.start(script=broken_once(drop_at(**FIRST_TEXT)), reconnect=False)
    await talk.ask("sendText", text="Hello")
    assert (await talk.event("closed"))["reason"] == "connectionLost"
    assert states(talk, "reconnecting") == []


@pytest.mark.parametrize(
    ("drop", "reason", "kind"),
    [
        ({"code": 1008, "reason": "Invalid API key"}, "error", "auth_failed"),
        ({"code": 4001, "reason": "unauthorized: token expired"}, "error", "auth_failed"),
        ({"code": 1008, "reason": "Blocked by the content policy"}, "content", "provider_error"),
        ({"code": 1008, "reason": "insufficient_quota"}, "error", "provider_error"),
        ({"code": 1007, "reason": "invalid_api_key"}, "error", "auth_failed"),
        ({"code": 1000, "reason": "quota exceeded"}, "error", "provider_error"),
        ({"code": 4403, "reason": "Forbidden"}, "error", "auth_failed"),
    ],
)
async def test_what_another_connection_would_not_help_ends_with_its_reason(
    host: Host, drop: Message, reason: str, kind: str
) -> None:
    talk = await host.start(script=broken_once({"at": FIRST_TEXT, "drop": drop}))
    await talk.ask("sendText", text="Hello")
    closed = await talk.event("closed")
    assert (closed["reason"], closed["error"]["kind"]) == (reason, kind)
    assert states(talk, "reconnecting") == []


@pytest.mark.parametrize(("status", "kind"), [(401, "auth_failed"), (403, "auth_failed")])
async def test_a_refusal_of_the_key_ends_the_attempts(host: Host, status: int, kind: str) -> None:
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, {"faults": [{"refuse": status}]}]
    talk = await host.start(script={"connections": connections})
    await talk.ask("sendText", text="Hello")
    closed = await talk.event("closed")
    assert (closed["reason"], closed["error"]["kind"]) == ("error", kind)
    assert len(states(talk, "reconnecting")) == 1


async def test_an_account_that_has_nothing_left_ends_the_attempts(host: Host) -> None:
    told: Message = {"type": "error", "error": {"code": "insufficient_quota", "message": "Nothing is left."}}
    refused = [{"no_session_updated": True}, {"at": {"client_event": 1}, "event": told}]
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, {"faults": refused}]
    talk = await host.start(script={"connections": connections})
    await talk.ask("sendText", text="Hello")
    closed = await talk.event("closed")
    assert (closed["reason"], closed["error"]["kind"]) == ("error", "provider_error")
    assert len(states(talk, "reconnecting")) == 1


@pytest.mark.parametrize("status", [400, 404])
async def test_a_page_in_the_place_of_the_provider_may_be_gone_at_the_next_attempt(
    host: Host, status: int
) -> None:
    """A hotel's login page, or a proxy's while the server is replaced."""
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, {"faults": [{"refuse": status}]}, {"faults": []}]
    talk = await host.start(script={"rules": ECHO, "connections": connections})
    await talk.ask("sendText", text="Hello")
    assert await said(talk) == ["Heard: Hello"]
    assert (await back(talk))["attempt"] == 2


async def test_one_that_stays_is_told_at_the_end_of_the_attempts(host: Host) -> None:
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, *[{"faults": [{"refuse": 404}]}] * 4]
    policy = {"attempts": 3, "max_delay_ms": 100}
    talk = await host.start(script={"connections": connections}, reconnect=policy)
    await talk.ask("sendText", text="Hello")
    closed = await talk.event("closed")
    assert (closed["reason"], closed["error"]["kind"]) == ("connectionLost", "provider_unreachable")
    assert "HTTP 404" in closed["error"]["message"]
    assert talk.of("error", fatal=True)[0]["retryable"] is True


async def test_a_half_open_connection_is_left(host: Host) -> None:
    talk = await host.start(script=broken_once({"at": FIRST_TEXT, "half_open": True}))
    await talk.ask("sendText", text="Hello")
    assert await said(talk) == ["Heard: Hello"]


async def test_the_limit_of_the_provider_is_met_in_a_pause_ahead_of_time(host: Host) -> None:
    """80 s at 20 times the speed are 4 s; the last second of them is time to go."""
    talk = await host.start(script={"rules": ECHO, "session_ms": 80_000})
    await talk.ask("sendText", text="Hello")
    assert await said(talk) == ["Heard: Hello"]
    lost = await talk.event("state", state="reconnecting")
    assert (lost["cause"], lost["delayMs"]) == ("expiring", 0)
    assert (await back(talk))["restored"] is True
    await talk.ask("sendText", text="Still there?")
    assert await said(talk) == ["Heard: Still there?"]
    assert [text for _, text in await conversation(talk)][:2] == ["Hello", "Heard: Hello"]


async def test_without_reconnecting_the_limit_of_the_provider_ends_the_session(host: Host) -> None:
    talk = await host.start(script={"rules": ECHO, "session_ms": 20_000}, reconnect=False)
    assert (await talk.event("closed"))["reason"] == "expired"


async def test_a_limit_that_comes_as_a_surprise_is_told_as_the_cause(host: Host) -> None:
    drop = {"code": 1001, "reason": "Your session hit the maximum duration of 60 minutes."}
    talk = await host.start(script=broken_once({"at": FIRST_TEXT, "drop": drop}))
    await talk.ask("sendText", text="Hello")
    assert await said(talk) == ["Heard: Hello"]
    assert states(talk, "reconnecting")[0]["cause"] == "expired"


NEVER: Message = {"connections": [{"faults": [drop_at(**FIRST_TEXT)]}, *[{"faults": [{"hang": True}]}] * 5]}


async def test_a_stop_in_the_gap_ends_the_session_at_once(host: Host) -> None:
    talk = await host.start(script=NEVER)
    await talk.ask("sendText", text="Hello")
    await talk.event("state", state="reconnecting")
    assert (await talk.ask("get"))["state"] == "reconnecting"
    assert (await talk.ask("stop"))["reason"] == "stopped"
    assert talk.names()[-1] == "closed"


async def test_in_the_gap_everything_is_taken_and_bounded(host: Host) -> None:
    talk = await host.start(script=NEVER)
    await talk.ask("sendText", text="Hello")
    await talk.event("state", state="reconnecting")
    assert (await talk.ask("interrupt"))["interrupted"] is False
    await talk.ask("sendText", text="More")
    ten = b64(silence(10_000))
    replies = [await host.reply(talk.tell("sendAudio", audio=ten)) for _ in range(14)]
    refused = [error_of(reply) for reply in replies if "error" in reply]
    assert {(error["kind"], error["retryable"]) for error in refused} == {("overloaded", True)}
    assert len(replies) - len(refused) == 12
    assert (await talk.refused("wait", timeoutMs=50))["kind"] == "timed_out", "there is no idling in a gap"
    assert (await talk.ask("stop", force=True))["reason"] == "stopped"


async def test_audio_that_the_gap_had_no_room_for_is_told(host: Host) -> None:
    connections = [{"faults": [drop_at(**FIRST_TEXT)]}, {"faults": [{"hang": True}]}, {"faults": []}]
    talk = await host.start(script={"rules": ECHO, "connections": connections})
    await talk.ask("sendText", text="Hello")
    await talk.event("state", state="reconnecting")
    ten = b64(silence(10_000))
    for _ in range(14):
        await host.reply(talk.tell("sendAudio", audio=ten))
    flow = await talk.event("flow", direction="input")
    assert (flow["lost"], flow["droppedMs"]) == (True, 20_000)
    assert (await back(talk))["restored"] is False


async def test_other_sessions_know_nothing_of_it(host: Host) -> None:
    well = await host.start(script={"rules": ECHO})
    ill = await host.start(script=broken_once(drop_at(**FIRST_TEXT)))
    for talk in (well, ill):
        await talk.ask("sendText", text="Hello")
    assert await said(ill) == await said(well) == ["Heard: Hello"]
    assert states(well, "reconnecting") == []
    stats = await host.ask("server.stats")
    assert {s["sessionId"]: s["reconnects"] for s in stats["live"]} == {well.id: 0, ill.id: 1}
    await ill.ask("stop")
    assert (await host.ask("server.stats"))["reconnects"] >= 1, "those of sessions that ended too"


async def conversation(talk: Talk) -> list[tuple[str, str]]:
    """What the session's items say at the end of it: (role, text)."""
    await talk.ask("stop")
    items: dict[str, Message] = {}
    for event in talk.events:
        if event["method"] in ("realtime.itemAdded", "realtime.itemUpdated"):
            items[event["params"]["item"]["itemId"]] = event["params"]["item"]
    shown = []
    for item in items.values():
        texts = [part.get("text") or part.get("transcript") or "" for part in item.get("content", ())]
        shown.append((item.get("role", ""), " ".join(texts)))
    return shown


async def test_a_limit_that_only_a_wrong_clock_sees_costs_one_reconnect(host: Host) -> None:
    """The provider tells a time of day: by a clock that is ahead, each connection would end at once."""
    await (await host.start()).ask("stop")  # the voice SDK is loaded
    async with Provider.open(expires_at=time.time() + 2) as provider:
        settings = {"provider": "compatible", "openai_realtime_url": provider.url, "api_key": "k"}
        talk = await host.start(settings=settings)
        assert (await talk.event("state", state="reconnecting"))["cause"] == "expiring"
        await back(talk)
        assert (await talk.refused("wait", **{"for": "closed"}, timeoutMs=2000))["kind"] == "timed_out"
        assert len(states(talk, "reconnecting")) == 1
        assert (await talk.ask("get"))["state"] != "reconnecting"
