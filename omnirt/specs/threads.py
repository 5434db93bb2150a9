"""Runs code that is not ours in threads of its own: it may block, hang, exit, or raise whatever it likes."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from omnirt.errors import OmnirtError

T = TypeVar("T")

MAX_THREADS: Final = 64
"""Such threads at once, in the process: one that hangs can't be ended, and must not be joined by more."""
_NAME: Final = "omnirt-code"


class BusyError(Exception):
    """No thread is free: `MAX_THREADS` of them run or hang."""


class ExitError(Exception):
    """The code raised what is no error (`SystemExit`, …), which would end a loop; the text is its name."""


def in_thread(call: Callable[[], T]) -> Future[T]:
    """Run `call` in a daemon thread, which holds up no end of the process.

    `result(timeout)` of the future is for code that may block; `asyncio.wrap_future` makes it awaitable.
    Giving up on it does not end the thread.

    Raises:
        BusyError: At once. The future raises what `call` raises, or an `ExitError` for what is no Exception.
    """
    if sum(thread.name == _NAME for thread in threading.enumerate()) >= MAX_THREADS:
        raise BusyError(f"{MAX_THREADS} threads of Python code run or hang already")
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_run, call, future), name=_NAME, daemon=True).start()
    return future


async def apart(call: Callable[[], T]) -> T:
    """What `call` gives, in such a thread.

    Raises:
        OmnirtError: `overloaded`: there is no thread. Beyond that what `call` raises.
    """
    try:
        return await asyncio.wrap_future(in_thread(call))
    except BusyError as error:
        raise OmnirtError("overloaded", f"{error}; restart the daemon.") from None


def describe(error: BaseException) -> str:
    """What went wrong in code that is not ours, and in which line.

    Never the error's own text, which may hold anything: keys, or what was said.
    """
    if isinstance(error, ExitError):
        return f"it raised {error}"
    if isinstance(error, SyntaxError):
        return f"{error.msg} ({Path(error.filename or '?').name}, line {error.lineno})"
    # Nothing of the import system (`<frozen importlib>`), nor of this module, is where it went wrong.
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename[0] != "<"]
    frames = [frame for frame in frames if frame.filename != __file__]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"it raised {type(error).__name__}{where}"


def _run(call: Callable[[], T], future: Future[T]) -> None:
    try:
        result = call()
    except StopIteration:  # it can't be raised out of a future
        future.set_exception(ExitError("StopIteration"))
    except Exception as error:  # noqa: BLE001 - goes to whoever waits
        future.set_exception(error)
    except BaseException as error:  # noqa: BLE001 - a library's SystemExit must end neither loop nor daemon
        future.set_exception(ExitError(type(error).__name__))
    else:
        future.set_result(result)
