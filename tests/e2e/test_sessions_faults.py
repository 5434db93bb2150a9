"""What a host is told when the provider fails it: kinds of errors, true reasons (PROTOCOL section 6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.daemon import Message
from tests.support.host import Host, error_of, says
from tests.support.speech import b64, silence

pytestmark = pytest.mark.anyio

TALKS = says("story", "heard")
FIRST_TEXT = {"type": "conversation.item.create"}


def spoiled(*faults: Message, **members: Any) -> Message:
    """The script of a story with faults."""
    return {**TALKS, "faults": list(faults), **members}


@pytest.mark.parametrize("code", [1006, 1011])
async def test_a_drop_before_the_session_is_connected_is_provider_unreachable(host: Host, code: int) -> None:
    talk, start = host.begin(script=spoiled({"drop": code}))
    text = talk.tell("sendText", text="Hello")
    for request_id in (start, text):
        assert error_of(await host.reply(request_id))["kind"] == "provider_unreachable"
    assert talk.events == []


async def test_a_setting_that_can_change_no_more_is_told_and_the_rest_of_an_update_holds(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    await talk.ask("update", realtime={"voice": "sage"})
    error = await talk.event("error")
    assert (error["kind"], error["fatal"]) == ("session_state", False)
    assert "voice" in error["message"]
    await talk.ask("sendText", text="Hello")
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["completed"]


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 4000])
async def test_a_drop_in_mid_speech_ends_all_that_runs_and_tells_the_reason(host: Host, code: int) -> None:
    talk = await host.start(script=spoiled({"at": {"audio_delta": 5}, "drop": code}), reconnect=False)
    talk.tell("sendText", text="Tell me a story")
    wait = talk.tell("wait")
    closed = await talk.event("closed")
    assert closed["reason"] == "connectionLost"
    assert closed["error"]["kind"] == "provider_unreachable"
    if code != 1006:
        assert str(code) in closed["error"]["message"]
    (fatal,) = talk.of("error", fatal=True)
    assert fatal["kind"] == "provider_unreachable"
    assert len(talk.of("audio")) == 5
    (ended,) = talk.of("responseEnd")
    assert ended["status"] in ("cancelled", "failed", "incomplete")
    result = (await host.reply(wait))["result"]
    assert (result["state"], len(result["responses"])) == ("closed", 1)
    (file,) = (await talk.ask("stop"))["files"]
    assert file["durationMs"] == 500
    assert talk.names()[-1] == "closed"


async def test_inputs_behind_a_lost_connection_get_session_not_found_or_state(host: Host) -> None:
    talk = await host.start(script=spoiled({"at": FIRST_TEXT, "drop": 1006}), reconnect=False)
    talk.tell("sendText", text="Hello")
    await talk.event("closed")
    error = await talk.refused("sendText", text="Are you there?")
    assert error["kind"] in ("session_not_found", "session_state")


async def test_an_hour_that_is_over_is_told_as_expired(host: Host) -> None:
    drop = {"code": 1001, "reason": "Your session hit the maximum duration of 60 minutes (session_expired)."}
    talk = await host.start(script=spoiled({"at": FIRST_TEXT, "drop": drop}), reconnect=False)
    talk.tell("sendText", text="Hello")
    assert (await talk.event("closed"))["reason"] == "expired"
    assert (await talk.ask("stop"))["reason"] == "expired"


async def test_an_unknown_event_is_no_error(host: Host) -> None:
    talk = await host.start(script=spoiled({"at": {"audio_delta": 5}, "unknown_event": True}), raw=True)
    await talk.ask("sendText", text="Tell me a story")
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["completed"]
    assert talk.of("error") == []
    assert "simulator.unknown" in [raw["event"]["type"] for raw in talk.of("raw")]


@pytest.mark.parametrize(
    ("fail", "status", "code"),
    [
        ("quota", "failed", "insufficient_quota"),
        ("rate_limit", "failed", "rate_limit_exceeded"),
        ({"type": "server_error", "code": "odd", "message": "It broke."}, "failed", "odd"),
    ],
)
async def test_a_failed_response_tells_why(host: Host, fail: Any, status: str, code: str) -> None:
    talk = await host.start(script={"rules": [{"do": [{"fail": fail}]}]})
    await talk.ask("sendText", text="Hello")
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == [status]
    (ended,) = talk.of("responseEnd")
    assert (ended["status"], ended["error"]["kind"]) == (status, "provider_error")
    assert ended["error"]["code"] == code
    assert talk.of("closed") == []


@pytest.mark.parametrize("reason", ["content_filter", "max_output_tokens"])
async def test_an_incomplete_response_tells_why(host: Host, reason: str) -> None:
    talk = await host.start(script={"rules": [{"do": [{"say": "heard"}, {"fail": reason}]}]})
    await talk.ask("sendText", text="Hello")
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["incomplete"]
    (ended,) = talk.of("responseEnd")
    assert (ended["status"], ended["reason"]) == ("incomplete", reason)


async def test_an_error_event_in_mid_talk_is_told_with_what_the_provider_said(host: Host) -> None:
    script = {
        "rules": [{"do": [{"error": {"message": "Slow down.", "type": "t", "code": "c"}}, {"say": "heard"}]}]
    }
    talk = await host.start(script=script)
    await talk.ask("sendText", text="Hello")
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["completed"]
    (error,) = talk.of("error")
    assert (error["kind"], error["message"], error["fatal"]) == ("provider_error", "Slow down.", False)
    assert error["upstream"] == {"type": "t", "code": "c"}


async def test_a_provider_that_ignores_a_cancel_is_not_heard_any_more(host: Host) -> None:
    talk = await host.start(script=spoiled({"ignore_cancel": True}), speed=1)
    await talk.ask("sendText", text="Tell me a story")
    await talk.event("audio", 3)
    assert (await talk.ask("interrupt"))["interrupted"] is True
    cut = await talk.event("audioInterrupted")
    assert (await talk.event("responseEnd"))["status"] == "cancelled"
    assert await talk.ask("wait") is not None
    index = talk.names().index("audioInterrupted")
    late = [e for e in talk.events[index:] if e["method"] == "realtime.audio"]
    assert [e for e in late if e["params"]["itemId"] == cut["itemId"]] == []


async def test_a_provider_that_takes_nothing_holds_up_no_stop(host: Host) -> None:
    talk = await host.start(script=spoiled({"at": FIRST_TEXT, "half_open": True}))
    await talk.ask("sendText", text="Hello")
    chunks = [talk.tell("sendAudio", audio=b64(silence(10_000))) for _ in range(11)]
    assert "result" in await host.reply(chunks[0])
    stop = talk.tell("stop", force=True)
    assert (await host.reply(stop))["result"]["reason"] in ("stopped", "connectionLost")
    for chunk in chunks:
        await host.reply(chunk)


async def test_a_provider_that_takes_nothing_fills_the_queue_which_says_so(host: Host) -> None:
    talk = await host.start(script=spoiled({"at": FIRST_TEXT, "half_open": True}))
    await talk.ask("sendText", text="Hello")
    chunks = [talk.tell("sendAudio", audio=b64(silence(10_000))) for _ in range(40)]
    replies = [await host.reply(chunk) for chunk in chunks]
    refused = [error_of(reply)["kind"] for reply in replies if "error" in reply]
    assert set(refused) <= {"overloaded"}
    assert refused
    assert all(reply["result"]["acceptedMs"] == 10_000 for reply in replies if "result" in reply)


async def test_one_sessions_fault_touches_no_other(host: Host) -> None:
    well = await host.start(script=says("story"))
    ill = await host.start(script=spoiled({"at": {"audio_delta": 3}, "drop": 1006}), reconnect=False)
    for talk in (well, ill):
        await talk.ask("sendText", text="Tell me a story")
    await ill.event("closed")
    assert [r["status"] for r in (await well.ask("wait"))["responses"]] == ["completed"]
    assert well.of("error") == []
