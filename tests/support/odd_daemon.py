"""A daemon whose handlers misbehave, to be run as a process: slow, noisy, stubborn ones, one that hogs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

from msgspec import Struct

from omnirt.daemon.process import run
from omnirt.methods.app import Context
from omnirt.methods.handlers import HANDLERS
from omnirt.protocol.types import Empty


def never(ctx: Context, params: Struct) -> asyncio.Future[Struct]:
    """Is not answered until it is cancelled."""
    return asyncio.get_running_loop().create_future()


async def soon(ctx: Context, params: Struct) -> Struct:
    """Is answered after a while."""
    await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.3)
    return Empty()


def noisy(ctx: Context, params: Struct) -> Struct:
    """Prints in every way there is."""
    print("stray print")  # noqa: T201 - the point
    print("flushed print", flush=True)  # noqa: T201 - the point
    sys.stdout.write("stray write\n")
    if sys.__stdout__ is not None:
        sys.__stdout__.write("stray original write\n")
    os.write(1, b"stray os.write\n")
    subprocess.run(["sh", "-c", "echo stray child; cat"], check=True, timeout=10)
    return Empty()


def childful(ctx: Context, params: Struct) -> Struct:
    """Leaves a child, and a grandchild, that ignore every polite signal."""
    script = "trap '' TERM INT HUP; sleep 600 & echo $! >&2; echo $$ >&2; wait"
    subprocess.Popen(["sh", "-c", script])
    return Empty()


def hog(ctx: Context, params: Struct) -> Struct:
    """Keeps the loop busy as a careless tool would."""
    os.write(2, b"hogging\n")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
    return Empty()


def slow(ctx: Context, params: Struct) -> Struct:
    """Takes its time, and the loop's."""
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass
    return Empty()


async def stubborn(ctx: Context, params: Struct) -> Struct:
    """Does not let itself be cancelled."""
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass


def deaf(ctx: Context, params: Struct) -> Struct:
    """Ignores the first signal's wish, by never letting sessions close."""

    async def forever(reason: str) -> None:
        os.write(2, b"closing\n")
        await asyncio.get_running_loop().create_future()

    ctx.app.close_sessions = forever  # type: ignore[method-assign] # a session that will not close
    return Empty()


HANDLERS.update(
    {
        "session.wait": never,
        "session.stop": soon,
        "session.respond": stubborn,
        "session.get": noisy,
        "session.list": childful,
        "server.stats": slow,
        "session.clearAudio": hog,
        "session.interrupt": deaf,
    }
)

if __name__ == "__main__":
    if os.environ.get("PARENT_IGNORES_INT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(run(sys.argv[1:]))
