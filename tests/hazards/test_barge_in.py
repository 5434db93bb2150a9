"""Hazards of the voice SDK when the user begins to speak: late audio, needless cuts, items asked back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omnirt.protocol import events as ev
from tests.support.daemon import driven
from tests.support.provider_events import audio, created, done, event, item_added, message, speech_started
from tests.support.read_talks import LONG_MS, bare, ours, settled
from tests.support.talks import of, of_type


class TestLateAudioAfterSpeech:
    """After the user began to speak, audio of the interrupted response is passed on if it still comes."""

    @driven
    async def test_bare_it_is_passed_on(self) -> None:
        async with bare() as (provider, _, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS), speech_started("u1"))
            await provider.send(audio("r1", "i1", 100), done("r1", "cancelled"))
            await events.first(of_type("agent_end"))
            kinds = [e.type for e in events.events]
            assert "audio" in kinds[kinds.index("audio_interrupted") :]

    @driven
    async def test_omnirt_drops_it(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, _, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS), speech_started("u1"))
            await provider.send(audio("r1", "i1", 100), done("r1", "cancelled"))
            await events.first(of(ev.RealtimeResponseEnd))
            kinds = [type(e) for e in events.events]
            assert ev.RealtimeAudio not in kinds[kinds.index(ev.RealtimeAudioInterrupted) :]


class TestLongAfterPlaying:
    """An interruption is told, although the player was through with everything."""

    @driven
    async def test_bare_it_is_told(self) -> None:
        from agents.realtime import RealtimePlaybackTracker

        tracker = RealtimePlaybackTracker()
        async with bare(playback_tracker=tracker) as (provider, _, events):
            await provider.send(created("r1"), audio("r1", "i1", 300), done("r1"))
            await events.first(of_type("agent_end"))
            tracker.on_play_ms("i1", 0, 300)
            await provider.send(speech_started("u1"))
            await events.first(of_type("audio_interrupted"))

    @driven
    async def test_omnirt_tells_none(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", 300), done("r1"))
            await events.first(of(ev.RealtimeResponseEnd))
            session.playback("i1", 0, 300)
            await provider.send(speech_started("u1"))
            await events.first(of(ev.RealtimeInputSpeechStart))
            assert not any(isinstance(e, ev.RealtimeAudioInterrupted) for e in events.events)
            assert not (await session.interrupt()).interrupted


class TestSpeechThatShallNotInterrupt:
    """With `interrupt_response: false` the SDK cuts and cancels all the same."""

    SETTINGS: dict[str, Any] = {  # noqa: RUF012 - a constant
        "turn_detection": {"type": "server_vad", "interrupt_response": False}
    }

    @driven
    async def test_bare_the_response_is_cancelled(self) -> None:
        async with bare(settings=self.SETTINGS) as (provider, _, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS), speech_started("u1"))
            await events.first(of_type("audio_interrupted"))
            await provider.expect("conversation.item.truncate")
            await provider.expect("response.cancel")

    @driven
    async def test_omnirt_lets_it_speak(self, tmp_path: Path) -> None:
        async with ours(tmp_path, self.SETTINGS) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS), speech_started("u1"))
            await events.first(of(ev.RealtimeInputSpeechStart))
            await provider.send(audio("r1", "i1", 100), done("r1"))
            await events.first(of(ev.RealtimeResponseEnd))
            await settled(provider, session)
            assert len([e for e in events.events if isinstance(e, ev.RealtimeAudio)]) == 2
            assert not {"conversation.item.truncate", "response.cancel"} & set(provider.types())


class TestAskingForTheItemBack:
    """After each truncation and transcription the SDK asks for an item, which may pass the frame limit."""

    EVENTS = (
        created("r1"),
        item_added(message("i1", "assistant")),
        audio("r1", "i1", LONG_MS),
        event("conversation.item.truncated", item_id="i1", content_index=0, audio_end_ms=100),
    )

    @driven
    async def test_bare_it_asks(self) -> None:
        async with bare() as (provider, _, _events):
            await provider.send(*self.EVENTS)
            await provider.expect("conversation.item.retrieve")

    @driven
    async def test_omnirt_does_not(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(*self.EVENTS, done("r1"))
            await events.first(of(ev.RealtimeResponseEnd))
            await settled(provider, session)
            assert "conversation.item.retrieve" not in provider.types()
