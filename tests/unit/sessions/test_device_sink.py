"""The daemon's microphone, as a PortAudio of the tests' gives it: lost connections, and its own loss."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.types import Devices
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.talks import KEY, WAIT_S, Heard, of, omnirt_talk
from tests.unit.test_resampling import resampled, tone

KEPT, LIVE = range(100), range(100, 160)


class PortAudioError(Exception):
    """As sounddevice has it."""


class Sound(ModuleType):
    """What is used of sounddevice: a machine with one device, which a test takes away."""

    PortAudioError = PortAudioError

    def __init__(self, rate: int) -> None:
        super().__init__("sounddevice")
        self.default = SimpleNamespace(device=(0, 0))
        self.rate = rate
        self.there = self.active = True
        self.starts = True
        self.hear: Callable[[bytes], None]

    def query_devices(self) -> list[dict[str, Any]]:
        channels = {"max_input_channels": 1, "max_output_channels": 1}
        return [{"name": "one", "default_samplerate": self.rate, **channels}]

    def check_input_settings(self, **_: Any) -> None:
        if not self.there:
            raise PortAudioError("Device unavailable")

    check_output_settings = check_input_settings

    def RawInputStream(self, callback: Any, **_: Any) -> Sound:
        if not self.there:
            raise PortAudioError("Device unavailable")
        self.active = True
        self.hear = lambda pcm: callback(pcm, len(pcm) // 2, None, None)
        return self

    def RawOutputStream(self, **_: Any) -> Sound:
        return self.RawInputStream(None)

    @property
    def time(self) -> float:
        if not self.active:
            raise PortAudioError("Error getting stream time")
        return 0.0

    def start(self) -> None:
        """Calls back when the test says."""
        if not self.starts:
            self.starts = True
            self.active = False
            raise PortAudioError("Device unavailable")

    abort = close = lambda self, ignore_errors: None


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Sound:
    library = Sound(24000)
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    return library


def by_hand(provider: Provider) -> dict[str, Any]:
    """Members of a session that goes on after a loss, and whose turns the host ends."""
    endpoint = {"provider": "compatible", "openai_realtime_url": provider.url, "openai_api_key": KEY}
    again = {"attempts": 3, "max_delay_ms": 10}
    return {"settings": {**endpoint, "reconnect": again}, "realtime": {"turn_detection": None}}


def chunk(number: int) -> bytes:
    """20 ms that say which they are."""
    return number.to_bytes(2, "little") * 480


def appended(provider: Provider, behind: int) -> bytes:
    events = [event for event in provider.received[behind:] if event["type"] == "input_audio_buffer.append"]
    return b"".join(base64.b64decode(event["audio"]) for event in events)


async def until_appended(provider: Provider, behind: int, size: int) -> bytes:
    async with asyncio.timeout(WAIT_S):
        while len(appended(provider, behind)) < size:
            await provider.expect("input_audio_buffer.append")
    return appended(provider, behind)


def numbers(audio: bytes) -> list[int]:
    return [int.from_bytes(audio[at : at + 2], "little") for at in range(0, len(audio), 960)]


@driven
@pytest.mark.parametrize("source", ["microphone", "host"])
async def test_after_a_loss_what_was_said_before_goes_before_what_is_said_now(
    tmp_path: Path, sound: Sound, source: str
) -> None:
    devices = Devices(input="default") if source == "microphone" else None
    async with (
        Provider.open() as provider,
        omnirt_talk(tmp_path, devices=devices, **by_hand(provider)) as session,
    ):

        async def say(spoken: range) -> None:
            for number in spoken:
                if source == "microphone":
                    sound.hear(chunk(number))
                else:
                    await session.send_audio(chunk(number))
                await asyncio.sleep(0)

        await say(KEPT)
        assert numbers(await until_appended(provider, 0, 100 * 960)) == list(KEPT)
        for spoken, first in ((LIVE, 0), (range(160, 200), 0)):
            before = len(provider.received)
            provider.abort()
            await provider.expect("session.update")
            await say(spoken)
            audio = await until_appended(provider, before, spoken.stop * 960)
            assert numbers(audio) == list(range(first, spoken.stop))


@driven
async def test_a_microphone_at_another_rate_is_one_stream_after_a_loss(tmp_path: Path, sound: Sound) -> None:
    voice = tone(440, 48000, 600)
    pieces = [voice[at : at + 1920] for at in range(0, len(voice), 1920)]
    async with (
        Provider.open() as provider,
        omnirt_talk(
            tmp_path, devices=Devices(input="default", duplex="full"), input_rate=48000, **by_hand(provider)
        ) as session,
    ):
        for piece in pieces[:20]:
            sound.hear(piece)
        await until_appended(provider, 0, 18_900)
        before = len(provider.received)
        provider.abort()
        await provider.expect("session.update")
        for piece in pieces[20:]:
            sound.hear(piece)
        await until_appended(provider, before, 28_500)
        await session.send_audio(b"", commit=True)
        await provider.expect("input_audio_buffer.commit")
        assert appended(provider, before) == resampled(voice, 48000, 24000)


@driven
async def test_a_microphone_that_takes_the_place_of_another_is_heard(tmp_path: Path, sound: Sound) -> None:
    async with (
        Provider.open() as provider,
        omnirt_talk(tmp_path, devices=Devices(input="default"), **by_hand(provider)) as session,
    ):
        heard = Heard(session.stream_events())
        sound.active = False
        error = await heard.first(of(ev.RealtimeError))
        assert isinstance(error, ev.RealtimeError)
        assert "takes its place" in error.message
        sound.hear(chunk(5))
        assert numbers(await until_appended(provider, 0, 960)) == [5]


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_device_that_does_not_start_is_one_that_is_lost(side: str, tmp_path: Path, sound: Sound) -> None:
    @driven
    async def run() -> None:
        sound.starts = False
        one = Devices(input="default") if side == "input" else Devices(output="default")
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, devices=one, **by_hand(provider)) as session,
        ):
            error = await Heard(session.stream_events()).first(of(ev.RealtimeError))
            assert isinstance(error, ev.RealtimeError)
            assert "takes its place" in error.message
            if side == "input":
                sound.hear(chunk(5))
                assert numbers(await until_appended(provider, 0, 960)) == [5]

    run()


@driven
async def test_where_the_devices_are_gone_for_good_the_host_may_take_over(
    tmp_path: Path, sound: Sound
) -> None:
    both = Devices(input="default", output="default")
    async with (
        Provider.open() as provider,
        omnirt_talk(tmp_path, devices=both, **by_hand(provider)) as session,
    ):
        heard = Heard(session.stream_events())
        with pytest.raises(OmnirtError, match="microphone"):
            await session.send_audio(chunk(1))
        with pytest.raises(OmnirtError, match="plays"):
            session.playback("item_a", 0, 20)
        sound.there = sound.active = False
        await heard.count(of(ev.RealtimeError), 2)
        await session.send_audio(chunk(7))
        assert numbers(await until_appended(provider, 0, 960)) == [7]
        session.playback("item_a", 0, 20)
