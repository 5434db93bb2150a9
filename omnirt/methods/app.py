"""What the handlers of one daemon share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.protocol.lifecycle import LiveSession, StorageBacklog
from omnirt.protocol.types import CloseReason
from omnirt.sessions.sink import EventSink
from omnirt.settings import ServeSettings

if TYPE_CHECKING:
    from omnirt.methods.lookups import Lookups
    from omnirt.methods.notices import Notices
    from omnirt.sessions.registry import Registry


class Lane(EventSink, Protocol):
    """The event sink of one run, held until the reply to its start is on its way."""

    def release(self) -> None:
        """Events leave from now on."""

    def close(self) -> None:
        """No event comes any more; what waits still leaves, unless the lane was never released."""


class Host(Protocol):
    """The host, as far as handlers and sessions deal with it."""

    @property
    def answers_tools(self) -> bool:
        """Whether it said that it answers `tool.call`."""

    @property
    def answers_approvals(self) -> bool:
        """Whether it said that it answers `tool.approve`."""

    async def call(self, method: str, params: Struct, timeout_s: float) -> Struct:
        """Asks the host; raises `CallFailed`."""

    def open_lane(self, *, audio_stored: bool = True) -> Lane:
        """Where the events of one run go."""

    def log_message(self, level: str, message: str) -> None:
        """Tells the user something."""

    def queues(self) -> dict[str, int]:
        """What waits, by name: for `server.stats`."""

    @property
    def dropped_audio_ms(self) -> int:
        """Audio that the host was too slow to take, in all."""


class Context(Protocol):
    """What a handler gets beside its params."""

    @property
    def app(self) -> App:
        """The daemon's application."""

    @property
    def method(self) -> str:
        """The method's name."""

    @property
    def is_notification(self) -> bool:
        """Whether nobody waits for a reply."""

    def after_reply(self, callback: Callable[[], None]) -> None:
        """Calls back right after the result was queued for the host; not when the request fails."""


class App:
    """One daemon's application.

    Args:
        settings: How it runs.
        host: Its host.
        environ: The environment that sessions find settings in.
    """

    def __init__(self, settings: ServeSettings, host: Host, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.host = host
        self.started = time.monotonic()
        self._environ = environ
        self._registry: Registry | None = None
        self._notices: Notices | None = None
        self._lookups: Lookups | None = None
        self._services_closed = False
        self.openrpc: bytes | None = None
        """The encoded answer to `rpc.discover`, once it was asked for."""

    @property
    def registry(self) -> Registry:
        """The live sessions; made when the first method asks, as it brings half of the package."""
        if self._registry is None:
            from omnirt.methods.wiring import make_registry

            self._registry = make_registry(self.settings, self.host, self._environ)
        return self._registry

    @property
    def lookups(self) -> Lookups:
        """The agents that are being looked up."""
        if self._lookups is None:
            from omnirt.methods.lookups import Lookups

            self._lookups = Lookups()
        return self._lookups

    @property
    def live_sessions(self) -> int:
        """How many sessions are live."""
        return 0 if self._registry is None else len(self._registry)

    def live(self) -> list[LiveSession]:
        """How the live sessions are doing."""
        return [] if self._registry is None else self._registry.live()

    @property
    def reconnects(self) -> int:
        """How often a session was connected again, in all."""
        return 0 if self._registry is None else self._registry.reconnects

    def storage_backlog(self) -> StorageBacklog:
        """What waits for the disk."""
        if self._registry is None:
            return StorageBacklog(queued_bytes=0, queued=0, dropped_ms=0, open_runs=0)
        stats = self._registry.services.storage.stats()
        return StorageBacklog(
            queued_bytes=stats.queued_bytes,
            queued=stats.queued_entries,
            dropped_ms=stats.dropped_ms,
            open_runs=stats.open_runs,
        )

    def notification_failed(self, method: str, params: bytes | None, error: OmnirtError) -> None:
        """A notification of the host's could not be served: told once a second, as nobody is answered."""
        if self._notices is None:
            from omnirt.methods.notices import Notices

            self._notices = Notices(self.host, self.registry)
        self._notices.failed(method, params, error)

    def warm_up(self) -> None:
        """The voice SDK will be needed soon; called as often as one likes."""
        self.registry.services.sdk.start()

    async def close_sessions(self, reason: CloseReason) -> None:
        """Closes every session; may be called again while it runs."""
        if self._registry is not None:
            await self._registry.close(reason)

    async def close_services(self) -> None:
        """Flushes storage and stops what sessions share; once the sessions are closed."""
        if self._lookups is not None:
            self._lookups.close()
        if self._registry is not None and not self._services_closed:
            self._services_closed = True
            await self._registry.services.close()
