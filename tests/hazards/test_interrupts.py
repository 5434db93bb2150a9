"""Hazards of the voice SDK when somebody interrupts: what runs on, what is cut where, what comes late."""

from __future__ import annotations

from pathlib import Path

from omnirt.protocol import events as ev
from tests.support.daemon import driven
from tests.support.provider_events import audio, created, done, event, speech_started
from tests.support.read_talks import LONG_MS, bare, ours, settled
from tests.support.talks import of, of_type


class TestTheResponseRunsOn:
    """With the default turn detection `interrupt()` cuts the audio and lets the response go on."""

    @driven
    async def test_bare_nothing_is_cancelled_and_audio_still_comes(self) -> None:
        async with bare() as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of_type("audio"))
            await session.interrupt()
            await provider.expect("conversation.item.truncate")
            await provider.send(audio("r1", "i1", 100), done("r1"))
            await events.first(of_type("agent_end"))
            kinds = [e.type for e in events.events]
            assert "audio" in kinds[kinds.index("audio_interrupted") :]
            assert "response.cancel" not in provider.types()

    @driven
    async def test_omnirt_cancels_and_passes_on_no_more_audio(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of(ev.RealtimeAudio))
            assert (await session.interrupt()).interrupted
            assert (await provider.expect("response.cancel"))["response_id"] == "r1"
            await provider.send(audio("r1", "i1", 100), done("r1", "cancelled"))
            await events.first(of(ev.RealtimeResponseEnd))
            kinds = [type(e) for e in events.events]
            assert ev.RealtimeAudio not in kinds[kinds.index(ev.RealtimeAudioInterrupted) :]


class TestTwoItems:
    """Of two items that wait to be played only the last is named, and the other is not cut."""

    TWO = (
        created("r1"),
        audio("r1", "i1", LONG_MS),
        event("response.output_audio.done", response_id="r1", item_id="i1", output_index=0, content_index=0),
        audio("r1", "i2", LONG_MS),
    )

    @driven
    async def test_bare_the_one_that_plays_is_left_whole(self) -> None:
        async with bare() as (provider, session, events):
            await provider.send(*self.TWO, speech_started("u1"))
            interrupted = await events.first(of_type("audio_interrupted"))
            await settled(provider, session)
            assert interrupted.item_id == "i2"
            assert {cut["item_id"] for cut in provider.of("conversation.item.truncate")} == {"i2"}

    @driven
    async def test_omnirt_cuts_both_each_where_it_was_heard(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(*self.TWO)
            await events.count(of(ev.RealtimeAudio), 2)
            session.playback("i1", 0, 400)
            await provider.send(speech_started("u1"))
            await events.count(of(ev.RealtimeAudioInterrupted), 2)
            await settled(provider, session)
            cuts = [e for e in events.events if isinstance(e, ev.RealtimeAudioInterrupted)]
            assert [(cut.item_id, cut.heard_ms) for cut in cuts] == [("i1", 400), ("i2", 0)]
            sent = [(c["item_id"], c["audio_end_ms"]) for c in provider.of("conversation.item.truncate")]
            assert sent == [("i1", 400)]


class TestReportsOfThePlayer:
    """The SDK's tracker adds positions up, cuts nothing without reports, and lets late ones back in."""

    @driven
    async def test_bare_positions_are_added_up(self) -> None:
        from agents.realtime import RealtimePlaybackTracker

        tracker = RealtimePlaybackTracker()
        async with bare(playback_tracker=tracker) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of_type("audio"))
            tracker.on_play_ms("i1", 0, 300)
            tracker.on_play_ms("i1", 0, 500)
            await session.interrupt()
            assert (await provider.expect("conversation.item.truncate"))["audio_end_ms"] == 800

    @driven
    async def test_bare_without_reports_nothing_is_cut(self) -> None:
        from agents.realtime import RealtimePlaybackTracker

        async with bare(playback_tracker=RealtimePlaybackTracker()) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of_type("audio"))
            await session.interrupt()
            await settled(provider, session)
            assert "conversation.item.truncate" not in provider.types()
            assert not [e for e in events.events if e.type == "audio_interrupted"]

    @driven
    async def test_bare_a_late_report_cuts_a_cut_item_again(self) -> None:
        from agents.realtime import RealtimePlaybackTracker

        tracker = RealtimePlaybackTracker()
        async with bare(playback_tracker=tracker) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of_type("audio"))
            tracker.on_play_ms("i1", 0, 500)
            await session.interrupt()
            tracker.on_play_ms("i1", 0, 20)
            await session.interrupt()
            await settled(provider, session)
            assert [c["audio_end_ms"] for c in provider.of("conversation.item.truncate")] == [500, 20]

    @driven
    async def test_bare_a_report_of_what_never_was_is_sent_upstream(self) -> None:
        from agents.realtime import RealtimePlaybackTracker

        tracker = RealtimePlaybackTracker()
        async with bare(playback_tracker=tracker) as (provider, session, _):
            tracker.on_play_ms("no_such_item", 0, 500)
            await session.interrupt()
            assert (await provider.expect("conversation.item.truncate"))["item_id"] == "no_such_item"

    @driven
    async def test_omnirt_takes_positions_once_and_of_known_items(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of(ev.RealtimeAudio))
            session.playback("no_such_item", 0, 700)
            session.playback("i1", 0, 300)
            session.playback("i1", 0, 500)
            assert (await session.interrupt()).heard_ms == 500
            session.playback("i1", 0, 520)
            assert not (await session.interrupt()).interrupted
            await settled(provider, session)
            assert [c["audio_end_ms"] for c in provider.of("conversation.item.truncate")] == [500]

    @driven
    async def test_omnirt_goes_by_the_clock_until_the_first_report(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of(ev.RealtimeAudio))
            result = await session.interrupt()
            assert result.interrupted
            assert result.item_id == "i1"
            assert isinstance(result.heard_ms, int)
            assert result.heard_ms < LONG_MS


class TestACutAtZero:
    """A truncation at 0 ms is an error upstream, which some servers never get over."""

    @driven
    async def test_bare_it_is_sent(self) -> None:
        from agents.realtime import RealtimePlaybackTracker

        tracker = RealtimePlaybackTracker()
        async with bare(playback_tracker=tracker) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of_type("audio"))
            tracker.on_play_ms("i1", 0, 0)
            await session.interrupt()
            assert (await provider.expect("conversation.item.truncate"))["audio_end_ms"] == 0

    @driven
    async def test_omnirt_cancels_only(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", LONG_MS))
            await events.first(of(ev.RealtimeAudio))
            result = await session.interrupt("i1", 0, 0)
            assert (result.interrupted, result.heard_ms) == (True, 0)
            await provider.expect("response.cancel")
            await settled(provider, session)
            assert "conversation.item.truncate" not in provider.types()

    @driven
    async def test_omnirt_cuts_no_further_than_what_came(self, tmp_path: Path) -> None:
        async with ours(tmp_path) as (provider, session, events):
            await provider.send(created("r1"), audio("r1", "i1", 300))
            await events.first(of(ev.RealtimeAudio))
            result = await session.interrupt("i1", 0, 99_999)
            assert (result.interrupted, result.heard_ms) == (True, 300)
            assert (await provider.expect("conversation.item.truncate"))["audio_end_ms"] == 300
