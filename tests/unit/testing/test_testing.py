"""What authors of hosts test with: scripts that the simulator takes, expectations that say what came."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.loopback import load_script
from omnirt.protocol.events import RealtimeAudio, RealtimeClosed, RealtimeState, RealtimeTextDone
from omnirt.protocol.types import Event
from omnirt.testing import Expectations, SimulatedDaemon, replay_command, script
from tests.support.daemon import driven


def test_a_script_reads_as_the_talk_goes() -> None:
    built = (
        script("weather")
        .on_start()
        .say("greeting")
        .on("weather", kind="text", turn=2)
        .write("A moment.")
        .wait(5)
        .call_tool("get_weather", city="Lisbon")
        .say("weather")
        .on()
        .hand_off("billing")
        .hears("What is the weather like?")
        .fault(drop=1006, at={"audio_delta": 3})
        .build()
    )
    assert built == {
        "name": "weather",
        "hears": ["What is the weather like?"],
        "faults": [{"at": {"audio_delta": 3}, "drop": 1006}],
        "rules": [
            {"on": "start", "do": [{"say": "greeting"}]},
            {
                "on": "text",
                "match": "weather",
                "turn": 2,
                "do": [
                    {"text": "A moment."},
                    {"wait_ms": 5},
                    {"call": {"tool": "get_weather", "arguments": {"city": "Lisbon"}}},
                ],
            },
            {"on": "tool_output", "tool": "get_weather", "do": [{"say": "weather"}]},
            {"on": "user", "do": [{"hand_off": "billing"}]},
        ],
    }
    assert script().say("heard").fail("quota").build()["rules"][0]["on"] == "user"
    assert load_script(built).name == "weather"


def test_a_script_that_the_simulator_would_refuse_is_refused_at_once(tmp_path: Path) -> None:
    wrong = script().on("x").fail("no_such_failure")
    with pytest.raises(OmnirtError, match="fail"):
        wrong.build()
    with pytest.raises(OmnirtError):
        SimulatedDaemon(tmp_path).use(script().on("x"))
    with pytest.raises(OmnirtError, match="dont"):
        SimulatedDaemon(tmp_path).use({"rules": [{"on": "start", "dont": []}]})


def test_what_crossed_the_wire_is_there_with_the_reply_and_of_each_daemon(tmp_path: Path) -> None:
    daemon = SimulatedDaemon(tmp_path)
    try:
        processes = [daemon.popen(), daemon.popen()]
        for number in range(20):
            process = processes[number % 2]
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b'{"id":%d,"method":"ping"}\n' % number)
            process.stdin.flush()
            process.stdout.readline()
            assert number in [message["id"] for message in daemon.told()]
        assert sorted(message["id"] for message in daemon.sent("ping")) == list(range(20))
        first, second = daemon.tapes
        assert str(processes[0].pid) in first.name or str(processes[0].pid) in second.name
    finally:
        daemon.close()


def test_a_daemon_of_a_test_knows_nothing_of_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    monkeypatch.setenv("OMNIRT_AGENTS", "somewhere")
    daemon = SimulatedDaemon(tmp_path)
    daemon.use(script().say("heard"), speed=5)
    own = {name for name in daemon.env if name.startswith(("OMNIRT_", "OPENAI_"))}
    assert own == {f"OMNIRT_{x}" for x in ("DATA_DIR", "CONFIG", "TAPE", "TAPE_AUDIO", "TAPE_SYNC")}
    config = tomllib.loads(Path(daemon.env["OMNIRT_CONFIG"]).read_text())
    assert (config["provider"], config["simulator"]["speed"]) == ("simulator", 5)
    assert json.loads(Path(config["simulator"]["script"]).read_text())["rules"]
    assert (daemon.sent(), daemon.told()) == ([], [])


def test_the_command_of_a_replay() -> None:
    command = replay_command("t.jsonl", timing="2", ignore_audio=True)
    assert command[1:] == [
        "-m",
        "omnirt",
        "replay",
        "t.jsonl",
        "--timing",
        "2",
        "--timeout",
        "30",
        "--ignore-audio",
    ]


HEAD: dict[str, Any] = {"session_id": "s", "run_id": "r", "at_ms": 0}
CHUNK = RealtimeAudio(
    response_id="x",
    item_id="i",
    content_index=0,
    audio=b"ab",
    offset_ms=0,
    delta_ms=1,
    audio_format="pcm16",
    **HEAD,
)


async def events(*, ends: bool = True) -> AsyncIterator[Event]:
    yield RealtimeState(state="connected", **HEAD)
    yield CHUNK
    yield CHUNK
    yield RealtimeTextDone(item_id="i", content_index=0, role="assistant", text="Hello there", **HEAD)
    if not ends:
        await asyncio.Event().wait()
    yield RealtimeClosed(reason="stopped", **HEAD)


@driven
async def test_expectations_pass_over_what_comes_in_between() -> None:
    expect = Expectations(events())
    done = await expect.next(RealtimeTextDone, role="assistant", text=lambda text: "Hello" in text)
    assert done.text == "Hello there"
    assert [type(event) for event in await expect.rest()] == [RealtimeClosed]
    assert len(expect.seen) == 5
    first, last = await Expectations(events()).in_order(RealtimeState, RealtimeClosed)
    assert (first.METHOD, last.METHOD) == ("realtime.state", "realtime.closed")


@driven
async def test_what_does_not_come_is_told_with_what_came() -> None:
    with pytest.raises(AssertionError) as caught:
        await Expectations(events()).next(RealtimeTextDone, text="Bye")
    assert str(caught.value).splitlines() == [
        "RealtimeTextDone(text='Bye') did not come before the end. What came:",
        '  realtime.state {"state":"connected"}',
        "  … 2 pieces of audio and text",
        '  realtime.textDone {"itemId":"i","contentIndex":0,"role":"assistant","text":"Hello there"}',
        '  realtime.closed {"reason":"stopped"}',
    ]
    with pytest.raises(AssertionError, match=r"within 0\.01 s"):
        await Expectations(events(ends=False), timeout_s=0.01).next(RealtimeClosed)
    with pytest.raises(AssertionError, match=r"did not end within 0\.01 s"):
        await Expectations(events(ends=False), timeout_s=0.01).rest()
