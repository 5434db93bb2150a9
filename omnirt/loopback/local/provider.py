"""The provider `local` of one daemon: the loopback server with local parts, in a thread with its own loop.

The models let other threads run, and detection takes a millisecond of every hundred that somebody is
connected: on its own loop none of that is in the way of the daemon's.
"""

from __future__ import annotations

import asyncio
import threading

from omnirt.loopback.local.models import Models, Tell
from omnirt.loopback.local.options import LocalOptions
from omnirt.loopback.local.profile import LocalProfile
from omnirt.loopback.server import LoopbackEndpoint, LoopbackServer

_CLOSE_S = 3.0
"""Work of a second may be under way; longer than this nobody waits for it."""


class LocalProvider:
    """The thread, begun when the first session wants it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._thread: threading.Thread | None = None
        self._place: _Place | None = None

    async def open(self, options: LocalOptions, tell: Tell) -> LoopbackEndpoint:
        """An endpoint for one session, once all that it needs is loaded and warm.

        Args:
            options: How the session hears, thinks and speaks.
            tell: Told what is loaded, and what is missing; called on this loop.

        Raises:
            OmnirtError: Something is missing; says what to install.
        """
        loop = asyncio.get_running_loop()

        def tell_here(level: str, words: str) -> None:
            loop.call_soon_threadsafe(tell, level, words)

        async with self._lock:
            if self._place is None:
                self._place = await self._begin()
        opening = asyncio.run_coroutine_threadsafe(self._place.open(options, tell_here), self._place.loop)
        return await asyncio.wrap_future(opening)

    async def _begin(self) -> _Place:
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[_Place] = loop.create_future()

        async def live() -> None:
            async with LoopbackServer() as server:
                place = _Place(server)
                loop.call_soon_threadsafe(begun.set_result, place)
                await place.stop.wait()
                place.models.close()

        def run() -> None:
            try:
                asyncio.run(live())
            except OSError as error:  # no port, before anything began
                loop.call_soon_threadsafe(begun.set_exception, error)

        self._thread = threading.Thread(target=run, name="omnirt-local", daemon=True)
        self._thread.start()
        return await begun

    def release(self, endpoint: LoopbackEndpoint) -> None:
        """The session is over."""
        if self._place is not None:
            self._place.loop.call_soon_threadsafe(self._place.server.close, endpoint)

    async def close(self) -> None:
        """End the thread."""
        if self._place is None or self._thread is None:
            return
        self._place.loop.call_soon_threadsafe(self._place.stop.set)
        self._place = None
        await asyncio.to_thread(self._thread.join, _CLOSE_S)


class _Place:
    """What lives in the thread, and on its loop."""

    def __init__(self, server: LoopbackServer) -> None:
        self.loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        self.server = server
        self.models = Models()

    async def open(self, options: LocalOptions, tell: Tell) -> LoopbackEndpoint:
        """An endpoint for one session."""
        await self.models.prepare(options, tell)
        return self.server.open(LocalProfile(options, self.models))
