"""A live session in the hand of its host: its inputs, its stream of events, its end."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal

from omnirt.client.methods import Methods
from omnirt.client.process import DaemonGone
from omnirt.client.streams import EventStream
from omnirt.errors import OmnirtError
from omnirt.protocol import methods as m
from omnirt.protocol.session_methods import InputImage, InputText


class Session:
    """Made by `Client.start_session`; as a context manager it stops the session at the end.

    Attributes:
        started: What the daemon said of the session: formats, model, features.
        events: Its notifications from the first to `realtime.closed`, for one reader.
    """

    def __init__(self, client: Methods, started: m.SessionStartResult, events: EventStream) -> None:
        self._client = client
        self.started = started
        self.events = events
        self.id = started.session_id

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop(force=True)
        except (OmnirtError, DaemonGone):
            if error is None and not self.events.ended:
                raise

    async def send_audio(self, audio: bytes, *, commit: bool = False) -> m.SessionSendAudioResult:
        """Queues audio; `commit` ends the turn and asks for a response."""
        params = m.SessionSendAudioParams(session_id=self.id, audio=audio, commit=commit or None)
        return await self._client.session_send_audio(params)

    async def send_text(self, text: str, *, respond: bool = True) -> None:
        """Sends a user text, and asks for a response unless `respond` is False."""
        params = m.SessionSendTextParams(session_id=self.id, text=text, respond=None if respond else False)
        await self._client.session_send_text(params)

    async def send_message(
        self,
        content: Sequence[InputText | InputImage],
        *,
        role: Literal["user", "system"] = "user",
        respond: bool = True,
    ) -> None:
        """Sends texts and images, and asks for a response unless `respond` is False."""
        params = m.SessionSendMessageParams(
            session_id=self.id, content=list(content), role=role, respond=None if respond else False
        )
        await self._client.session_send_message(params)

    async def clear_audio(self) -> None:
        """Drops audio that was not committed."""
        await self._client.session_clear_audio(m.SessionParams(session_id=self.id))

    async def update(
        self,
        *,
        agent: str | dict[str, Any] | None = None,
        variables: dict[str, Any] | None = None,
        realtime: dict[str, Any] | None = None,
    ) -> None:
        """Swaps the active agent, its variables or its settings."""
        await self._client.session_update(
            m.SessionUpdateParams(session_id=self.id, agent=agent, variables=variables, realtime=realtime)
        )

    async def respond(self, instructions: str | None = None) -> None:
        """Asks for a response: the agent speaks first."""
        await self._client.session_respond(
            m.SessionRespondParams(session_id=self.id, instructions=instructions)
        )

    async def interrupt(
        self, item_id: str | None = None, content_index: int | None = None, played_ms: int | None = None
    ) -> m.SessionInterruptResult:
        """Cancels the response and cuts what is playing."""
        return await self._client.session_interrupt(
            m.SessionInterruptParams(
                session_id=self.id, item_id=item_id, content_index=content_index, played_ms=played_ms
            )
        )

    async def playback(self, item_id: str, content_index: int, played_ms: int) -> None:
        """Reports what the speaker has played so far; as a notification, for it is sent often."""
        await self._client.notify(
            "session.playback",
            m.SessionPlaybackParams(
                session_id=self.id, item_id=item_id, content_index=content_index, played_ms=played_ms
            ),
        )

    async def wait(
        self, for_: Literal["idle", "closed"] = "idle", *, timeout_ms: int | None = None
    ) -> m.SessionWaitResult:
        """Waits until every input has been answered, or until the end."""
        return await self._client.session_wait(
            m.SessionWaitParams(session_id=self.id, for_=for_, timeout_ms=timeout_ms)
        )

    async def stop(self, *, force: bool = False) -> m.SessionStopResult:
        """Ends the session and says which files it left."""
        return await self._client.session_stop(
            m.SessionStopParams(session_id=self.id, force=True if force else None)
        )
