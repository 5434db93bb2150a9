"""The same conversation twice: through the bare voice SDK, and through omnirt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from omnirt.loopback import LoopbackEndpoint, LoopbackServer, Script, SimulatorProfile, load_script
from omnirt.protocol.types import Event
from omnirt.sessions.approvals import HostCaller
from omnirt.sessions.services import Services
from omnirt.sessions.session import RealtimeSession
from omnirt.storage import AudioStorage

if TYPE_CHECKING:
    from agents.realtime import RealtimeAgent, RealtimeSession as BareSession

WAIT_S = 10.0
"""Every wait ends by then; only ever used up by a failure."""
KEY = "sk-of-the-tests"
AGENT: dict[str, Any] = {"name": "greeter", "instructions": "Be brief."}

T = TypeVar("T")


class Heard(Generic[T]):
    """All that an iterator yields, read as it comes.

    Attributes:
        events: So far.
        error: What the iterator raised.
    """

    def __init__(self, source: AsyncIterator[T]) -> None:
        self.events: list[T] = []
        self.error: Exception | None = None
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._read(source))

    async def first(self, fits: Callable[[T], bool]) -> T:
        """The first event that fits, now or later."""
        async with asyncio.timeout(WAIT_S), self._changed:
            while True:
                for event in self.events:
                    if fits(event):
                        return event
                if self._task.done():
                    raise EOFError(f"it ended: {self.error!r}")
                await self._changed.wait()

    async def count(self, fits: Callable[[T], bool], number: int) -> None:
        """Return when so many events fit."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: sum(map(fits, self.events)) >= number)

    async def end(self) -> Exception | None:
        """Wait for the end, and return what it raised."""
        await asyncio.wait_for(asyncio.shield(self._task), WAIT_S)
        return self.error

    async def stop(self) -> None:
        """Read no more."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=WAIT_S)

    async def _read(self, source: AsyncIterator[T]) -> None:
        try:
            async for event in source:
                async with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - what it raises is what the tests look at
            self.error = error


def of(kind: type[T]) -> Callable[[object], bool]:
    """Whether an event is of this kind."""
    return lambda event: isinstance(event, kind)


def of_type(kind: str) -> Callable[[Any], bool]:
    """Whether an SDK event has this `type`."""
    return lambda event: event.type == kind


@asynccontextmanager
async def bare_talk(
    url: str,
    *,
    key: str = KEY,
    agent: RealtimeAgent[Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    run_config: Mapping[str, Any] | None = None,
    **model_config: Any,
) -> AsyncIterator[BareSession]:
    """A session of the voice SDK as its documentation opens one, with the stock model."""
    from agents.realtime import RealtimeAgent as Agent, RealtimeRunner

    agent = agent or Agent(name="greeter", instructions="Be brief.")
    runner = RealtimeRunner(agent, config=run_config)  # type: ignore[arg-type] # a TypedDict
    config = {"url": url, "api_key": key, "initial_model_settings": dict(settings or {}), **model_config}
    session = await runner.run(model_config=config)  # type: ignore[arg-type] # a TypedDict
    await session.enter()
    try:
        yield session
    finally:
        await asyncio.wait_for(session.close(), WAIT_S)


@asynccontextmanager
async def omnirt_talk(
    folder: Path,
    url: str = "",
    *,
    agent: Mapping[str, Any] = AGENT,
    settings: Mapping[str, Any] | None = None,
    call_host: HostCaller | None = None,
    **members: Any,
) -> AsyncIterator[RealtimeSession]:
    """A connected omnirt session in this process; `settings` instead of a URL name another provider.

    At a URL it has one connection, like a session of the bare SDK: a lost one is the end.
    """
    if settings is None:
        endpoint = {"provider": "compatible", "openai_realtime_url": url, "openai_api_key": KEY}
        settings = {**endpoint, "reconnect": False}
    services = Services(storage=AudioStorage(folder), call_host=call_host)
    session = RealtimeSession(agent, services=services, settings=settings, **members)
    try:
        async with session.managed():
            yield session
    finally:
        await services.close()


@asynccontextmanager
async def simulator(script: Mapping[str, object] | None = None) -> AsyncIterator[LoopbackEndpoint]:
    """The simulator, twenty times as fast as life; a client needs its `url` and `token`."""
    async with LoopbackServer() as server:
        loaded = Script() if script is None else load_script(script)
        yield server.open(SimulatorProfile(loaded, speed=20))


def simulated(script: Mapping[str, object] | None = None, **others: Any) -> dict[str, Any]:
    """The settings of an omnirt session with the same simulator."""
    return {"provider": "simulator", "simulator": {"script": dict(script or {}), "speed": 20}, **others}


async def heard_all(session: RealtimeSession) -> list[Event]:
    """The events of a session up to its end."""
    async with asyncio.timeout(WAIT_S):
        return [event async for event in session.stream_events()]
