"""The end of a daemon whose host does not read, reads slowly, or has sent more than can be served."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.daemon import COMMAND, WAIT_S, driven

ODD = (sys.executable, "-m", "tests.support.odd_daemon")
DISCOVER = b'{"id":1,"method":"rpc.discover"}\n'
SLOW = b'{"id":1,"method":"server.stats"}\n'
PING = b'{"id":0,"method":"ping"}\n'


@asynccontextmanager
async def raw(*command: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A daemon, and the reading end of its stdout, which nobody reads."""
    read, write = os.pipe()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=write, stderr=pipe)
    os.close(write)
    try:
        yield process, read
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(process: asyncio.subprocess.Process) -> int:
    """The exit code, and nothing was said on stderr."""
    assert process.stderr is not None
    code = await asyncio.wait_for(process.wait(), WAIT_S)
    assert await process.stderr.read() == b""
    return code


@driven
async def test_a_host_that_never_reads_does_not_hold_up_the_end() -> None:
    async with raw(*COMMAND) as (process, read):
        assert process.stdin is not None
        process.stdin.write(DISCOVER * 20)
        await process.stdin.drain()
        process.stdin.close()
        assert await ended(process) == 0
        os.close(read)


@driven
async def test_a_host_that_reads_slowly_gets_everything() -> None:
    async with raw(*COMMAND) as (process, read):
        assert process.stdin is not None
        process.stdin.write(DISCOVER * 3)
        process.stdin.close()
        data = b""
        while piece := await asyncio.to_thread(os.read, read, 4096):
            data += piece
            await asyncio.sleep(0.005)  # the slowness itself
        assert data.count(b"\n") == 3
        assert await ended(process) == 0
        os.close(read)


@pytest.mark.parametrize("closed", [True, False])
@driven
async def test_nothing_is_served_once_both_ends_are_gone(closed: bool) -> None:
    async with raw(*ODD) as (process, read):
        assert process.stdin is not None
        process.stdin.write(PING)
        assert await asyncio.to_thread(os.read, read, 100)
        if closed:
            os.close(read)
        process.stdin.write(SLOW * 900)
        process.stdin.close()
        if not closed:
            assert await asyncio.to_thread(os.read, read, 100)
            os.close(read)
        assert await ended(process) == 0


@driven
async def test_a_signal_ends_a_daemon_that_has_much_to_serve_in_order() -> None:
    async with raw(*ODD) as (process, read):
        assert process.stdin is not None
        process.stdin.write(PING + SLOW * 900)
        assert await asyncio.to_thread(os.read, read, 100)
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0
        with os.fdopen(read, "rb") as stdout:
            assert b'"shutting_down"' in await asyncio.to_thread(stdout.read)
