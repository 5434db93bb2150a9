"""Sessions where two rules meet: batches, the drain's limit, odd words, servers that are only compatible."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnirt.loopback import LoopbackServer, SimulatorProfile, load_script
from tests.support.daemon import Daemon, Message
from tests.support.host import AGENT, Host, error_of, says, start_params
from tests.support.speech import utterance

pytestmark = pytest.mark.anyio


async def test_a_whole_talk_as_one_batch_is_answered_by_one_array_in_order(tmp_path: Path) -> None:
    methods: list[tuple[str, Message]] = [
        ("session.start", start_params(script=says("heard"))),
        ("session.sendText", {"text": "Hello"}),
        ("session.wait", {}),
        ("session.stop", {}),
    ]
    batch = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": {"sessionId": "s", **params}}
        for number, (method, params) in enumerate(methods)
    ]
    async with Daemon.spawn(["--data-dir", str(tmp_path)]) as daemon:
        daemon.send(batch)
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0
        (answer,) = [message for message in daemon.seen if isinstance(message, list)]
        assert [reply["id"] for reply in answer] == [0, 1, 2, 3]
        assert answer[2]["result"]["responses"][0]["text"] == "I heard you."
        assert answer[3]["result"]["reason"] == "stopped"
        seqs = [message["params"]["seq"] for message in daemon.seen if isinstance(message, dict)]
        assert seqs == list(range(1, len(seqs) + 1))


async def test_a_wait_that_outlasts_the_drain_is_answered_shutting_down(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path, "--drain-timeout", "0.5") as host:
        talk = await host.start()
        wait = talk.tell("wait", **{"for": "closed"})
        host.daemon.close_stdin()
        assert error_of(await host.reply(wait))["kind"] == "shutting_down"
        await host.finished(0)
        assert talk.of("closed")[0]["reason"] == "hostGone"


@pytest.mark.parametrize(
    "text",
    ["", " ", "line\u2028line\u2029\u0085end", "\N{GRINNING FACE} \0 \x7f", "\\u0041", "x" * 1_000_000],
)
async def test_any_text_reaches_the_model_as_it_is(host: Host, text: str) -> None:
    talk = await host.start(script=says("heard"))
    await talk.ask("sendText", text=text)
    added = await talk.event("itemAdded")
    assert added["item"]["content"] == [{"type": "text", "text": text}]
    assert [r["status"] for r in (await talk.ask("wait"))["responses"]] == ["completed"]


async def test_a_commit_while_the_agent_speaks_is_answered_after_it(host: Host) -> None:
    talk = await host.start(script=says("story", "heard"), speed=4, realtime={"turn_detection": None})
    await talk.ask("sendText", text="Tell me a story")
    await talk.event("audio")
    await talk.say(utterance("weather"), commit=True)
    responses = (await talk.ask("wait"))["responses"]
    assert [(r["status"], r["text"]) for r in responses][1:] == [("completed", "I heard you.")]
    assert responses[0]["status"] == "completed"
    assert talk.of("error") == []


async def test_a_text_after_an_interrupt_is_answered_at_once(host: Host) -> None:
    talk = await host.start(script=says("story", "heard"), speed=1)
    await talk.ask("sendText", text="Tell me a story")
    await talk.event("audio")
    interrupt = talk.tell("interrupt")
    talk.tell("sendText", text="Something else")
    responses = (await talk.ask("wait"))["responses"]
    assert (await host.reply(interrupt))["result"]["interrupted"] is True
    assert [(r["status"], r["text"]) for r in responses][1:] == [("completed", "I heard you.")]
    assert responses[0]["status"] == "cancelled"


async def test_an_interrupt_names_an_item_that_was_heard_while_another_plays(host: Host) -> None:
    talk = await host.start(script=says("heard", "story"))
    for text in ("One", "Two"):
        await talk.ask("sendText", text=text)
        await talk.ask("wait")
    first, second = (end["itemId"] for end in talk.of("audioEnd"))
    await talk.ask("playback", itemId=second, contentIndex=0, playedMs=100)
    assert await talk.ask("interrupt", itemId=first) == {"interrupted": False}
    assert talk.of("audioInterrupted") == []
    assert (await talk.ask("interrupt", itemId=second))["heardMs"] == 100


async def test_a_compatible_server_that_answers_no_settings_counts_as_connected(host: Host) -> None:
    async with LoopbackServer() as server:
        script = load_script({**says("heard"), "faults": [{"no_session_updated": True}]})
        endpoint = server.open(SimulatorProfile(script, 20))
        settings = {
            "provider": "compatible",
            "openai_realtime_url": endpoint.url,
            "openai_api_key": endpoint.token,
        }
        started = await host.ask("session.start", sessionId="c", agent=dict(AGENT), settings=settings)
        assert started["provider"] == "compatible"
        await host.ask("session.sendText", sessionId="c", text="Hello")
        (response,) = (await host.ask("session.wait", sessionId="c"))["responses"]
        assert response["text"] == "I heard you."
        warnings = [m["params"] for m in host.seen if m.get("method") == "realtime.error"]
        assert [(warning["fatal"], warning["sessionId"]) for warning in warnings] == [(False, "c")]
        assert endpoint.token not in str(host.seen)
        await host.ask("session.stop", sessionId="c")


async def test_a_wrong_key_is_auth_failed_and_never_shown(host: Host) -> None:
    async with LoopbackServer() as server:
        endpoint = server.open(SimulatorProfile(None, 20))
        settings = {
            "provider": "compatible",
            "openai_realtime_url": endpoint.url,
            "openai_api_key": "sk-wrong-5f2c",
        }
        error = await host.refused("session.start", agent=dict(AGENT), settings=settings)
        assert (error["code"], error["kind"]) == (-32031, "auth_failed")
        assert "sk-wrong-5f2c" not in str(host.seen)
        assert b"sk-wrong-5f2c" not in host.daemon.stderr
