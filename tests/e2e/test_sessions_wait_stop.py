"""`session.wait` and `session.stop` as a host sees them (PROTOCOL section 3)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.host import Host, Talk, error_of, says
from tests.support.speech import b64, silence

pytestmark = pytest.mark.anyio

NEVER_CONNECTS = {"faults": [{"silent": True}]}
LONG = {"rules": [{"do": [{"wait_ms": 3_600_000}]}]}
"""A response that never comes to its end, at any speed."""
SLOW = 0.1
"""A speed at which nothing that waits is over before a test is."""


async def stuck(host: Host) -> Talk:
    """A session whose response goes on until it is ended."""
    talk = await host.start(script=LONG, speed=SLOW)
    await talk.ask("sendText", text="Hello")
    await talk.event("responseStart")
    return talk


async def test_wait_lists_the_responses_that_ended_since_the_last_wait(host: Host) -> None:
    talk = await host.start(script=says("heard", "welcome"))
    await talk.ask("sendText", text="One")
    first = await talk.ask("wait")
    assert (first["state"], [r["text"] for r in first["responses"]]) == ("idle", ["I heard you."])
    assert first["responses"][0]["responseId"] == talk.of("responseEnd")[0]["responseId"]
    assert await talk.ask("wait") == {"state": "idle", "responses": []}
    await talk.ask("sendText", text="Two")
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["You are welcome."]


async def test_wait_on_a_new_session_is_idle_at_once(host: Host) -> None:
    talk = await host.start()
    assert await talk.ask("wait") == {"state": "idle", "responses": []}


async def test_wait_holds_back_the_inputs_behind_it(host: Host) -> None:
    talk = await host.start(script=says("heard", "welcome"))
    ids = []
    for text in ("One", "Two"):
        ids += [talk.tell("sendText", text=text), talk.tell("wait")]
    replies = [await host.reply(request_id) for request_id in ids]
    assert host.order(*ids) == ids
    texts = [[r["text"] for r in reply["result"].get("responses", [])] for reply in replies]
    assert texts == [[], ["I heard you."], [], ["You are welcome."]]
    users = [n for n, e in enumerate(talk.events) if e["params"].get("item", {}).get("role") == "user"]
    ends = [n for n, e in enumerate(talk.events) if e["method"] == "realtime.responseEnd"]
    assert users[0] < ends[0] < users[-1] < ends[1]


async def test_wait_for_closed_holds_back_nothing(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    closed = talk.tell("wait", **{"for": "closed"})
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    await talk.ask("stop")
    assert (await host.reply(closed))["result"]["state"] == "closed"


async def test_wait_times_out_and_lets_the_inputs_behind_it_go(host: Host) -> None:
    talk = await stuck(host)
    wait = talk.tell("wait", timeoutMs=50)
    behind = talk.tell("sendText", text="Two", respond=False)
    error = error_of(await host.reply(wait))
    assert (error["code"], error["kind"], error["retryable"]) == (-32050, "timed_out", True)
    assert (await host.reply(behind))["result"] == {}
    assert host.order(wait, behind) == [wait, behind]
    await talk.event("itemAdded", 2)
    assert (await talk.refused("wait", timeoutMs=0))["kind"] == "timed_out"
    assert (await talk.refused("wait", timeoutMs=0, **{"for": "closed"}))["kind"] == "timed_out"


async def test_a_cancelled_wait_lets_the_inputs_behind_it_go(host: Host) -> None:
    talk = await stuck(host)
    wait = talk.tell("wait")
    behind = talk.tell("sendText", text="Two", respond=False)
    host.notify("$/cancelRequest", id=wait)
    assert error_of(await host.reply(wait))["code"] == -32800
    assert (await host.reply(behind))["result"] == {}


async def test_a_wait_that_times_out_loses_no_response(host: Host) -> None:
    talk = await host.start(script={**says("heard"), "latency_ms": 1000}, speed=1)
    await talk.ask("sendText", text="Hello")
    await talk.refused("wait", timeoutMs=1)
    assert [r["text"] for r in (await talk.ask("wait"))["responses"]] == ["I heard you."]


async def test_the_end_of_a_session_answers_every_wait_with_closed(host: Host) -> None:
    talk = await stuck(host)
    waits = [talk.tell("wait"), talk.tell("wait"), talk.tell("wait", **{"for": "closed"})]
    await talk.ask("stop", force=True)
    for wait in waits:
        assert (await host.reply(wait))["result"]["state"] == "closed"
    assert (await talk.ask("wait")) == {"state": "closed", "responses": []}


async def test_stop_answers_with_all_that_the_session_left(host: Host) -> None:
    talk = await host.start(script=says("heard", "welcome"))
    for text in ("One", "Two"):
        await talk.ask("sendText", text=text)
        await talk.ask("wait")
    result = await talk.ask("stop")
    assert result["reason"] == "stopped"
    assert talk.of("responseEnd")[-1]["atMs"] <= result["durationMs"] <= talk.of("closed")[0]["atMs"]
    assert result["usage"]["totalTokens"] == talk.of("usage")[-1]["totalTokens"]
    files, ends = result["files"], talk.of("audioEnd")
    assert [file["path"] for file in files] == [end["file"] for end in ends]
    assert [file["itemId"] for file in files] == [end["itemId"] for end in ends]
    assert [(file["side"], file["contentIndex"]) for file in files] == [("assistant", 0)] * 2
    assert all(abs(f["durationMs"] - e["totalMs"]) <= 1 for f, e in zip(files, ends, strict=True))
    assert all(Path(file["path"]).is_file() for file in files)
    assert talk.names()[-1] == "closed"
    assert talk.of("closed")[0]["reason"] == "stopped"


async def test_stop_goes_behind_the_waits_sent_before_it(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    ids = [talk.tell("sendText", text="Hello"), talk.tell("wait"), talk.tell("stop")]
    wait = (await host.reply(ids[1]))["result"]
    assert (wait["state"], [r["status"] for r in wait["responses"]]) == ("idle", ["completed"])
    assert (await host.reply(ids[2]))["result"]["reason"] == "stopped"
    assert host.order(*ids) == ids


async def test_stop_overtakes_everything_but_waits(host: Host) -> None:
    talk = await stuck(host)
    asked = talk.tell("sendText", text="Two")
    await talk.ask("stop")
    assert "result" in await host.reply(asked)
    (ended,) = talk.of("responseEnd")
    assert ended["status"] == "cancelled"


async def test_a_forced_stop_overtakes_the_waits_too(host: Host) -> None:
    talk = await stuck(host)
    wait = talk.tell("wait")
    patient = talk.tell("stop")
    forced = talk.tell("stop", force=True)
    assert (await host.reply(wait))["result"]["state"] == "closed"
    assert (await host.reply(patient))["result"] == (await host.reply(forced))["result"]


async def test_inputs_that_are_not_upstream_when_the_session_ends_get_session_state(host: Host) -> None:
    talk = await stuck(host)
    talk.tell("wait")
    held = [
        talk.tell("sendText", text="Two"),
        talk.tell("sendAudio", audio=b64(silence(100))),
        talk.tell("respond"),
    ]
    await talk.ask("stop", force=True)
    for request_id in held:
        error = error_of(await host.reply(request_id))
        assert (error["code"], error["kind"]) == (-32012, "session_state")
    assert "Two" not in str(talk.events)


async def test_a_second_stop_gets_the_same_result(host: Host) -> None:
    talk = await host.start(script=says("heard"))
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    stops = [talk.tell("stop"), talk.tell("stop")]
    results = [(await host.reply(request_id))["result"] for request_id in stops]
    results.append(await talk.ask("stop"))
    assert results[0] == results[1] == results[2]
    assert talk.names().count("closed") == 1


async def test_a_stop_behind_another_end_tells_the_true_reason(host: Host) -> None:
    talk = await host.start(
        script={"faults": [{"at": {"type": "conversation.item.create"}, "drop": 1006}]}, reconnect=False
    )
    await talk.ask("sendText", text="Hello")
    await talk.event("closed")
    for _ in range(2):
        assert (await talk.ask("stop"))["reason"] == "connectionLost"


async def test_a_pending_start_is_cancelled_by_a_stop(host: Host) -> None:
    talk, start = host.begin(script=NEVER_CONNECTS)
    text = talk.tell("sendText", text="Hello")
    stop = talk.tell("stop")
    error = error_of(await host.reply(start))
    assert (error["code"], error["kind"]) == (-32800, "cancelled")
    assert error_of(await host.reply(text))["kind"] == "session_state"
    result = (await host.reply(stop))["result"]
    assert (result["reason"], result["files"]) == ("stopped", [])
    assert host.order(start, text, stop)[0] == start
    assert await talk.ask("stop") == result
    assert talk.events == []


async def test_a_stop_waits_behind_a_wait_even_while_the_session_starts(host: Host) -> None:
    talk, start = host.begin(script=says("heard"))
    ids = [start, talk.tell("sendText", text="Hello"), talk.tell("wait"), talk.tell("stop")]
    replies = [await host.reply(request_id) for request_id in ids]
    assert [r["status"] for r in replies[2]["result"]["responses"]] == ["completed"]
    assert replies[3]["result"]["reason"] == "stopped"


async def test_a_stop_cannot_be_cancelled(host: Host) -> None:
    talk = await stuck(host)
    wait = talk.tell("wait", timeoutMs=1000)
    stop = talk.tell("stop")
    host.notify("$/cancelRequest", id=stop)
    assert error_of(await host.reply(wait))["kind"] == "timed_out"
    assert (await host.reply(stop))["result"]["reason"] == "stopped"


async def test_a_session_that_closes_takes_no_more_inputs(host: Host) -> None:
    talk = await host.start()
    stop = talk.tell("stop")
    late = talk.tell("sendText", text="Hello")
    assert error_of(await host.reply(late))["kind"] in ("session_state", "session_not_found")
    assert "result" in await host.reply(stop)
    assert (await talk.refused("sendText", text="Hello"))["kind"] == "session_not_found"


async def test_what_ran_is_ended_before_closed(host: Host) -> None:
    script = {"rules": [{"do": [{"say": "story"}, {"wait_ms": 3_600_000}]}]}
    talk = await host.start(script=script, speed=1)
    await talk.ask("sendText", text="Hello")
    await talk.event("audio", 3)
    result = await talk.ask("stop")
    names = talk.names()
    for name in ("audioEnd", "transcriptDone", "agentEnd", "responseEnd"):
        assert names.count(name) == 1, name
    assert names[-1] == "closed"
    (file,), (end,) = result["files"], talk.of("audioEnd")
    assert file["durationMs"] == end["totalMs"]


async def test_sessions_stop_at_once_without_minding_each_other(host: Host) -> None:
    talks = [await host.start(script=says("heard")) for _ in range(5)]
    await asyncio.gather(*(talk.ask("sendText", text="Hello") for talk in talks))
    results = await asyncio.gather(*(talk.ask("stop") for talk in talks))
    assert [result["reason"] for result in results] == ["stopped"] * 5
    assert (await host.ask("session.list"))["sessions"] == []
