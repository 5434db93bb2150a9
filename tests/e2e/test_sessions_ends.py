"""The end of the daemon while sessions talk: end of stdin, signals, shutdown, exit (PROTOCOL section 2)."""

from __future__ import annotations

import signal
import wave
from pathlib import Path

import pytest

from tests.support.host import Host, Talk, error_of, says
from tests.support.speech import b64, utterance

pytestmark = pytest.mark.anyio

TOOL = {"name": "look_up", "run": "host"}
LOOKS_UP = {
    "rules": [
        {"on": "text", "do": [{"call": {"tool": "look_up"}}]},
        {"on": "tool_output", "do": [{"say": "done"}]},
    ]
}


async def speaking(host: Host) -> Talk:
    """A session in the middle of a story, at the speed of life."""
    talk = await host.start(script=says("story"), speed=1)
    await talk.ask("sendText", text="Tell me a story")
    await talk.event("audio", 3)
    return talk


async def test_the_end_of_stdin_finishes_the_waits(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await host.start(script=says("story"), speed=4)
        talk.tell("sendText", text="Tell me a story")
        wait = talk.tell("wait")
        host.daemon.close_stdin()
        (response,) = (await host.reply(wait))["result"]["responses"]
        assert response["status"] == "completed"
        await host.finished(0)
        assert talk.of("closed")[0]["reason"] == "hostGone"
        (end,) = talk.of("audioEnd")
        with wave.open(end["file"], "rb") as file:
            assert abs(file.getnframes() / 24 - end["totalMs"]) <= 1


async def test_the_end_of_stdin_in_mid_speech_ends_what_nobody_waits_for(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await speaking(host)
        host.daemon.close_stdin()
        await host.finished(0)
        assert talk.of("closed")[0]["reason"] == "hostGone"
        assert talk.of("responseEnd")[0]["status"] == "cancelled"


async def test_the_end_of_stdin_lets_a_start_and_what_follows_it_finish(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk, start = host.begin(script=says("heard"))
        ids = [start, talk.tell("sendText", text="Hello"), talk.tell("wait"), talk.tell("stop")]
        host.daemon.close_stdin()
        replies = [await host.reply(request_id) for request_id in ids]
        assert [r["text"] for r in replies[2]["result"]["responses"]] == ["I heard you."]
        assert replies[3]["result"]["reason"] == "stopped"
        assert host.order(*ids) == ids
        await host.finished(0)


async def test_calls_to_a_host_that_is_gone_fail_at_once(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await host.start(agent={"name": "a", "tools": [TOOL]}, script=LOOKS_UP)
        talk.tell("sendText", text="Look it up")
        wait = talk.tell("wait")
        await host.call("tool.call")
        host.daemon.close_stdin()
        responses = (await host.reply(wait))["result"]["responses"]
        assert [r["text"] for r in responses][-1] == "That is done."
        (end,) = talk.of("toolEnd")
        assert end["status"] == "failed"
        await host.finished(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_in_mid_speech_ends_every_session_as_it_should(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with Host.spawn(tmp_path) as host:
        talks = [await speaking(host), await host.start()]
        wait = talks[0].tell("wait")
        held = talks[0].tell("sendText", text="Two")
        await host.ask("ping")
        host.daemon.signal(number)
        assert error_of(await host.reply(wait))["kind"] == "shutting_down"
        assert error_of(await host.reply(held))["kind"] == "shutting_down"
        await host.finished(0)
        assert [talk.of("closed")[0]["reason"] for talk in talks] == ["shutdown", "shutdown"]
        (end,) = talks[0].of("audioEnd")
        with wave.open(end["file"], "rb") as file:
            assert abs(file.getnframes() / 24 - end["totalMs"]) <= 1


@pytest.mark.parametrize("end", ["signal", "exit", "shutdown"])
async def test_open_calls_are_withdrawn_from_a_host_that_is_there(tmp_path: Path, end: str) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await host.start(agent={"name": "a", "tools": [TOOL]}, script=LOOKS_UP)
        talk.tell("sendText", text="Look it up")
        call = await host.call("tool.call")
        if end == "signal":
            host.daemon.signal(signal.SIGTERM)
        else:
            host.daemon.send({"method": end} if end == "exit" else {"id": 0, "method": end})
        assert (await host.call("$/cancelRequest"))["params"] == {"id": call["id"]}
        host.daemon.close_stdin()
        await host.finished(1 if end == "exit" else 0)
        (tool,) = talk.of("toolEnd")
        assert tool["status"] == "failed"
        assert tool["output"] == "The session ended before the tool did."
        assert len(talk.of("responseStart")) == 1


async def test_shutdown_closes_every_session_before_it_is_answered(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talks = [await speaking(host) for _ in range(3)]
        wait = talks[0].tell("wait")
        shutdown = host.tell("shutdown")
        assert error_of(await host.reply(wait))["kind"] == "shutting_down"
        await host.reply(shutdown)
        assert [talk.of("closed")[0]["reason"] for talk in talks] == ["shutdown"] * 3
        late = error_of(await host.reply(talks[0].tell("sendText", text="Hello")))
        assert late["kind"] == "invalid_request"
        host.notify("exit")
        await host.finished(0)


async def test_shutdown_calls_off_a_start(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk, start = host.begin(script={"faults": [{"silent": True}]})
        text = talk.tell("sendText", text="Hello")
        shutdown = host.tell("shutdown")
        for request_id in (start, text):
            assert error_of(await host.reply(request_id))["kind"] == "shutting_down"
        await host.reply(shutdown)
        host.notify("exit")
        await host.finished(0)
        assert talk.events == []


async def test_a_stop_in_flight_at_shutdown_gets_its_result(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await speaking(host)
        wait = talk.tell("wait")
        stop = talk.tell("stop")
        shutdown = host.tell("shutdown")
        assert "error" in await host.reply(wait)
        assert (await host.reply(stop))["result"]["reason"] in ("shutdown", "stopped")
        await host.reply(shutdown)
        host.notify("exit")
        await host.finished(0)


async def test_exit_without_shutdown_ends_the_sessions_with_code_1(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await speaking(host)
        host.notify("exit")
        await host.finished(1)
        assert talk.of("closed")[0]["reason"] == "shutdown"


async def test_what_was_said_before_the_end_is_kept_for_the_next_daemon(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await host.start("kept", script=says("heard"))
        await talk.ask("sendAudio", audio=b64(utterance("weather")), commit=True)
        await talk.ask("wait")
        files = (await talk.ask("stop"))["files"]
    async with Host.spawn(tmp_path) as host:
        again = await host.start("kept", script=says("heard"))
        await again.ask("sendText", text="Hello")
        await again.ask("wait")
        more = (await again.ask("stop"))["files"]
    paths = [Path(file["path"]) for file in files + more]
    assert len(set(paths)) == 2
    assert all(path.is_file() for path in paths)
