"""A host whose rates are not the provider's: what goes upstream, what comes back, nothing lost between."""

from __future__ import annotations

import asyncio
import base64
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.methods import SessionSendAudioResult
from omnirt.sessions import RealtimeSession
from tests.support import provider_events as pe
from tests.support.daemon import driven
from tests.support.provider import Json, Provider
from tests.support.talks import KEY, WAIT_S, Heard, of, omnirt_talk
from tests.unit.test_resampling import resampled, tone

BY_HAND = {"turn_detection": None}


@asynccontextmanager
async def talk(
    folder: Path, provider: Provider, **members: Any
) -> AsyncIterator[tuple[RealtimeSession, Heard[Any]]]:
    members.setdefault("realtime", BY_HAND)
    async with omnirt_talk(folder, provider.url, **members) as session:
        yield session, Heard(session.stream_events())


def appended(provider: Provider, behind: int = 0) -> bytes:
    """The audio of the provider's input buffer, after so many of its events."""
    events = [event for event in provider.received[behind:] if event["type"] == "input_audio_buffer.append"]
    return b"".join(base64.b64decode(event["audio"]) for event in events)


async def until_appended(provider: Provider, size: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while len(appended(provider)) < size:
            await provider.expect("input_audio_buffer.append")


def delta(data: bytes) -> Json:
    audio = base64.b64encode(data).decode()
    return pe.event(
        "response.output_audio.delta",
        response_id="resp_1",
        item_id="item_a",
        output_index=0,
        content_index=0,
        delta=audio,
    )


def done() -> Json:
    return pe.event("response.output_audio.done", response_id="resp_1", item_id="item_a", content_index=0)


async def send(session: RealtimeSession, audio: bytes, size: int, *, commit: bool = True) -> int:
    """Sends it in pieces; returns how many ms were accepted."""
    accepted = 0
    for at in range(0, len(audio), size):
        last = commit and at + size >= len(audio)
        result = await session.send_audio(audio[at : at + size], commit=last)
        assert isinstance(result, SessionSendAudioResult)
        accepted += result.accepted_ms
    return accepted


@driven
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
async def test_a_turn_goes_upstream_whole_at_the_providers_rate(tmp_path: Path, rate: int) -> None:
    first, second = tone(440, rate, 330), tone(700, rate, 170)
    async with Provider.open() as provider, talk(tmp_path, provider, input_rate=rate) as (session, _):
        started = await session.connect()
        assert (started.input_audio.sample_rate, started.output_audio.sample_rate) == (rate, 24000)
        assert await send(session, first, rate // 100 * 2) == 330
        await provider.expect("input_audio_buffer.commit")
        assert appended(provider) == resampled(first, rate, 24000)
        before = len(provider.received)
        await send(session, second, 1 * 2 * 61)
        await provider.expect("input_audio_buffer.commit")
        assert appended(provider, before) == resampled(second, rate, 24000)


@driven
async def test_what_is_cleared_leaves_nothing_in_the_next_turn(tmp_path: Path) -> None:
    async with Provider.open() as provider, talk(tmp_path, provider, input_rate=48000) as (session, _):
        await send(session, tone(440, 48000, 100), 960, commit=False)
        session.put_clear()
        await provider.expect("input_audio_buffer.clear")
        before = len(provider.received)
        await send(session, tone(700, 48000, 100), 960)
        await provider.expect("input_audio_buffer.commit")
        assert appended(provider, before) == resampled(tone(700, 48000, 100), 48000, 24000)


@driven
async def test_a_microphone_that_stops_keeps_nothing_back(tmp_path: Path) -> None:
    voice = tone(440, 8000, 100)
    async with Provider.open() as provider, talk(tmp_path, provider, input_rate=8000) as (session, _):
        await send(session, voice, 160, commit=False)
        await until_appended(provider, 4800)
        assert appended(provider) == resampled(voice, 8000, 24000)


@driven
async def test_a_wait_for_idle_has_all_audio_before_it_upstream(tmp_path: Path) -> None:
    async with Provider.open() as provider, talk(tmp_path, provider, input_rate=8000) as (session, _):
        await send(session, tone(440, 8000, 100), 160, commit=False)
        reply = session.put_wait(WAIT_S)
        assert isinstance(reply, asyncio.Future)
        await reply
        await session.send_text("marker")
        await provider.expect("conversation.item.create")
        sent = provider.types()
        assert appended(provider) == resampled(tone(440, 8000, 100), 8000, 24000)
        assert "input_audio_buffer.append" not in sent[sent.index("conversation.item.create") :]


@driven
async def test_a_text_has_all_audio_before_it_upstream(tmp_path: Path) -> None:
    voice, more = tone(440, 8000, 100), tone(700, 8000, 50)
    async with Provider.open() as provider, talk(tmp_path, provider, input_rate=8000) as (session, _):
        await send(session, voice, 160, commit=False)
        await session.send_text("look")
        await send(session, more, 160)
        await provider.expect("input_audio_buffer.commit")
        text = provider.types().index("conversation.item.create")
        size = len(resampled(voice, 8000, 24000))
        assert appended(provider)[:size] == resampled(voice, 8000, 24000)
        assert appended(provider, text) == resampled(more, 8000, 24000)


@driven
async def test_a_turn_of_one_sample_has_audio_upstream(tmp_path: Path) -> None:
    async with Provider.open() as provider, talk(tmp_path, provider, input_rate=48000) as (session, _):
        await session.send_audio(b"\x01\x00", commit=True)
        await provider.expect("input_audio_buffer.commit")
        assert len(appended(provider)) == 2


@driven
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
async def test_an_answer_comes_at_the_hosts_rate_and_is_stored_so(tmp_path: Path, rate: int) -> None:
    voice = tone(440, 24000, 500)
    async with Provider.open() as provider, talk(tmp_path, provider, output_rate=rate) as (session, heard):
        await provider.send(pe.created("resp_1"))
        for at in range(0, len(voice), 1111):  # which cuts samples in two
            await provider.send(delta(voice[at : at + 1111]))
        await provider.send(done(), pe.done("resp_1"))
        end = await heard.first(of(ev.RealtimeAudioEnd))
        parts = [event for event in heard.events if isinstance(event, ev.RealtimeAudio)]
        assert b"".join(event.audio for event in parts) == resampled(voice, 24000, rate)
        assert [event.offset_ms for event in parts[1:]] == [e.offset_ms + e.delta_ms for e in parts[:-1]]
        assert end.total_ms == 500 == parts[-1].offset_ms + parts[-1].delta_ms
        with wave.open((await session.stop()).files[0].path) as wav:
            assert (wav.getframerate(), wav.getnframes()) == (rate, rate // 2)


@driven
async def test_an_interrupt_drops_what_is_inside_and_counts_in_the_hosts_ms(tmp_path: Path) -> None:
    async with Provider.open() as provider, talk(tmp_path, provider, output_rate=48000) as (session, heard):
        await provider.send(pe.created("resp_1"), delta(tone(440, 24000, 1000)))
        first = await heard.first(of(ev.RealtimeAudio))
        assert 985 <= first.delta_ms < 1000
        session.playback("item_a", 0, 400)
        cut = await session.interrupt()
        assert (cut.item_id, cut.heard_ms) == ("item_a", 400)
        assert (await provider.expect("conversation.item.truncate"))["audio_end_ms"] == 400
        await provider.send(delta(tone(440, 24000, 100)), done(), pe.done("resp_1", status="cancelled"))
        await heard.first(of(ev.RealtimeResponseEnd))
        names = [type(event) for event in heard.events]
        assert names.count(ev.RealtimeAudioEnd) == names.count(ev.RealtimeAudioInterrupted) == 1
        assert ev.RealtimeAudio not in names[names.index(ev.RealtimeAudioInterrupted) :]


@driven
async def test_both_sides_are_recorded_at_the_hosts_rates(tmp_path: Path) -> None:
    members: dict[str, Any] = {"record": "both", "input_rate": 16000, "output_rate": 48000}
    voice = tone(440, 16000, 200)
    async with Provider.open() as provider, talk(tmp_path, provider, **members) as (session, heard):
        await send(session, voice, 640)
        await provider.send(pe.created("resp_1"), delta(tone(440, 24000, 100)), done(), pe.done("resp_1"))
        await heard.first(of(ev.RealtimeResponseEnd))
        rates = {}
        for file in (await session.stop()).files:
            with wave.open(file.path) as wav:
                rates[file.side] = wav.getframerate(), wav.getnframes()
                assert file.side == "assistant" or wav.readframes(9999) == voice
        assert rates == {"host": (16000, 3200), "assistant": (48000, 4800)}


@driven
async def test_a_turn_that_was_lost_with_its_connection_is_converted_anew(tmp_path: Path) -> None:
    voice = tone(440, 48000, 200)
    async with Provider.open() as provider:
        endpoint = {"provider": "compatible", "openai_realtime_url": provider.url, "openai_api_key": KEY}
        again = {**endpoint, "reconnect": {"attempts": 3, "max_delay_ms": 10}}
        async with talk(tmp_path, provider, settings=again, input_rate=48000) as (session, _):
            await send(session, voice[:9600], 960, commit=False)
            await provider.expect("input_audio_buffer.append")
            before = len(provider.received)
            provider.abort()
            await provider.expect("session.update")
            await send(session, voice[9600:], 960)
            await provider.expect("input_audio_buffer.commit")
            assert appended(provider, before)[-9600:] == resampled(voice, 48000, 24000)
