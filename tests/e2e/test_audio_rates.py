"""Hosts with other sample rates than the provider's (PROTOCOL section 3), over a real daemon."""

from __future__ import annotations

import base64
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.support.host import Host, Talk, says
from tests.support.speech import b64, silence, utterance
from tests.unit.test_resampling import resampled

pytestmark = pytest.mark.anyio

RATES = [(48000, 48000), (16000, 16000), (8000, 24000), (16000, 8000)]


def spoken(talk: Talk) -> bytes:
    return b"".join(base64.b64decode(event["audio"]) for event in talk.of("audio"))


async def speak(talk: Talk, voice: bytes, rate: int) -> None:
    """Says it in chunks of 20 ms, each of which must count as 20 ms."""
    size = rate // 50 * 2
    for at in range(0, len(voice), size):
        taken = await talk.ask("sendAudio", audio=b64(voice[at : at + size]))
        assert taken["acceptedMs"] == len(voice[at : at + size]) * 1000 // (2 * rate)


@pytest.mark.parametrize(("heard", "told"), RATES)
async def test_a_spoken_turn_at_the_hosts_rates(host: Host, tmp_path: Path, heard: int, told: int) -> None:
    plain = await host.start(script=says("story"))
    await plain.ask("sendText", text="Hello")
    await plain.ask("wait")
    rates: dict[str, Any] = {"inputAudio": {"sampleRate": heard}, "outputAudio": {"sampleRate": told}}
    realtime = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}
    talk = await host.start(script=says("story"), record="both", realtime=realtime, **rates)
    assert talk.started["inputAudio"] == {"format": "pcm16", "sampleRate": heard}
    assert talk.started["outputAudio"] == {"format": "pcm16", "sampleRate": told}
    question = utterance("weather") + silence(900)
    voice = resampled(question, 24000, heard)
    await speak(talk, voice, heard)
    await talk.ask("wait")
    assert talk.names().count("inputSpeechStart") == talk.names().count("inputSpeechEnd") == 1
    whole = spoken(talk)
    assert whole == (spoken(plain) if told == 24000 else resampled(spoken(plain), 24000, told))
    assert talk.of("audioEnd")[0]["totalMs"] == len(whole) * 1000 // (2 * told)
    item = talk.of("audioEnd")[0]["itemId"]
    for file in (await talk.ask("stop"))["files"]:
        with wave.open(file["path"]) as wav:
            assert wav.getframerate() == (heard if file["side"] == "host" else told)
            assert wav.readframes(wav.getnframes()) == (voice if file["side"] == "host" else whole)
    read = await host.ask("audio.read", sessionId=talk.id, itemId=item, lengthMs=100)
    assert (read["sampleRate"], base64.b64decode(read["audio"])) == (told, whole[: told // 5])
    both = await host.ask("audio.export", sessionId=talk.id, path=str(tmp_path / "both.wav"))
    with wave.open(both["path"]) as wav:
        assert (wav.getnchannels(), wav.getframerate()) == (2, max(heard, told))


async def test_sides_whose_rates_do_not_divide_are_exported_at_the_higher_one(
    host: Host, tmp_path: Path
) -> None:
    talk = await host.start(script=says("heard"), record="both", inputAudio={"sampleRate": 16000})
    await speak(talk, resampled(utterance("weather"), 24000, 16000), 16000)
    await talk.ask("sendAudio", audio="", commit=True)
    await talk.ask("wait")
    [host_side] = [f for f in (await talk.ask("stop"))["files"] if f["side"] == "host"]
    both = await host.ask("audio.export", sessionId=talk.id, path=str(tmp_path / "both.wav"))
    with wave.open(host_side["path"]) as wav:
        sent = wav.readframes(wav.getnframes())
    with wave.open(both["path"]) as wav:
        assert wav.getframerate() == 24000
        left = b"".join(wav.readframes(1)[:2] for _ in range(wav.getnframes()))
    wanted = resampled(sent, 16000, 24000)
    begin = host_side["atMs"] * 48
    assert left[begin : begin + len(wanted)] == wanted


async def test_an_interrupt_is_told_in_the_hosts_milliseconds(host: Host) -> None:
    talk = await host.start(script=says("story"), speed=1, outputAudio={"sampleRate": 48000})
    await talk.ask("sendText", text="Hello")
    first = await talk.event("audio")
    await talk.event("audio", nth=30)
    await talk.ask("playback", itemId=first["itemId"], contentIndex=first["contentIndex"], playedMs=200)
    cut = await talk.ask("interrupt")
    assert (cut["interrupted"], cut["heardMs"]) == (True, 200)
    told = await talk.event("audioInterrupted")
    assert (told["heardMs"], told["itemId"]) == (200, first["itemId"])


async def test_g711_may_have_another_rate_than_its_own(host: Host) -> None:
    realtime = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"}
    rates: dict[str, Any] = {"inputAudio": {"sampleRate": 16000}, "outputAudio": {"sampleRate": 16000}}
    talk = await host.start(realtime=realtime, script=says("heard"), **rates)
    assert talk.started["outputAudio"] == {"format": "g711_alaw", "sampleRate": 16000}
    assert (await talk.ask("sendAudio", audio=b64(b"\x7f" * 321)))["acceptedMs"] == 20
    await talk.ask("sendText", text="Hello")
    await talk.ask("wait")
    end = talk.of("audioEnd")[0]
    assert len(spoken(talk)) // 16 == end["totalMs"]
    read = await host.ask("audio.read", sessionId=talk.id, itemId=end["itemId"])
    assert (read["format"], read["sampleRate"]) == ("g711_alaw", 16000)
    assert base64.b64decode(read["audio"]) == spoken(talk)
