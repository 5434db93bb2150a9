"""A loop and a thread of their own for Python tools: none of them can stall the audio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from omnirt.specs.threads import BusyError, ExitError, in_thread

T = TypeVar("T")
P = ParamSpec("P")

BEAT_S: Final = 2.0
"""A loop that shows no sign of life for so long is blocked by a tool, and is left to itself."""
MAX_LOOPS: Final = 4
"""So many blocked loops are left; then tools are refused."""
CLOSE_S: Final = 0.5
"""What tools that are cancelled at the end have for their last words."""


class ToolLoop:
    """Runs coroutines of Python tools; `asyncio.to_thread` inside them gets threads that hold up no exit.

    All share one loop, so that what a module keeps between calls (an HTTP client, say) goes on working.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._blocked = 0
        self._closed = False

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call()` gives, awaited on the other loop. Cancelling this cancels that.

        Raises:
            BusyError: The loop is blocked by other tools.
            ExitError: The code raised what is no Exception.
        """
        loop = await self._live_loop()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_contained(call), loop))

    def close(self) -> None:
        """Cancel what runs and end the thread; does not wait for it."""
        self._closed = True
        self._let_go()

    async def _live_loop(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise BusyError("The Python tools are closed")
        if self._loop is not None and not await _beats(self._loop):
            self._blocked += 1
            self._let_go()
        if self._blocked >= MAX_LOOPS:
            raise BusyError("Python tools block each other: an async tool must not wait in plain calls")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._loop.set_default_executor(_Threads())
            threading.Thread(target=_serve, args=(self._loop,), name="omnirt-tools", daemon=True).start()
        return self._loop

    def _let_go(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


class _Threads(ThreadPoolExecutor):
    """What the loop's `to_thread` uses: the bounded daemon threads of `specs.threads`."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it in a thread of its own."""
        return in_thread(partial(fn, *args, **kwargs))


async def _contained(call: Callable[[], Awaitable[T]]) -> T:
    """A `SystemExit` would end the loop, and a `StopIteration` can't be raised out of a future."""
    try:
        return await call()
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, StopIteration):
            raise ExitError("StopIteration") from None
        raise
    except BaseException as error:  # noqa: BLE001 - see above
        raise ExitError(type(error).__name__) from None


async def _beats(loop: asyncio.AbstractEventLoop) -> bool:
    ours = asyncio.get_running_loop()
    beat: asyncio.Future[None] = ours.create_future()

    def answer() -> None:
        if not beat.done():
            beat.set_result(None)

    loop.call_soon_threadsafe(lambda: ours.call_soon_threadsafe(answer))
    done, _ = await asyncio.wait({beat}, timeout=BEAT_S)
    return bool(done)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    stopped = False
    while not stopped:
        try:
            loop.run_forever()
            stopped = True
        except BaseException:  # noqa: BLE001 - a task of a tool's own called `sys.exit`; the others go on
            pass
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=CLOSE_S))
    loop.close()
