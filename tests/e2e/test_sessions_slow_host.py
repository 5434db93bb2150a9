"""A host that does not read for a while: what is dropped, what is kept, and that an interrupt still works."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import pytest

from tests.support.daemon import Message
from tests.support.host import WAIT_S, Host, says

pytestmark = pytest.mark.anyio

STORY_BYTES = 450_000
"""A little less than the story has."""
OUTPUT_BOUND_S = 530
"""This much audio is surely more than the daemon keeps for a host that does not read: 32 MiB on the wire."""


async def stored(data_dir: Path, size: int) -> None:
    """Waits until so many bytes of audio are on disk: the one sign of life there is."""
    async with asyncio.timeout(WAIT_S):
        while sum(path.stat().st_size for path in data_dir.rglob("*.wav")) < size:
            await asyncio.sleep(0.05)  # a file has no event to wait for


async def test_an_interrupt_drops_the_audio_that_a_slow_host_has_not_got(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await host.start(script=says("story", "heard"), speed=1000)
        host.daemon.pause_reading()
        talk.tell("sendText", text="Tell me a story")
        await stored(tmp_path, STORY_BYTES)
        interrupt = talk.tell("interrupt")
        talk.tell("sendText", text="Go on")
        second = talk.tell("wait")
        host.daemon.resume_reading()
        result = (await host.reply(interrupt))["result"]
        cut = await talk.event("audioInterrupted")
        await host.reply(second)
        assert (result["interrupted"], result["heardMs"]) == (True, cut["heardMs"])
        index = talk.names().index("audioInterrupted")
        before = [e["params"] for e in talk.events[:index] if e["method"] == "realtime.audio"]
        after = [e["params"] for e in talk.events[index:] if e["method"] == "realtime.audio"]
        assert sum(audio["deltaMs"] for audio in before) < cut["generatedMs"]
        assert cut["itemId"] not in {audio["itemId"] for audio in after}
        assert talk.of("flow") == []


async def test_audio_that_a_host_is_too_slow_for_is_told_and_kept_on_disk(tmp_path: Path) -> None:
    stories = OUTPUT_BOUND_S // 9
    script = {"rules": [{"do": [{"say": "story"}] * stories}]}
    async with Host.spawn(tmp_path) as host:
        talk = await host.start(script=script, speed=1000)
        other = await host.start(script=says("heard"))
        host.daemon.pause_reading()
        talk.tell("sendText", text="Tell me many stories")
        wait = talk.tell("wait")
        await stored(tmp_path, stories * STORY_BYTES)
        other.tell("sendText", text="Hello")
        quick = other.tell("wait")
        host.daemon.resume_reading()
        assert (await host.reply(wait))["result"]["state"] == "idle"
        assert len((await host.reply(quick))["result"]["responses"]) == 1
        flows = talk.of("flow")
        assert flows
        assert {(flow["direction"], flow["lost"]) for flow in flows} == {("output", False)}
        live = {s["sessionId"]: s["droppedAudioMs"] for s in (await host.ask("server.stats"))["live"]}
        assert live == {talk.id: sum(flow["droppedMs"] for flow in flows), other.id: 0}
        files = {file["itemId"]: file for file in (await talk.ask("stop"))["files"]}
        for flow in flows:
            assert_covers(files[flow["itemId"]], flow)
        stats = await host.ask("server.stats")
        assert stats["droppedAudioMs"] == sum(flow["droppedMs"] for flow in flows)


def assert_covers(file: Message, flow: Message) -> None:
    """The dropped audio is in the file."""
    with wave.open(file["path"], "rb") as wav:
        assert wav.getnframes() / 24 + 1 >= flow["fromMs"] + flow["droppedMs"]
