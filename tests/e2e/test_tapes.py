"""A talk is recorded by a real daemon, and played again: to the same host, and to one that is wrong."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from omnirt.client import Client
from omnirt.protocol.calls import ToolCallParams
from omnirt.protocol.events import RealtimeAudio
from omnirt.protocol.methods import SessionStartParams
from omnirt.tapes.lines import DaemonLine, read_tape
from omnirt.testing import replay_command, script
from tests.support.daemon import WAIT_S, Daemon, driven
from tests.support.host import Host
from tests.support.speech import utterance

pytestmark = pytest.mark.anyio

AGENT = {
    "name": "guide",
    "tools": [{"name": "get_weather", "run": "host", "description": "The weather of a city"}],
    "mcp_servers": [],
}
SCRIPT = script().on(kind="audio").call_tool("get_weather", city="Lisbon").say("weather").build()


async def talk(
    client: Client, *, weather: str = "sunny", question: str = "weather"
) -> tuple[list[str], bytes]:
    """What the user's program does: asks aloud, answers a call, listens."""

    @client.tool("get_weather")
    async def get_weather(call: ToolCallParams) -> str:
        return weather

    settings = {
        "provider": "simulator",
        "simulator": {"script": SCRIPT, "speed": 20},
        "openai_api_key": "sk-CANARY-of-the-host",
        "headers": {"Cookie": "sid=CANARY"},
    }
    async with client:
        session = await client.start_session(SessionStartParams(agent=AGENT, settings=settings))
        await session.send_audio(utterance(question), commit=True)
        await session.wait()
        await session.stop()
        events = [event async for event in session.events]
    sound = b"".join(event.audio for event in events if isinstance(event, RealtimeAudio))
    return [event.METHOD for event in events], sound


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], bytes]:
    """A tape, and what its host saw and heard."""
    folder = tmp_path_factory.mktemp("tape")
    path = folder / "talk.jsonl"
    client = Client(args=["--data-dir", str(folder / "data"), "--tape", str(path)])
    return path, *asyncio.run(asyncio.wait_for(talk(client), 60))


def test_a_tape_has_all_that_crossed_the_wire_but_no_secret(recorded: tuple[Path, list[str], bytes]) -> None:
    path, events, _ = recorded
    tape = read_tape(path)
    assert not tape.cut
    sent = [line.message.get("method") for line in tape.host_lines if isinstance(line.message, dict)]
    assert sent == [
        *("initialize", "session.start", "session.sendAudio", "session.wait", None, "session.stop"),
        *("shutdown", "exit"),
    ]
    said = [line.patterns[0] for line in tape.lines if isinstance(line, DaemonLine)]
    methods = [message.get("method") for message in said if isinstance(message, dict)]
    assert [method for method in methods if str(method).startswith("realtime.")] == events
    assert "tool.call" in methods
    assert "CANARY" not in path.read_text()


@pytest.mark.parametrize("timing", ["none", "4"])
async def test_the_same_host_sees_and_hears_the_same_again(
    recorded: tuple[Path, list[str], bytes], timing: str
) -> None:
    path, events, sound = recorded
    client = Client(replay_command(path, timing=timing))
    assert await talk(client) == (events, sound)
    assert client.returncode == 0
    assert len(sound) > 48_000


async def test_a_host_that_answers_a_call_otherwise_fails(recorded: tuple[Path, list[str], bytes]) -> None:
    path, *_ = recorded
    client = Client(replay_command(path), stderr=subprocess.PIPE)
    with pytest.raises(Exception, match=r"exit code 1|The daemon"):
        await talk(client, weather="rainy")
    assert client.returncode == 1


@driven
async def test_what_a_host_is_told_when_it_diverges(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    ping: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "session.list"}
    lines = [
        {"tape": 1},
        {"dir": "host", "msg": ping},
        {"dir": "daemon", "msg": {"jsonrpc": "2.0", "id": 1, "result": {}}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    async with Daemon.spawn(command=replay_command(path), framing="headers") as daemon:
        assert (await daemon.request("session.list"))["result"] == {}
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0
    async with Daemon.spawn(command=replay_command(path)) as daemon:
        daemon.send({**ping, "params": {"limit": 1}})
        assert await daemon.wait_exit() == 1
    assert b"t.jsonl:2: the host sent this differently: $.params.limit: not expected" in daemon.stderr
    async with Daemon.spawn(command=replay_command(path, timeout_s=0.1)) as daemon:
        assert await daemon.wait_exit() == 1
    assert b"t.jsonl:2: the host did not send this within 0.1 s" in daemon.stderr
    path.write_text("{}")
    async with Daemon.spawn(command=replay_command(path)) as daemon:
        assert await daemon.wait_exit() == 2
    assert b"is no tape" in daemon.stderr


@driven
async def test_a_killed_daemon_leaves_a_tape_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    config = tmp_path / "config.toml"
    config.write_text('api_key = "CANARY-of-the-file"')
    variables = {"OMNIRT_TAPE": str(path), "OMNIRT_TAPE_AUDIO": "inline", "OMNIRT_CONFIG": str(config)}
    async with Daemon.spawn(env=variables) as daemon:
        await daemon.request("initialize", {})
        daemon.send({"method": "session.sendAudio", "params": {"sessionId": "nobody", "audio": "AAAA"}})
        daemon.send({"method": "session.sendText", "params": {"text": "CANARY-of-the-file"}})
        assert (await daemon.wait_for(lambda m: m.get("method") == "log.message"))["params"]
        async with asyncio.timeout(WAIT_S):
            while path.read_bytes().count(b"\n") < 6:
                await asyncio.sleep(0.01)  # a file has no event of its own
        daemon.signal(signal.SIGKILL)
        await daemon.wait_exit()
    tape = read_tape(path)
    _, chunk, text = [line.message for line in tape.host_lines]
    assert isinstance(chunk, dict)
    assert chunk["params"] == {"sessionId": "nobody", "audio": "AAAA"}
    assert isinstance(text, dict)
    assert text["params"] == {"text": "***"}


@driven
async def test_a_tape_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async with Daemon.spawn(["--tape", str(tmp_path / "nowhere" / "t.jsonl")]) as daemon:
        assert await daemon.wait_exit() == 2
    assert b"nowhere/t.jsonl cannot be opened (No such file or directory)" in daemon.stderr
    if Path("/dev/full").exists():
        async with Host.spawn(tmp_path / "data", "--tape", "/dev/full") as host:
            told = await host.until(
                lambda: next((m for m in host.seen if m.get("method") == "log.message"), None)
            )
            assert "/dev/full ends here" in told["params"]["message"]
            await host.ask("ping")
