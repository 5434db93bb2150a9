"""Handlers about the daemon itself: shutdown, rpc.discover, server.stats."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import threading
import time
from pathlib import Path

import msgspec
from msgspec import UNSET

from omnirt.methods.app import Context
from omnirt.protocol.methods import NoParams, ServerStatsResult
from omnirt.protocol.types import Empty


async def shutdown(ctx: Context, params: NoParams) -> Empty:
    """Closes every session and flushes storage."""
    await ctx.app.close_sessions("shutdown")
    await ctx.app.close_services()
    return Empty()


def discover(ctx: Context, params: NoParams) -> msgspec.Raw:
    """The OpenRPC document."""
    if ctx.app.openrpc is None:
        from omnirt.protocol.schema import openrpc  # made from the tables when it is asked for

        ctx.app.openrpc = msgspec.json.encode(openrpc())
    return msgspec.Raw(ctx.app.openrpc)


def stats(ctx: Context, params: NoParams) -> ServerStatsResult:
    """Figures for operators."""
    app = ctx.app
    return ServerStatsResult(
        uptime_ms=int((time.monotonic() - app.started) * 1000),
        pid=os.getpid(),
        rss_bytes=_rss_bytes(),
        sessions=app.live_sessions,
        queues=app.host.queues(),
        dropped_audio_ms=app.host.dropped_audio_ms,
        tasks=len(asyncio.all_tasks()),
        threads=_count("/proc/self/task") or threading.active_count(),
        descriptors=_count("/dev/fd") or UNSET,
        reconnects=app.reconnects,
        storage=app.storage_backlog(),
        live=app.live(),
    )


def _count(folder: str) -> int:
    """How many entries a folder of the system's has; 0 where there is none."""
    try:
        return sum(1 for _ in Path(folder).iterdir())
    except OSError:
        return 0


def _rss_bytes() -> int:
    """Resident memory: now where the system tells, else its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()
