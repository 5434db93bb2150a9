"""`RealtimeSession`: one live voice session over the voice SDK, with or without the daemon around it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import (
    SessionInterruptResult,
    SessionLimits,
    SessionSendAudioResult,
    SessionStartResult,
    SessionStopResult,
)
from omnirt.protocol.types import Devices, Event, Queues, Result, SessionInfo
from omnirt.sessions import inbox
from omnirt.sessions.life import Life
from omnirt.sessions.on_devices import host_hears, host_plays, with_devices
from omnirt.sessions.plan import Plan, make_plan, resolve_agent
from omnirt.sessions.services import Services
from omnirt.sessions.sink import EventSink, QueueSink
from omnirt.specs.load import Located
from omnirt.specs.spec import AgentSpec
from omnirt.specs.threads import apart

_SESSION_ID = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True)
class SessionOptions:
    """How a session is to be started: the members of `session.start`."""

    variables: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = field(default=None, repr=False)  # it has keys
    realtime: Mapping[str, Any] | None = None
    record: Literal["assistant", "both", "none"] = "assistant"
    resume: bool = False
    raw: bool = False
    limits: SessionLimits | None = None
    input_rate: int | None = None
    output_rate: int | None = None
    devices: Devices | None = None


class RealtimeSession:
    """A voice session: audio and text in, events out.

    Example:
        session = RealtimeSession({"name": "greeter"}, settings={"provider": "simulator"})
        async with session.managed():
            await session.send_text("Hello")
            async for event in session.stream_events():
                ...

    Args:
        agent: An agent spec, also as a mapping; or the name of one in the services' library, or a Python
            object (`python:package.module:name`).
        session_id: 1 to 128 of A-Z a-z 0-9 . _ -; a UUID by default.
        options: The members of `session.start`; they may be given by keyword instead.
        services: Shared parts; made for this session alone by default, with `data_dir` for its files.
        sink: Takes the events; by default a bounded queue that `stream_events` reads.
    """

    def __init__(
        self,
        agent: str | Mapping[str, Any] | AgentSpec | Located,
        *,
        session_id: str | None = None,
        options: SessionOptions | None = None,
        services: Services | None = None,
        sink: EventSink | None = None,
        data_dir: Path | None = None,
        **members: Any,
    ) -> None:
        if session_id is not None and not _SESSION_ID.fullmatch(session_id):
            raise OmnirtError(
                "invalid_params", "A session id is 1 to 128 of A-Z a-z 0-9 . _ - and no dots alone"
            )
        self.session_id = session_id or str(uuid.uuid4())
        self.run_id = str(uuid.uuid4())
        self.options = options or SessionOptions(**members)
        self.services = services or Services.standalone(data_dir, os.environ)
        self._owns_services = services is None
        self._agent = agent
        self._queue = QueueSink()
        self.sink: EventSink = sink or self._queue
        self._plan: Plan | None = None
        self._life: Life | None = None

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to connect; `connect` tells the outcome."""
        if isinstance(self._agent, str):
            self._agent = await apart(partial(resolve_agent, self._agent, self.services))
        self.launch()

    def launch(self) -> asyncio.Future[SessionStartResult]:
        """Begin to connect; the future has the result, or the reason why not.

        Raises:
            OmnirtError: At once, for what can be told without connecting: `agent_not_found`, `agent_invalid`,
                `endpoint_unresolved`, `invalid_params`.
        """
        if self._life is None:
            self._plan = make_plan(self._agent, self.options, self.services)
            self.sink = with_devices(self.sink, self.options.devices, self._plan)
            self._life = Life(
                self.session_id, self.run_id, self._plan, self.options, self.services, self.sink
            )
            self._life.closed.add_done_callback(lambda _: self._queue.close())
        return self._life.started

    async def connect(self) -> SessionStartResult:
        """Wait until the provider answered the settings.

        Raises:
            OmnirtError: Why there is no session; nothing of it is left behind.
        """
        await self.start()
        return await asyncio.shield(self.launch())

    @property
    def life(self) -> Life:
        """The session's task and its futures; only after `launch`."""
        if self._life is None:
            raise OmnirtError("session_state", "The session was never started.")
        return self._life

    async def stop(self, *, force: bool = False) -> SessionStopResult:
        """End the session, behind the waits for idle sent before unless `force`; always the same result."""
        result = await self.stop_now(force=force)
        if self._owns_services:
            await self.services.close()
        return result

    def stop_now(self, *, force: bool) -> asyncio.Future[SessionStopResult]:
        """The same as a future: from now on, or from the last of those waits on, no input is taken."""
        life = self.life
        if force:
            life.end("stopped")
        else:
            life.inbox.after_waits(lambda: life.end("stopped"))
        return asyncio.shield(life.closed)

    @contextlib.asynccontextmanager
    async def managed(self) -> AsyncIterator[RealtimeSession]:
        """Start, connect, and stop at the end of the block."""
        try:
            await self.connect()
            yield self
        finally:
            if self._life is not None:
                await self.stop(force=True)

    async def stream_events(self) -> AsyncIterator[Event]:
        """The events in order, up to and including `realtime.closed`; one reader (see `QueueSink`).

        A start that fails tells nothing: the iterator ends without an event.
        """
        async for event in self._queue.events():
            yield event

    # -- inputs ------------------------------------------------------------------------------------------

    async def send_audio(self, audio: bytes, *, commit: bool = False) -> SessionSendAudioResult:
        """Queue audio of the session's input format; `commit` ends the turn and asks for a response.

        Raises:
            OmnirtError: `audio_invalid`, `overloaded` (nothing was taken), `session_state`.
        """
        result = await _settled(self.put_audio(audio, commit=commit))
        assert isinstance(result, SessionSendAudioResult), "an AudioEntry's result"
        return result

    async def send_text(self, text: str, *, respond: bool = True) -> None:
        """Send a user text, and ask for a response unless `respond` is false."""
        await _settled(self.put_message("user", [{"type": "input_text", "text": text}], respond=respond))

    async def interrupt(
        self, item_id: str | None = None, content_index: int | None = None, played_ms: int | None = None
    ) -> SessionInterruptResult:
        """Cancel the response and cut what is unheard; `played_ms` is where the speaker is."""
        return self.interrupt_now(item_id, content_index, played_ms)

    def interrupt_now(
        self, item_id: str | None, content_index: int | None, played_ms: int | None
    ) -> SessionInterruptResult:
        """The same without awaiting: it never queues behind inputs."""
        self._check_live()
        run = self.life.run
        if not run.connected:
            return SessionInterruptResult(interrupted=False)
        return run.engine.interrupt(item_id, content_index, played_ms)

    def playback(self, item_id: str, content_index: int, played_ms: int) -> None:
        """Take the position of the host's speaker in a part, in ms."""
        self._check_live()
        host_plays(self.sink)
        if self.life.run.connected:
            self.life.run.engine.playback(item_id, content_index, played_ms)

    def put_audio(self, audio: bytes, *, commit: bool) -> inbox.Reply:
        """Queue audio; answered on acceptance."""
        plan = self._check_live()
        plan.check_audio(audio)
        host_hears(self.sink, audio)
        return self.life.inbox.put(inbox.AudioEntry(audio, len(audio) // plan.input_bytes_per_ms, commit))

    def put_message(self, role: str, content: list[dict[str, Any]], *, respond: bool) -> inbox.Reply:
        """Queue a message; answered on acceptance."""
        self._check_live()
        item = {"type": "message", "role": role, "content": content}
        size = sum(len(value) for part in content for value in part.values())
        event = {"type": "conversation.item.create", "item": item}
        return self.life.inbox.put(inbox.EventsEntry([event], size=size, ask=respond))

    def put_respond(self, instructions: str | None) -> inbox.Reply:
        """Queue an ask for a response."""
        self._check_live()
        return self.life.inbox.put(inbox.EventsEntry([], ask=True, instructions=instructions))

    def put_clear(self) -> inbox.Reply:
        """Queue the dropping of uncommitted audio."""
        self._check_live()
        return self.life.inbox.put(inbox.EventsEntry([{"type": "input_audio_buffer.clear"}]))

    def put_update(
        self,
        agent: str | Mapping[str, Any] | None,
        variables: Mapping[str, Any] | None,
        realtime: Mapping[str, Any] | None,
    ) -> inbox.Reply:
        """Queue another agent, other variables, or other settings.

        Raises:
            OmnirtError: `agent_not_found`, `agent_invalid`, `invalid_params`.
        """
        updated = self.update_of(agent, variables, realtime)
        updated()  # what is wrong with it by itself is told at once
        return self.put_checked_update(updated)

    def update_of(
        self,
        agent: str | Mapping[str, Any] | None,
        variables: Mapping[str, Any] | None,
        realtime: Mapping[str, Any] | None,
    ) -> Callable[[], Plan]:
        """Makes the plan of an update whenever it is called; reads files when the agent has a name."""
        self._check_live()
        run = self.life.run
        # Of the plan that holds then: an update before this one may fail.
        return lambda: run.plan.updated(self.services, agent, variables, realtime)

    def put_checked_update(self, updated: Callable[[], Plan]) -> inbox.Reply:
        """Queue an update from `update_of` that could be made."""
        self._check_live()
        return self.life.inbox.put(inbox.UpdateEntry(lambda: self.life.run.apply(updated)))

    def put_wait(self, timeout_s: float) -> inbox.Reply:
        """Queue a wait for idle."""
        self._check_live()
        return self.life.inbox.put(inbox.WaitEntry(timeout_s))

    # -- what it is --------------------------------------------------------------------------------------

    def info(self) -> SessionInfo:
        """The session as `session.get` tells it."""
        talk, box = self.life.run.talk, self.life.inbox
        return SessionInfo(
            session_id=self.session_id,
            run_id=self.run_id,
            state=talk.state,
            agent=talk.agent,
            started_at=self.life.run.started_at,
            queues=Queues(input_ms=box.queued_ms, inputs=len(box), output_bytes=self.sink.queued_bytes()),
            usage=talk.usage,
        )

    def _check_live(self) -> Plan:
        if self.life.ending or self._plan is None:
            raise OmnirtError("session_state", "The session is closing; start another one.")
        return self._plan


async def _settled(reply: inbox.Reply) -> Result:
    return await reply if isinstance(reply, asyncio.Future) else reply
