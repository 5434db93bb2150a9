"""One run of a session: opens all it needs for a plan, and closes it again, in one exit stack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio

from omnirt.errors import KINDS, OmnirtError
from omnirt.protocol.events import RealtimeError
from omnirt.protocol.methods import SessionStartResult
from omnirt.protocol.types import CloseReason, ErrorInfo
from omnirt.providers.credentials import complete
from omnirt.providers.endpoint import Endpoint
from omnirt.providers.redaction import mask
from omnirt.resampling import bytes_per_ms, load
from omnirt.sessions import outputs, overdue
from omnirt.sessions.assembly import assemble
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.engine import Ended, Engine
from omnirt.sessions.faults import fault
from omnirt.sessions.in_force import SettingsInForce
from omnirt.sessions.inbox import Inbox
from omnirt.sessions.limits import LimitWatch
from omnirt.sessions.link import ProviderLink
from omnirt.sessions.on_devices import open_devices, run_devices
from omnirt.sessions.on_machine import open_here
from omnirt.sessions.plan import Plan, start_result
from omnirt.sessions.playback import Playback
from omnirt.sessions.reconnect import Reconnector
from omnirt.sessions.reopening import Reopening
from omnirt.sessions.resume import Resumption
from omnirt.sessions.services import Services, wall_time
from omnirt.sessions.sink import EventSink
from omnirt.sessions.team import Team
from omnirt.sessions.tools import ToolRunner
from omnirt.sessions.upstream import InputPump
from omnirt.specs.threads import apart
from omnirt.storage import AudioFile, StorageProblem

if TYPE_CHECKING:
    from agents.realtime import RealtimeAgent

    from omnirt.sessions.session import SessionOptions

STORE_S = 2.0
"""How long the end of a session is not told for the sake of a slow disk."""


class Run:
    """The opened parts of one run.

    Args:
        session_id, run_id: Of this run.
        plan: What it is to be.
        options: As the session was started.
        services: What it borrows.
        sink: Where its events go.
        ended: Called when the connection is gone.
    """

    def __init__(
        self,
        session_id: str,
        run_id: str,
        plan: Plan,
        options: SessionOptions,
        services: Services,
        sink: EventSink,
        ended: Ended,
    ) -> None:
        self.plan = plan
        self.connected = False
        self.started_at = wall_time()
        self._endpoint = plan.endpoint
        self._options = options
        self._services = services
        self._sink = sink
        self._ended = ended
        per_ms = bytes_per_ms(plan.output)
        identity = outputs.Run(session_id, run_id, plan.output.format, per_ms)
        playback = Playback(per_ms, sink.unsent_ms)
        self.talk = Conversation(identity, plan.spec.name, playback)
        self.talk.mask = lambda text: mask(text, self._endpoint.secrets)
        self._stack = AsyncExitStack()
        self._team = Team(
            self.talk, self._told, services, lambda request: self._tools.run(request), self._handed_off
        )
        self.engine: Engine
        self._link: ProviderLink
        self._tools: ToolRunner
        self._recorder: Any = None
        self._before = Resumption()
        self._in_force = SettingsInForce()
        self._reconnector: Reconnector | None = None

    # -- opening -----------------------------------------------------------------------------------------

    async def open(self, box: Inbox) -> SessionStartResult:
        """Open everything and wait until the provider answered; `box` has the host's inputs.

        Raises:
            OmnirtError: Why not. `abandon` leaves nothing behind then.
        """
        self._services.learn_secrets(*self._endpoint.secrets)
        self._endpoint = await complete(self._endpoint)
        self._services.learn_secrets(*self._endpoint.secrets)
        await self._services.sdk.load()
        self.talk.started_s = time.monotonic()
        self.started_at = wall_time()
        self._stack.push_async_callback(self._team.close)
        self._team.adopt(await self._team.assemble(self.plan))
        self._recorder = await self._services.storage.start_run(
            self.plan.run_info(self.talk.run, self.started_at, self._options.record),
            on_problem=self.storage_problem,
        )
        if self._options.resume:
            self._before = await Resumption.find(self._services.storage.archive, self.talk.run)
            self.talk.agent = self._before.agent(self.plan.spec.name, self._team.graph.agents)
            self._recorder.agent(self.talk.agent)
        if self._endpoint.provider in ("simulator", "local"):
            self._endpoint = await open_here(self._endpoint, self._services, self._stack)
        endpoint = self._endpoint
        self._services.learn_secrets(*endpoint.secrets)
        self.engine, self._tools, self._link = assemble(
            self.talk,
            self._sink,
            self._recorder,
            self._team,
            self._services,
            lambda: self._endpoint,
            self._settings,
            self.tell_error,
            self._ended,
            raw=self._options.raw,
        )
        await open_devices(self._sink, self._stack)
        if self.plan.resamples:
            await apart(load)
            self.engine.incoming, self.talk.outgoing = self.plan.incoming(), self.plan.outgoing()
        self._stack.push_async_callback(self._link.close)
        await self._link.open(self._active_agent(), endpoint, self._settings())
        warning = await self.engine.handshake.finish(endpoint)
        if endpoint.reconnect is not None:
            opening = Reopening(self.engine, box, self._before, self._renewed, self._active_agent)
            self._reconnector = Reconnector(endpoint.reconnect, self.engine, opening, self._ended)
        return self._connected(warning)

    def _active_agent(self) -> RealtimeAgent[Any]:
        return self._team.graph.agents[self.talk.agent]

    async def _renewed(self) -> Endpoint:
        """The endpoint with a key that is still good: a token that was looked for lives for an hour."""
        if self.plan.endpoint.search is not None:
            self._endpoint = await complete(self.plan.endpoint)
            self._services.learn_secrets(*self._endpoint.secrets)
        return self._endpoint

    def _connected(self, silent_update: str | None) -> SessionStartResult:
        self.connected = True
        now = time.monotonic()
        self.talk.connected(now)
        for warning in [*self._endpoint.warnings, *([silent_update] if silent_update else [])]:
            self.talk.error(now, "provider_error", warning)
        self._team.warn()
        self.engine.carry_out()
        return start_result(
            self.plan,
            self.talk,
            self._sink,
            started_at=self.started_at,
            resumed=self._before.resumed,
            updates=silent_update is None,
        )

    async def work(self, box: Inbox) -> None:
        """Carry inputs and events upstream and watch the clock, until cancelled."""
        await self._before.seed(self._link, self.talk.items.seeds)
        self._link.up.set()
        async with anyio.create_task_group() as group:
            pump = InputPump(self.engine, box, bytes_per_ms(self.plan.realtime.input))
            group.start_soon(pump.work)
            run_devices(self._sink, group, self.engine, pump.hear)
            group.start_soon(self.engine.send_loop)
            group.start_soon(overdue.watch, self.engine, overdue.silence_s(self._endpoint))
            group.start_soon(self.engine.checker.work)
            group.start_soon(self._link.drain)
            if self._reconnector is not None:
                group.start_soon(self._reconnector.work)
            if self._options.limits is not None:
                watch = LimitWatch(self._options.limits, self.talk)
                group.start_soon(watch.work, self.engine.changed, self.engine.carry_out, self._ended)

    # -- while it is live --------------------------------------------------------------------------------

    async def apply(self, updated: Callable[[], Plan]) -> None:
        """Make the session what an updated plan says; one that is wrong is told, and changes nothing."""
        try:
            plan = await apart(updated)
            graph = await self._team.assemble(plan)
        except OmnirtError as error:
            self.tell_error(error, method="session.update")
            return
        # An agent that was handed to may be gone from the files that the graph is read from anew.
        stays = plan.spec is self.plan.spec and self.talk.agent in graph.agents
        current = plan.active or (self.talk.agent if stays else plan.spec.name)
        before = self.plan, self._team.graph, self.talk.agent
        self.plan, self._team.graph, self.talk.agent = plan, graph, current
        try:
            await self._link.update_agent(graph.agents[current])
        except Exception as error:  # noqa: BLE001 - a spec that can't be sent must not end the talk
            self.plan, self._team.graph, self.talk.agent = before
            self.tell_error(fault(error, "the update of the session"), method="session.update")
        self._recorder.agent(self.talk.agent)
        self._team.adopt(self._team.graph)
        self._team.warn()
        self.engine.carry_out()

    def tell_error(self, error: OmnirtError, **fields: Any) -> None:
        """A `realtime.error` that does not end the session; told once it is connected."""
        now = time.monotonic()
        path = error.facts.get("path")
        if isinstance(path, str):
            fields["path"] = path
        self.talk.error(now, error.kind, error.message, retryable=error.retryable, **fields)
        self._told()

    def _told(self) -> None:
        """Carry out what the conversation says, once there is somebody who may hear it."""
        if self.connected:
            self.engine.carry_out()

    def storage_problem(self, problem: StorageProblem) -> None:
        """Something was not stored; the voice goes on."""
        now = time.monotonic()
        if problem.kind == "slow":
            self.talk.flow(
                now, "storage", problem.dropped_ms, problem.queued_bytes, problem.item_id, problem.from_ms
            )
        else:
            self.talk.error(now, "storage_failed", problem.message)
        self._told()

    # -- the end -----------------------------------------------------------------------------------------

    def closing(self, error: ErrorInfo | None) -> None:
        """Tell that the end has begun, and the error that ends it."""
        now = time.monotonic()
        if error is not None:
            retryable = KINDS[error.kind].retryable
            self.talk.emit(
                RealtimeError, now, kind=error.kind, message=error.message, retryable=retryable, fatal=True
            )
        self.talk.closing(now)
        self.engine.carry_out()

    async def close_link(self) -> None:
        """Close the connection; running tools end here."""
        await self._stack.aclose()

    async def finish(self, reason: CloseReason, error: ErrorInfo | None) -> tuple[int, list[AudioFile]]:
        """End all that is open, make the files final, tell the end; returns the duration in ms and the files.

        What the disk could not take is told before the end, unless the disk takes too long to say so.
        """
        now = time.monotonic()
        self._tools.end_all()
        self.talk.end_all(now)
        self.engine.carry_out()
        duration_ms = self.talk.at_ms(now)
        storing = asyncio.ensure_future(self._recorder.finish(reason, wall_time(), duration_ms))
        await asyncio.wait({storing}, timeout=STORE_S)
        self.talk.close(time.monotonic(), reason, error)
        self.engine.carry_out()
        return duration_ms, list(await storing)

    async def abandon(self) -> None:
        """Undo a start that failed."""
        await self._stack.aclose()
        if self._recorder is not None:
            await self._recorder.discard()

    def _settings(self) -> Mapping[str, Any]:
        """The realtime settings for the active agent; the provider is about to be told them."""
        spec = self._team.graph.spec_of(self.talk.agent)
        settings, problems = self._in_force.next(self.plan, spec, spoke=self.engine.spoke)
        for problem in problems:
            self.talk.error(time.monotonic(), "session_state", problem)
        self._told()
        return settings

    def _handed_off(self, from_agent: str, to_agent: str) -> None:
        self.talk.handed_off(from_agent, to_agent, time.monotonic())
        self.engine.carry_out()
