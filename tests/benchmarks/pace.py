"""The pace of speech: a chunk every 20 ms for each session, the sessions spread over that time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

INTERVAL_S = 0.02
WITHIN = 50
"""Chunks within which all agents begin to speak, one after another: not all people stop at once."""


async def paced(
    sessions: int,
    chunks: int,
    begin: Callable[[int], Awaitable[None]],
    chunk: Callable[[int, int], Awaitable[None]],
) -> None:
    """Calls `chunk(session, number)` for each when it is due, and `begin(session)` once before one."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(chunks):
        for index in range(sessions):
            due = began + (number + index / sessions) * INTERVAL_S
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if number == index * min(WITHIN, chunks) // sessions:
                await begin(index)
            await chunk(index, number)
