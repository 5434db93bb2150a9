"""Sessions by id: one live session an id, outcomes that can be asked for again, an end to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.protocol import events as ev
from omnirt.sessions import registry as registries
from omnirt.sessions.registry import Registry
from omnirt.sessions.services import Services
from omnirt.sessions.session import RealtimeSession, SessionOptions
from omnirt.sessions.sink import QueueSink
from omnirt.storage import AudioStorage
from tests.support.daemon import driven
from tests.support.talks import AGENT, WAIT_S, simulated

OPTIONS = SessionOptions(settings=simulated())


@asynccontextmanager
async def registry_in(folder: Path) -> AsyncIterator[Registry]:
    services = Services(storage=AudioStorage(folder))
    registry = Registry(services)
    try:
        yield registry
    finally:
        await registry.close("shutdown")
        await services.close()


async def started(registry: Registry, session_id: str | None = None) -> RealtimeSession:
    session, starting = registry.start(AGENT, session_id, OPTIONS, QueueSink())
    await asyncio.wait_for(starting, WAIT_S)
    return session


@driven
async def test_an_id_is_live_once_from_the_first_moment(tmp_path: Path) -> None:
    async with registry_in(tmp_path) as registry:
        first, starting = registry.start(AGENT, "s1", OPTIONS, QueueSink())
        for _ in range(2):
            with pytest.raises(OmnirtError) as taken:
                registry.start(AGENT, "s1", OPTIONS, QueueSink())
            assert taken.value.kind == "session_exists"
            await starting
        await first.stop()
        again = await started(registry, "s1")
        assert again.run_id != first.run_id
        assert [info.run_id for info in registry.list()] == [again.run_id]


@driven
async def test_the_outcome_of_an_ended_session_can_be_asked_for_until_its_id_is_used_again(
    tmp_path: Path,
) -> None:
    async with registry_in(tmp_path) as registry:
        session = await started(registry, "s1")
        assert registry.outcome("s1") is None
        outcome = await session.stop()
        assert registry.outcome("s1") == outcome
        with pytest.raises(OmnirtError) as gone:
            registry.get("s1")
        assert gone.value.kind == "session_not_found"
        await started(registry, "s1")
        assert registry.outcome("s1") is None


@driven
async def test_a_failed_start_leaves_the_id_free_and_its_error_for_late_inputs(tmp_path: Path) -> None:
    async with registry_in(tmp_path) as registry:
        refusing = SessionOptions(settings=simulated({"faults": [{"refuse": 401}]}))
        session, starting = registry.start(AGENT, "s1", refusing, QueueSink())
        with pytest.raises(OmnirtError) as refused:
            await starting
        await session.life.closed
        await asyncio.sleep(0)  # the registry hears of it as we do
        assert registry.outcome("s1") is None
        with pytest.raises(OmnirtError) as late:
            registry.taking_inputs("s1")
        assert late.value.kind == refused.value.kind == "auth_failed"
        await started(registry, "s1")


@driven
async def test_only_so_many_are_live_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries, "MAX_SESSIONS", 2)
    async with registry_in(tmp_path) as registry:
        await started(registry)
        await started(registry)
        with pytest.raises(OmnirtError) as full:
            registry.start(AGENT, None, OPTIONS, QueueSink())
        assert full.value.kind == "session_limit"
        assert len(registry) == 2


@driven
async def test_closing_ends_all_with_the_true_reason_and_starts_no_more(tmp_path: Path) -> None:
    async with registry_in(tmp_path) as registry:
        live = await started(registry)
        _, starting = registry.start(AGENT, None, OPTIONS, QueueSink())
        await registry.close("hostGone")
        assert (await live.life.closed).reason == "hostGone"
        with pytest.raises(OmnirtError) as ended:
            await starting
        assert ended.value.kind == "shutting_down"
        with pytest.raises(OmnirtError) as refused:
            registry.start(AGENT, None, OPTIONS, QueueSink())
        assert refused.value.kind == "shutting_down"
        assert len(registry) == 0


@driven
async def test_sessions_do_not_share_their_events(tmp_path: Path) -> None:
    async with registry_in(tmp_path) as registry:
        sinks = [QueueSink() for _ in range(5)]
        sessions = []
        for number, sink in enumerate(sinks):
            session, starting = registry.start(AGENT, f"s{number}", OPTIONS, sink)
            sessions.append(session)
            await starting
        for session in sessions:
            await session.send_text("Hello")
        for session in sessions:
            reply = session.put_wait(WAIT_S)
            assert isinstance(reply, asyncio.Future)
            await reply
            await session.stop()
        for number, sink in enumerate(sinks):
            events = [event async for event in sink.events()]
            assert {event.session_id for event in events} == {f"s{number}"}
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert sum(isinstance(event, ev.RealtimeResponseEnd) for event in events) == 1
