"""Microphone and loudspeaker of the daemon's machine, on the null sinks of a real PulseAudio."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.host import Host, Talk, says, start_params
from tests.support.pulse import Pulse, pulse
from tests.support.speech import silence, utterance

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("devices")]  # the last test takes the devices away

BOTH = {"input": "default", "output": "default"}
VAD = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 400}}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    with pulse(tmp_path_factory.mktemp("pulse")) as server:
        yield server


@pytest.fixture(scope="module")
async def serving(
    anyio_backend: str, sound: Pulse, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Host]:
    async with Host.spawn(tmp_path_factory.mktemp("data"), env={**os.environ, **sound.env}) as host:
        yield host


async def start(host: Host, text: str, **params: Any) -> Talk:
    return await host.start(script=says(text), speed=1, realtime=VAD, **params)


def spoken(talk: Talk) -> bytes:
    return b"".join(base64.b64decode(event["audio"]) for event in talk.of("audio"))


async def test_a_question_is_heard_and_the_answer_is_in_the_room(host: Host, sound: Pulse) -> None:
    with sound.listening() as ear:
        talk = await start(host, "heard", devices=BOTH, record="both")
        assert talk.started["devices"] == {"input": "default", "output": "default", "duplex": "half"}
        await asyncio.to_thread(sound.say, utterance("weather") + silence(600))
        await talk.event("responseEnd")
        item = (await talk.event("audioEnd"))["itemId"]
        whole = (await host.until(lambda: heard_whole(talk, item), "the end of the answer"))["item"]
        assert whole["heardMs"] == talk.of("audioEnd")[0]["totalMs"]
        assert await asyncio.to_thread(ear.has, spoken(talk))
    assert len(talk.of("inputSpeechStart")) == 1  # it did not hear itself
    sides = {file["side"]: file["durationMs"] for file in (await talk.ask("stop"))["files"]}
    assert sides["host"] > 1000


def heard_whole(talk: Talk, item_id: str) -> dict[str, Any] | None:
    items = [e for e in talk.of("itemUpdated") if e["item"]["itemId"] == item_id and "heardMs" in e["item"]]
    return items[-1] if items else None


async def test_what_was_heard_at_an_interrupt_is_what_came_out(host: Host, sound: Pulse) -> None:
    with sound.listening() as ear:
        talk = await start(host, "story", devices={"output": "pulse"}, outputAudio={"sampleRate": 48000})
        await talk.ask("sendText", text="Hello")
        await asyncio.to_thread(_until_loud, ear, 1200)
        cut = await talk.ask("interrupt")
        assert cut["interrupted"]
        before = ear.loud_ms()
        await talk.ask("sendText", text="Hello", respond=False)
        await talk.ask("wait")
        # What the device had already been given is still played: that may be a tenth of a second.
        assert cut["heardMs"] == pytest.approx(before, abs=120)
    assert ear.loud_ms() - before < 250
    assert (await talk.event("audioInterrupted"))["heardMs"] == cut["heardMs"]


def _until_loud(ear: Any, ms: int) -> None:
    from tests.support.pulse import until

    until(lambda: ear.loud_ms() > ms, f"{ms} ms of sound")


async def test_speech_interrupts_where_the_echo_is_cancelled_and_else_does_not(
    host: Host, sound: Pulse
) -> None:
    for duplex, cut in (("half", 0), ("full", 1)):
        talk = await start(host, "story", devices={**BOTH, "duplex": duplex})
        await talk.ask("sendText", text="Hello")
        await talk.event("audio")
        await asyncio.to_thread(sound.say, utterance("weather"))
        if cut:
            await talk.event("audioInterrupted")
        assert len(talk.of("audioInterrupted")) == len(talk.of("inputSpeechStart")) == cut, duplex
        await talk.ask("stop", force=True)


async def test_what_the_daemon_does_itself_the_host_may_not(host: Host) -> None:
    talk = await start(host, "heard", devices=BOTH)
    assert (await talk.refused("sendAudio", audio="AAA="))["kind"] == "session_state"
    error = await talk.refused("playback", itemId="x", contentIndex=0, playedMs=1)
    assert error["kind"] == "session_state"
    only = await start(host, "heard", devices={"output": "default"})
    await only.ask("sendAudio", audio="AAA=")


async def test_an_unknown_device_is_refused_with_those_that_there_are(host: Host) -> None:
    error = await host.refused("session.start", **start_params(devices={"input": "kazoo"}))
    assert (error["kind"], error["path"]) == ("device_failed", "$.devices.input")
    assert "'pulse'" in error["message"]
    error = await host.refused("session.start", **start_params(devices={"output": 99}))
    assert (error["kind"], error["path"]) == ("device_failed", "$.devices.output")
    await host.start(devices={})  # which asks for nothing


async def test_a_loudspeaker_that_goes_away_ends_nothing(host: Host, sound: Pulse) -> None:
    # The last test: the devices do not come back.
    talk = await start(host, "story", devices={"output": "pulse"})
    await talk.ask("sendText", text="Hello")
    await talk.event("audio", nth=5)
    await asyncio.to_thread(sound.die)
    error = await talk.event("error", kind="device_failed")
    assert (error["fatal"], "'pulse' is gone" in error["message"]) == (False, True)
    await talk.ask("sendText", text="Still there?")
    assert (await talk.ask("wait"))["state"] == "idle"
