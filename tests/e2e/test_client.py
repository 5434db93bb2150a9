"""The Python client with the real daemon: several sessions, their streams, and the death of the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from omnirt.client import Client, DaemonGone, Session
from omnirt.errors import OmnirtError
from omnirt.protocol.events import RealtimeAudio, RealtimeClosed, RealtimeState
from omnirt.protocol.methods import SessionParams, SessionStartParams
from omnirt.protocol.session_methods import InputText
from omnirt.protocol.types import Event
from omnirt.testing import SimulatedDaemon

BOUND_S = 60.0


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(BOUND_S):
            await test()

    asyncio.run(bounded())


def daemon(folder: Path) -> Client:
    return SimulatedDaemon(folder).client(stderr=subprocess.DEVNULL)


def start_params(session_id: str | None = None) -> SessionStartParams:
    return SessionStartParams(agent={"name": "greeter"}, session_id=session_id)


async def talk(session: Session) -> list[Event]:
    """One turn, and everything the session's stream had."""
    async with session:
        await session.send_text("Hello")
        waited = await session.wait()
        assert [response.status for response in waited.responses] == ["completed"]
    return [event async for event in session.events if isinstance(event, Event)]


def test_two_sessions_at_once_have_a_stream_each(tmp_path: Path) -> None:
    async def test() -> None:
        async with daemon(tmp_path) as client:
            everything = client.notifications()
            sessions = [await client.start_session(start_params(name)) for name in ("one", "two")]
            streams = await asyncio.gather(*map(talk, sessions))
        for session, events in zip(sessions, streams, strict=True):
            assert {event.session_id for event in events} == {session.id}
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert isinstance(events[0], RealtimeState)
            assert isinstance(events[-1], RealtimeClosed)
            assert sum(len(event.audio) for event in events if isinstance(event, RealtimeAudio)) > 24_000
        total = len([event async for event in everything])
        assert total == sum(map(len, streams))
        assert client.returncode == 0

    run(test)


def test_a_session_takes_every_kind_of_input(tmp_path: Path) -> None:
    async def test() -> None:
        async with daemon(tmp_path) as client, await client.start_session(start_params()) as session:
            await session.send_audio(bytes(4800))
            await session.clear_audio()
            await session.update(realtime={"voice": "ash"})
            await session.send_message([InputText(text="You are in Lisbon.")], role="system", respond=False)
            await session.send_message([InputText(text="Hello")])
            assert len((await session.wait()).responses) == 1
            await session.send_text("Silence, please", respond=False)
            assert (await session.wait()).responses == []

    run(test)


def test_errors_have_the_daemons_kind(tmp_path: Path) -> None:
    async def test() -> None:
        async with daemon(tmp_path) as client:
            with pytest.raises(OmnirtError) as missing:
                await client.session_get(SessionParams(session_id="nobody"))
            assert missing.value.kind == "session_not_found"
            with pytest.raises(OmnirtError) as wrong:
                await client.start_session(SessionStartParams(agent={"name": "x", "voices": 1}))
            assert wrong.value.kind == "agent_invalid"

    run(test)


def test_a_daemon_that_is_killed_ends_streams_and_requests_with_its_signal(tmp_path: Path) -> None:
    async def test() -> None:
        async with daemon(tmp_path) as client:
            session = await client.start_session(start_params())
            waiting = asyncio.create_task(session.wait("closed"))
            await client.ping()  # the wait is on its way
            assert client.pid is not None
            os.kill(client.pid, signal.SIGKILL)
            with pytest.raises(DaemonGone, match="-9"):
                await waiting
            with pytest.raises(DaemonGone):
                async for _ in session.events:
                    pass
            with pytest.raises(DaemonGone):
                await session.send_text("Hello")

    run(test)


def test_the_documents_of_the_daemon_can_be_asked_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with daemon(tmp_path) as client:
            assert client.server is not None
            document = await client.rpc_discover()
            assert {m["name"] for m in document["methods"]} == set(client.server.capabilities.methods)
            stats = await client.server_stats()
            assert stats.pid == client.pid

    run(test)
