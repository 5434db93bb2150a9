"""A signal that several tasks wait for, each with a limit of its own."""

from __future__ import annotations

import asyncio


class Signal:
    """`notify` wakes all who wait; what happened is for them to find out."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake all who wait now."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, until: float | None) -> None:
        """Return at the next `notify`, or at `until` (seconds of the monotonic clock; None: no limit)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout_at(until):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(future)
