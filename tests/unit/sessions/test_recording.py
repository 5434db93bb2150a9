"""A session and its recording: both sides, what was heard, and a disk that does not do its part."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnirt.protocol import events as ev
from omnirt.protocol.methods import SessionStopResult
from omnirt.protocol.types import Event
from omnirt.sessions import RealtimeSession
from omnirt.sessions.services import Services
from omnirt.storage import AudioStorage
from tests.support import provider_events as pe
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.talks import AGENT, KEY, Heard, of, omnirt_talk, simulated
from tests.unit.sessions.helpers import spoken
from tests.unit.storage.helpers import query, stalled_disk

BY_HAND = {"turn_detection": None}
HOSTILE = ["../../../../x", "/etc/passwd", "a\x00b", "x" * 300, "CON", "..", "a/b", "\r\n", "host"]


def frames(path: str | Path) -> bytes:
    with wave.open(str(path)) as wav:
        return bytes(wav.readframes(wav.getnframes()))


def outcome(session: RealtimeSession) -> SessionStopResult:
    """How a session ended."""
    return session.life.closed.result()


def ends(item_id: str) -> Callable[[Event], bool]:
    """Whether an event is the end of this item's audio."""
    return lambda event: isinstance(event, ev.RealtimeAudioEnd) and event.item_id == item_id


def stored_items(folder: Path) -> dict[str, Any]:
    """The items in the database, by id."""
    found = [json.loads(str(text)) for (text,) in query(folder, "SELECT json FROM items ORDER BY position")]
    return {item["itemId"]: item for item in found}


@asynccontextmanager
async def recorded_by(storage: AudioStorage, url: str, **members: Any) -> AsyncIterator[RealtimeSession]:
    """A session with a storage of the test's own."""
    services = Services(storage=storage)
    settings = {"provider": "compatible", "openai_realtime_url": url, "openai_api_key": KEY}
    try:
        async with RealtimeSession(
            AGENT, services=services, settings=settings, **members
        ).managed() as session:
            yield session
    finally:
        await services.close()


@driven
async def test_both_sides_are_recorded_and_what_is_sent_during_the_start_too(tmp_path: Path) -> None:
    early, late = b"\x01\x02" * 2400, b"\x03\x04" * 2400
    services = Services(storage=AudioStorage(tmp_path))
    session = RealtimeSession(AGENT, services=services, settings=simulated(), record="both", realtime=BY_HAND)
    starting = session.launch()
    accepted = session.put_audio(early, commit=False)
    assert isinstance(accepted, asyncio.Future)
    await starting
    await accepted
    await session.send_audio(late)
    await session.send_audio(b"", commit=True)
    await session.put_wait(30)  # type: ignore[misc] # a wait is always answered later
    ended = await session.stop()
    await services.close()
    host, agent = ended.files
    assert (host.side, host.duration_ms) == ("host", 200)
    assert frames(host.path) == early + late
    assert agent.side == "assistant"
    assert frames(agent.path)
    told = msgspec.to_builtins(ended)["files"]
    assert [set(file) for file in told] == [
        {"path", "side", "atMs", "durationMs"},
        {"path", "side", "itemId", "contentIndex", "atMs", "durationMs"},
    ]


@driven
async def test_an_input_that_was_taken_back_is_not_recorded(tmp_path: Path) -> None:
    services = Services(storage=AudioStorage(tmp_path))
    session = RealtimeSession(AGENT, services=services, settings=simulated(), record="both", realtime=BY_HAND)
    starting = session.launch()
    first, second = (session.put_audio(bytes([n, 0]) * 2400, commit=False) for n in (1, 2))
    assert isinstance(first, asyncio.Future)
    assert isinstance(second, asyncio.Future)
    first.cancel()
    await starting
    await second
    [file] = (await session.stop()).files
    await services.close()
    assert frames(file.path) == b"\x02\x00" * 2400


@driven
async def test_ids_of_a_provider_lead_nowhere(tmp_path: Path) -> None:
    async with Provider.open() as provider, omnirt_talk(tmp_path / "data", provider.url) as session:
        heard = Heard(session.stream_events())
        for number, item_id in enumerate(HOSTILE):
            await provider.send(pe.item_added(pe.message(item_id, "assistant")))
            await provider.send(*spoken(f"resp_{number}", item_id, 20))
        await heard.count(of(ev.RealtimeResponseEnd), len(HOSTILE))
    files = outcome(session).files
    assert [file.item_id for file in files] == HOSTILE
    inside = tmp_path / "data" / "audio" / "default" / "greeter" / session.session_id
    assert all(Path(file.path).resolve().parent == inside for file in files)
    assert [len(frames(file.path)) for file in files] == [960] * len(HOSTILE)
    assert list(stored_items(tmp_path / "data")) == HOSTILE
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


@driven
async def test_what_was_heard_is_stored_cut_played_and_still_playing(tmp_path: Path) -> None:
    async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
        heard = Heard(session.stream_events())
        for name in ("cut", "played", "playing"):
            part = {"type": "output_audio", "transcript": ""}
            await provider.send(pe.item_added(pe.message(name, "assistant", part)))
            await provider.send(*spoken(f"resp_{name}", name, 4000, "One two three four."))
            await heard.first(ends(name))
            if name == "cut":
                await session.interrupt("cut", 0, 2000)
                session.playback("cut", 0, 3900)  # too late
            elif name == "played":
                session.playback("played", 0, 4000)
            else:
                session.playback("playing", 0, 1300)
    assert await heard.end() is None
    items = stored_items(tmp_path)
    assert {name: (item["heardMs"], item["heardText"]) for name, item in items.items()} == {
        "cut": (2000, "One two"),
        "played": (4000, "One two three four."),
        "playing": (1300, "One"),
    }
    assert [item.get("interrupted") for item in items.values()] == [True, None, None]
    assert {item["generatedText"] for item in items.values()} == {"One two three four."}
    rows = query(
        tmp_path, "SELECT item_id, heard_ms, interrupted, played_at_ms NOT NULL FROM audio ORDER BY id"
    )
    assert rows == [("cut", 2000, 1, 1), ("played", 4000, 0, 1), ("playing", 1300, 0, 1)]


@driven
async def test_words_are_stored_while_they_are_said(tmp_path: Path) -> None:
    part = {"type": "output_audio", "transcript": ""}
    asked = pe.message("user", "user", {"type": "input_audio", "transcript": None})
    async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url):
        await provider.send(pe.item_added(asked), pe.item_added(pe.message("item", "assistant", part)))
        await provider.send(pe.created("resp"), pe.words("resp", "item", "Half a sen"))
        heard_so_far = "conversation.item.input_audio_transcription.delta"
        await provider.send(pe.event(heard_so_far, item_id="user", content_index=0, delta="What is"))
        await until(lambda: "Half a sen" in words_of(tmp_path, "item"))
        await until(lambda: "What is" in words_of(tmp_path, "user"))
        # As does what happens to the item meanwhile: what it has got of its words stays.
        changed = pe.message("item", "assistant", part) | {"status": "incomplete"}
        await provider.send(pe.event("conversation.item.done", item=changed))
        await until(lambda: "incomplete" in words_of(tmp_path, "item"))
        assert stored_items(tmp_path)["item"]["generatedText"] == "Half a sen"


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so, for 5 s at most."""
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.02)


def words_of(folder: Path, item_id: str) -> str:
    """All that is stored of an item."""
    return json.dumps(stored_items(folder).get(item_id, {}))


@driven
async def test_what_played_to_its_end_by_the_clock_is_told_while_the_session_is_quiet(tmp_path: Path) -> None:
    async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
        heard = Heard(session.stream_events())
        await provider.send(pe.item_added(pe.message("item", "assistant")), *spoken("resp", "item", 100))
        told = await heard.first(lambda e: isinstance(e, ev.RealtimeItemUpdated) and bool(e.item.heard_ms))
        assert isinstance(told, ev.RealtimeItemUpdated)
        assert (told.item.heard_ms, told.item.heard_text) == (100, "Hello")
        assert not any(isinstance(e, ev.RealtimeClosed) for e in heard.events)


@driven
async def test_the_model_forgets_what_nobody_heard(tmp_path: Path) -> None:
    async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
        heard = Heard(session.stream_events())
        await provider.send(pe.item_added(pe.message("item", "assistant")), *spoken("resp", "item", 4000))
        await heard.first(of(ev.RealtimeAudioEnd))
        await session.interrupt("item", 0, 0)
        deleted = await provider.expect("conversation.item.delete")
        assert deleted["item_id"] == "item"
        await provider.send(pe.event("conversation.item.deleted", item_id="item"))
    assert "conversation.item.truncate" not in provider.types()
    assert stored_items(tmp_path)["item"]["heardText"] == ""


@driven
async def test_a_disk_that_fails_is_told_once_and_the_voice_goes_on(tmp_path: Path) -> None:
    (tmp_path / "audio").touch()  # where a folder should be
    async with omnirt_talk(tmp_path, settings=simulated(), record="both", realtime=BY_HAND) as session:
        heard = Heard(session.stream_events())
        await session.send_audio(bytes(4800))
        await session.send_audio(b"", commit=True)
        await heard.first(of(ev.RealtimeResponseEnd))
    await heard.end()
    errors = [event for event in heard.events if isinstance(event, ev.RealtimeError)]
    assert [(error.kind, error.fatal) for error in errors] == [("storage_failed", False)]
    assert any(isinstance(event, ev.RealtimeAudio) for event in heard.events)
    assert outcome(session).files == []


@pytest.mark.parametrize("record", ["assistant", "both"])
@driven
async def test_a_disk_that_is_slow_is_told_before_anything_is_lost(tmp_path: Path, record: str) -> None:
    storage = AudioStorage(tmp_path, max_queue_bytes=100_000)
    async with Provider.open() as provider, recorded_by(storage, provider.url, record=record) as session:
        heard = Heard(session.stream_events())
        with stalled_disk(storage):
            for number in range(20):
                await session.send_audio(bytes(9600))
                await provider.send(pe.audio("resp", "item", 200))
                if number == 0:
                    await provider.send(pe.created("resp"))
            await heard.first(lambda event: isinstance(event, ev.RealtimeFlow) and event.lost)
        flows = [event for event in heard.events if isinstance(event, ev.RealtimeFlow)]
        assert {flow.direction for flow in flows} == {"storage"}
        assert [flow.lost for flow in flows][:2] == [False, True]
        assert (flows[0].dropped_ms, flows[0].queued_bytes > 50_000) == (0, True)
