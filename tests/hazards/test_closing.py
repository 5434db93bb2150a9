"""Hazards of the voice SDK at the end of a session, and of the queue that nobody reads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent
from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.protocol.types import Event
from omnirt.sessions import link
from omnirt.sessions.sink import MAX_QUEUED_AUDIO_BYTES
from tests.support.daemon import driven
from tests.support.provider import Provider
from tests.support.provider_events import audio, created, done, function_call
from tests.support.talks import Heard, bare_talk, heard_all, of, of_type, omnirt_talk


class TestAPeerThatDoesNotClose:
    """A peer that does not answer the close holds it for ten seconds, with full buffers for twenty."""

    @driven
    async def test_bare_the_close_waits_for_it(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await provider.expect("session.update")
            await provider.fall_silent()
            closing = asyncio.create_task(session.close())
            ended, _ = await asyncio.wait({closing}, timeout=2 * link.CLOSE_S + 1)
            assert not ended
            provider.abort()
            await closing

    @driven
    async def test_omnirt_is_through_all_the_same(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            await provider.fall_silent()
            async with asyncio.timeout(8):  # bounded by 2 s; ten would be the peer's
                result = await session.stop()
            assert result.reason == "stopped"

    @driven
    async def test_omnirt_is_through_with_full_buffers_too(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            await provider.fall_silent()
            for _ in range(100):
                await session.send_audio(b"\0" * 48_000)
            async with asyncio.timeout(8):
                result = await session.stop()
            assert result.reason == "stopped"


class TestAfterTheEnd:
    """After the end a send is a bare `AssertionError`, and an interrupt does nothing and says nothing."""

    @driven
    async def test_bare_it_is_an_assertion(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await session.close()
            with pytest.raises(AssertionError):
                await session.send_audio(b"\0\0")
            with pytest.raises(AssertionError):
                await session.send_message("Hello?")
            await session.interrupt()

    @driven
    async def test_omnirt_says_that_the_session_is_closing(self, tmp_path: Path) -> None:
        async with Provider.open() as provider, omnirt_talk(tmp_path, provider.url) as session:
            await session.stop()
            for use in (
                lambda: session.send_audio(b"\0\0"),
                lambda: session.send_text("Hello?"),
                lambda: session.interrupt(),
            ):
                with pytest.raises(OmnirtError) as refused:
                    await use()
                assert refused.value.kind == "session_state"


CHUNK_MS = 5_000
CHUNKS = MAX_QUEUED_AUDIO_BYTES // (48 * CHUNK_MS) + 20


class TestAReaderThatDoesNotRead:
    """The SDK's queue of events has no bound, and keeps all audio twice."""

    @driven
    async def test_bare_all_of_it_is_kept(self) -> None:
        async with Provider.open() as provider, bare_talk(provider.url) as session:
            await provider.expect("session.update")
            await provider.send(created("r1"), *[audio("r1", "i1", 100) for _ in range(500)], done("r1"))
            await provider.close(1000)
            await session.model._websocket_task  # type: ignore[attr-defined] # all was read then
            assert session._event_queue.maxsize == 0
            assert session._event_queue.qsize() > 3 * 500

    @driven
    async def test_omnirt_keeps_little_in_the_sdk_and_bounds_its_own(self, tmp_path: Path) -> None:
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, record="none") as session,
        ):
            inside = session.life.run._link._session._event_queue
            chunk = audio("r1", "i1", CHUNK_MS)
            await provider.send(created("r1"), *[chunk for _ in range(CHUNKS)], done("r1"))
            await provider.close(1011)
            await asyncio.wait_for(asyncio.shield(session.life.closed), 10)
            assert session.sink.queued_bytes() <= MAX_QUEUED_AUDIO_BYTES
            assert inside.qsize() < 10
            events = await heard_all(session)
            kept = sum(e.delta_ms for e in events if isinstance(e, ev.RealtimeAudio))
            lost = sum(e.dropped_ms for e in events if isinstance(e, ev.RealtimeFlow))
            assert kept + lost == CHUNKS * CHUNK_MS
            assert lost > 0


HAS_LOOK = {
    "name": "greeter",
    "instructions": "Be brief.",
    "tools": [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}, "run": "host"}],
}
CALL = (created("r1"), function_call("r1", "call_1", "look"), done("r1"))


async def never(*_: object, **__: object) -> Struct:
    """A tool, or a host, that does not come back."""
    await asyncio.Event().wait()
    raise AssertionError


class TestAToolThatIsStillRunning:
    """A tool in flight at the end is cancelled without a word: its start has no end."""

    @driven
    async def test_bare_it_is_cancelled_without_a_word(self) -> None:
        @function_tool
        async def look() -> str:
            return str(await never())

        agent = RealtimeAgent(name="greeter", instructions="Be brief.", tools=[look])
        async with Provider.open() as provider, bare_talk(provider.url, agent=agent) as session:
            events = Heard(session.__aiter__())
            await provider.send(*CALL)
            await events.first(of_type("tool_start"))
            await session.close()
            assert await events.end() is None
            assert not [e for e in events.events if e.type == "tool_end"]

    @driven
    async def test_omnirt_ends_it(self, tmp_path: Path) -> None:
        async with (
            Provider.open() as provider,
            omnirt_talk(tmp_path, provider.url, agent=HAS_LOOK, call_host=never) as session,
        ):
            events: Heard[Event] = Heard(session.stream_events())
            await provider.send(*CALL)
            await events.first(of(ev.RealtimeToolStart))
            await session.stop(force=True)
            await events.end()
            ends = [e for e in events.events if isinstance(e, ev.RealtimeToolEnd)]
            assert [e.status for e in ends] == ["failed"]
