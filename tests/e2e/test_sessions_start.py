"""`session.start` as a host sees it: what it answers, what fails, whose id is taken (PROTOCOL section 3)."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.host import AGENT, Host, says, start_params

pytestmark = pytest.mark.anyio

UNKNOWN_FAULT = {"faults": [{"refuse": 401}]}


async def test_start_answers_with_all_that_the_session_is(host: Host) -> None:
    talk = await host.start("s-full")
    started = dict(talk.started)
    uuid.UUID(started.pop("runId"))
    assert datetime.fromisoformat(started.pop("startedAt")).utcoffset() is not None
    assert started == {
        "sessionId": "s-full",
        "resumed": False,
        "agent": "greeter",
        "provider": "simulator",
        "model": "gpt-realtime",
        "inputAudio": {"format": "pcm16", "sampleRate": 24000},
        "outputAudio": {"format": "pcm16", "sampleRate": 24000},
        "features": {
            "interrupt": True,
            "truncate": True,
            "commit": True,
            "text": True,
            "images": True,
            "update": True,
        },
    }


async def test_a_session_without_an_id_gets_one(host: Host) -> None:
    started = await host.ask("session.start", **start_params())
    assert str(uuid.UUID(started["sessionId"])) == started["sessionId"]
    assert started["runId"] != started["sessionId"]


async def test_the_longest_id_and_all_its_characters_are_taken(host: Host) -> None:
    for session_id in ("x" * 128, "A.b_c-9", "...", "-", ".hidden"):
        talk = await host.start(session_id)
        await talk.ask("sendText", text="Hello")
        await talk.ask("wait")
        (file,) = (await talk.ask("stop"))["files"]
        assert Path(file["path"]).is_file()


@pytest.mark.parametrize(
    "session_id", ["", ".", "..", "a/b", "../x", "a\\b", "a b", "a\n", "é", "a\0", "x" * 129, "%2e%2e", 7]
)
async def test_a_hostile_id_is_refused(host: Host, session_id: object) -> None:
    error = await host.refused("session.start", sessionId=session_id, **start_params())
    assert (error["kind"], error["path"]) == ("invalid_params", "$.sessionId")
    assert (await host.ask("session.list"))["sessions"] == []


async def test_a_live_id_is_taken_from_the_moment_its_start_is_sent(host: Host) -> None:
    talk, first = host.begin("taken")
    error = await host.refused("session.start", sessionId="taken", **start_params())
    assert (error["code"], error["kind"]) == (-32011, "session_exists")
    assert "result" in await host.reply(first)
    await talk.ask("stop")


async def test_the_id_of_a_session_that_is_over_starts_a_new_run(host: Host) -> None:
    first = await host.start("again")
    await first.ask("stop")
    second = await host.start("again")
    assert second.started["runId"] != first.started["runId"]
    assert (await second.event("state"))["seq"] == 1


async def test_a_failed_start_leaves_its_id_free_and_no_event(host: Host) -> None:
    failed, request_id = host.begin("freed", script=UNKNOWN_FAULT)
    assert "error" in await host.reply(request_id)
    assert (await host.refused("session.get", sessionId="freed"))["kind"] == "session_not_found"
    talk = await host.start("freed")
    await talk.ask("stop")
    assert failed.events == []


async def test_an_id_that_is_live_in_another_daemon_is_session_exists(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as one, Host.spawn(tmp_path) as other:
        await one.start("shared")
        error = await other.refused("session.start", sessionId="shared", **start_params())
        assert error["kind"] == "session_exists"
        await one.ask("session.stop", sessionId="shared")
        await other.start("shared")


async def test_several_starts_connect_at_once(host: Host) -> None:
    begun = [host.begin(f"many-{n}") for n in range(8)]
    replies = await asyncio.gather(*(host.reply(request_id) for _, request_id in begun))
    assert all("result" in reply for reply in replies)
    live = (await host.ask("session.list"))["sessions"]
    assert [info["sessionId"] for info in live] == [f"many-{n}" for n in range(8)]


async def test_get_and_list_tell_the_same_of_a_session(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    info = await talk.ask("get")
    assert (await host.ask("session.list"))["sessions"] == [info]
    assert {"sessionId", "runId", "state", "agent", "startedAt", "queues", "usage"} == info.keys()
    assert (info["state"], info["agent"]) == ("listening", "greeter")
    assert info["queues"] == {"inputMs": 0, "inputs": 0, "outputBytes": 0}
    assert info["usage"]["totalTokens"] > 0
    await talk.ask("stop")
    assert (await talk.refused("get"))["kind"] == "session_not_found"


async def test_get_knows_a_session_that_is_starting(host: Host) -> None:
    talk, request_id = host.begin(script={"faults": [{"slow_ms": 2000}]})
    assert (await talk.ask("get"))["state"] == "starting"
    assert "result" in await host.reply(request_id)


async def test_an_unknown_session_is_not_found_by_any_method(host: Host) -> None:
    methods: dict[str, dict[str, Any]] = {
        "sendText": {"text": "x"},
        "sendAudio": {"audio": ""},
        "sendMessage": {"content": [{"type": "input_text", "text": "x"}]},
        "respond": {},
        "clearAudio": {},
        "interrupt": {},
        "playback": {"itemId": "i", "contentIndex": 0, "playedMs": 0},
        "update": {},
        "wait": {},
        "get": {},
        "stop": {},
    }
    for method, params in methods.items():
        error = await host.refused(f"session.{method}", sessionId="nobody", **params)
        assert (error["code"], error["kind"]) == (-32010, "session_not_found"), method


async def test_an_agent_that_nobody_knows_is_agent_not_found(host: Host) -> None:
    error = await host.refused("session.start", **{**start_params(), "agent": "nobody"})
    assert (error["code"], error["kind"]) == (-32020, "agent_not_found")


async def test_a_misspelled_member_of_the_agent_is_agent_invalid_at_its_path(host: Host) -> None:
    agent = {**AGENT, "instructoins": "x"}
    error = await host.refused("session.start", **{**start_params(), "agent": agent})
    assert (error["code"], error["kind"]) == (-32021, "agent_invalid")
    assert error["path"].startswith("$")
    assert "instructions" in error["message"]


async def test_misspelled_params_are_invalid_at_their_path(host: Host) -> None:
    error = await host.refused("session.start", recrod="none", **start_params())
    assert (error["kind"], error["path"]) == ("invalid_params", "$.recrod")
    error = await host.refused("session.start", realtime={"voise": "ash"}, **start_params())
    assert error["kind"] == "invalid_params"
    assert error["path"].startswith("$.realtime")


async def test_no_key_and_no_url_is_endpoint_unresolved(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "OPENAI_REALTIME_URL": ""}
    async with Host.spawn(tmp_path, env=env) as host:
        error = await host.refused("session.start", agent=dict(AGENT), settings={"provider": "openai"})
        assert (error["code"], error["kind"]) == (-32030, "endpoint_unresolved")
        assert "openai_api_key" in error["message"]


async def test_a_script_file_that_is_not_there_fails_the_start_at_its_setting(host: Host) -> None:
    settings = {"provider": "simulator", "simulator": {"script": "no/such/script.yaml"}}
    error = await host.refused("session.start", **start_params(settings=settings))
    assert (error["kind"], error["path"]) == ("invalid_params", "$.settings.simulator.script")
    assert error["file"] == "no/such/script.yaml"
    assert "Errno" not in error["message"]


async def test_an_unreadable_script_fails_the_start_at_its_path(host: Host) -> None:
    error = await host.refused("session.start", **start_params(script={"ruels": []}))
    assert error["kind"] == "invalid_params"


async def test_a_rate_that_nobody_has_is_refused(host: Host) -> None:
    error = await host.refused("session.start", **start_params(inputAudio={"sampleRate": 22050}))
    assert (error["kind"], error["path"]) == ("invalid_params", "$.inputAudio.sampleRate")
    await host.start(inputAudio={"sampleRate": 24000}, outputAudio={"sampleRate": 24000})


async def test_g711_is_told_and_sent_at_8_khz(host: Host) -> None:
    realtime = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"}
    talk = await host.start(realtime=realtime, script=says("heard"))
    assert talk.started["inputAudio"] == {"format": "g711_ulaw", "sampleRate": 8000}
    assert talk.started["outputAudio"] == {"format": "g711_alaw", "sampleRate": 8000}
    await talk.ask("sendAudio", audio="f39/")  # three bytes are three samples here
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    assert {event["audioFormat"] for event in talk.of("audio")} == {"g711_alaw"}
    (file,) = (await talk.ask("stop"))["files"]
    assert abs(file["durationMs"] - talk.of("audioEnd")[0]["totalMs"]) <= 1


async def test_raw_passes_the_providers_events_on_as_they_came(host: Host) -> None:
    talk = await host.start(raw=True, script=says("heard"))
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    kinds = [raw["event"]["type"] for raw in talk.of("raw")]
    assert kinds[-1] == "response.done"
    assert "response.output_audio.delta" in kinds
    assert "rate_limits.updated" in kinds
    quiet = await host.start(script=says("heard"))
    await quiet.ask("sendText", text="Hello")
    await quiet.ask("wait")
    assert quiet.of("raw") == []


async def test_record_none_leaves_no_file_and_no_path(host: Host) -> None:
    talk = await host.start(record="none", script=says("heard"))
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    (end,) = talk.of("audioEnd")
    assert "file" not in end
    assert (await talk.ask("stop"))["files"] == []


async def test_a_notification_cannot_start_or_ask(host: Host) -> None:
    host.notify("session.start", sessionId="unheard", **start_params())
    host.notify("session.list")
    assert (await host.ask("session.list"))["sessions"] == []
