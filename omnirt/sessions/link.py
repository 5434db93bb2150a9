"""A session's connection to its provider: the SDK's session over the watched model, within time limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

import anyio
import msgspec

from omnirt.errors import OmnirtError
from omnirt.providers.connect_errors import closed, explain, silent, upstream_error
from omnirt.providers.endpoint import Endpoint
from omnirt.providers.settings import TracingSettings

if TYPE_CHECKING:
    from agents.realtime import RealtimeAgent
    from agents.realtime.config import RealtimeSessionModelSettings

    from omnirt.sessions.sdk import Watcher

log = logging.getLogger(__name__)

HANDSHAKE_S = 10.0
"""Silence of the provider beyond this is `provider_unreachable` (PROTOCOL section 3)."""
COMPATIBLE_UPDATE_S = 2.0
"""A compatible server that sent `session.created` need not answer the settings (the same)."""
CLOSE_S = 1.0
"""An unresponsive peer holds a close for 10 to 20 s; after this the socket is dropped."""


class Handshake:
    """What the provider answered to the connection and the settings.

    Args:
        explain: Makes of the provider's own error the one that a host gets.
    """

    def __init__(self, explain: Callable[[Mapping[str, Any]], OmnirtError]) -> None:
        self._explain = explain
        loop = asyncio.get_running_loop()
        self._created: asyncio.Future[None] = loop.create_future()
        self._updated: asyncio.Future[None] = loop.create_future()

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._updated.done()

    def server_event(self, event: Mapping[str, Any]) -> None:
        """Look at an event that came before the session was connected."""
        match event.get("type"):
            case "session.created":
                _resolve(self._created)
            case "session.updated":
                _resolve(self._created)
                _resolve(self._updated)
            case "error":
                error = event.get("error")
                self.fail(self._explain(error if isinstance(error, Mapping) else {}))

    def closed(self, code: int | None, reason: str) -> None:
        """The connection went away."""
        self.fail(_Closed(code, reason))

    def fail(self, error: Exception) -> None:
        """The provider refused, or the connection went away."""
        for future in (self._created, self._updated):
            if not future.done():
                future.set_exception(error)
                future.exception()  # asked for here, so that nobody warns when only one of the two is awaited

    async def finish(self, endpoint: Endpoint) -> str | None:
        """Wait until connected.

        Returns:
            A warning when the provider never answered the settings but may be used.

        Raises:
            OmnirtError: `provider_error` for a refusal, `provider_unreachable` for silence or a close,
                `auth_failed` for a key that is refused by either.
        """
        try:
            return await self._answers(endpoint)
        except _Closed as lost:
            raise closed(endpoint, *lost.args) from None

    async def _answers(self, endpoint: Endpoint) -> str | None:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await asyncio.shield(self._created)
        except TimeoutError:
            raise silent(endpoint, "it did not open a session", HANDSHAKE_S) from None
        compatible = endpoint.provider == "compatible"
        try:
            async with asyncio.timeout(COMPATIBLE_UPDATE_S if compatible else HANDSHAKE_S):
                await asyncio.shield(self._updated)
        except TimeoutError:
            if not compatible:
                raise silent(endpoint, "it did not answer the session's settings", HANDSHAKE_S) from None
            _resolve(self._updated)
            return "The server did not answer the session's settings; it may not honour all of them."
        return None


class ProviderLink:
    """The open connection of one session."""

    def __init__(self, watcher: Watcher, *, tracing: bool | TracingSettings) -> None:
        # Late: these two imports bring the SDK.
        from omnirt.sessions.quiet_model import silence_tracing
        from omnirt.sessions.sdk import WatchedModel

        if not tracing:
            silence_tracing()
        self._tracing = tracing
        self._watcher = watcher
        self._model = WatchedModel(watcher)
        self._session: Any = None

    async def open(self, agent: RealtimeAgent[Any], endpoint: Endpoint, settings: Mapping[str, Any]) -> None:
        """Connect and send the settings; the provider's answer comes to the watcher.

        Raises:
            OmnirtError: `auth_failed`, `provider_unreachable`, `provider_error`.
        """
        from agents.realtime import RealtimeRunner

        initial: dict[str, Any] = dict(settings)
        if isinstance(self._tracing, TracingSettings):
            initial["tracing"] = msgspec.to_builtins(self._tracing)
        runner = RealtimeRunner(agent, model=self._model, config={"tracing_disabled": not self._tracing})
        try:
            async with asyncio.timeout(HANDSHAKE_S + 1):
                self._session = await runner.run(
                    model_config={
                        "url": endpoint.url,
                        "headers": dict(endpoint.headers),
                        # A TypedDict of the SDK's; specs.realtime checked every member.
                        "initial_model_settings": cast("RealtimeSessionModelSettings", initial),
                    }
                )
                await self._session.enter()
        except OmnirtError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a connection can raise is explained in one place
            raise explain(error, endpoint) from None

    @property
    def up(self) -> asyncio.Event:
        """Set while inputs may go upstream."""
        return self._model.up

    async def reopen(self, endpoint: Endpoint, used: Collection[str]) -> None:
        """Open another connection in place of the lost one, and send the first settings again.

        Args:
            endpoint: Where to.
            used: Ids of the talk so far; a provider that uses them again means something else.

        Raises:
            OmnirtError: As `open`.
        """
        try:
            async with asyncio.timeout(HANDSHAKE_S + 1):
                await self._model.reconnect(endpoint.headers, endpoint.url, used)
        except Exception as error:  # noqa: BLE001 - whatever a connection can raise is explained in one place
            raise explain(error, endpoint) from None

    def post_audio(self, data: bytes) -> bool:
        """Append audio without waiting; False, and nothing of it sent, if it cannot go at once."""
        return self._model.up.is_set() and self._model.post_audio(data)

    async def send_audio(self, data: bytes) -> None:
        """Append audio to the provider's input buffer; nowhere, while there is no connection."""
        if self._model.up.is_set():
            await self._model.send_audio(data)

    async def send_event(self, event: Mapping[str, Any], *, first: bool = False) -> None:
        """Send one client event in the provider's spelling; `first`: before inputs may."""
        if first or self._model.up.is_set():
            await self._model.send_client_event(event)

    async def update_agent(self, agent: RealtimeAgent[Any]) -> None:
        """Make `agent` the active one and send its settings."""
        await self._session.update_agent(agent)

    async def close(self) -> None:
        """Close within bounds, whatever the peer does."""
        if self._session is None:
            return
        try:
            with anyio.move_on_after(CLOSE_S, shield=True) as limit:
                await self._session.close()
            if limit.cancelled_caught:
                self._model.abort()
                with anyio.move_on_after(CLOSE_S, shield=True):
                    await self._session.close()
        except Exception as error:  # noqa: BLE001 - the connection is gone in any case
            log.debug("closing the connection: %s", type(error).__name__)

    async def drain(self) -> None:
        """Keep the SDK's unbounded queue empty; all we use of it came by other ways already."""
        failure: Exception | None = None
        try:
            async for event in self._session:
                if event.type == "error":
                    log.warning("the voice SDK reports: %s", type(event.error).__name__)
        except Exception as error:  # noqa: BLE001 - it closes itself on any exception of its own
            failure = error
        self._watcher.on_sdk_failure(failure)


def refusal(error: Mapping[str, Any], endpoint: Endpoint) -> OmnirtError:
    """The error of a session that the provider refuses after it let the connection in."""
    type_, code, message = (error.get(name) for name in ("type", "code", "message"))
    return upstream_error(
        endpoint,
        type_=type_ if isinstance(type_, str) else None,
        code=str(code) if isinstance(code, str | int) else None,  # some send the HTTP status
        message=message if isinstance(message, str) else None,
    )


class _Closed(Exception):
    """The connection went away before the session was connected; code and reason are its arguments."""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
