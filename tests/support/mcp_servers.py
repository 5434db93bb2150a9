"""MCP servers for tests: how a spec names them, one behind a URL, and whether their processes are gone."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from tests.support.daemon import WAIT_S

ROOT = Path(__file__).parents[2]
MODULE = "tests.support.mcp_server"


def stdio(*args: str, name: str = "test", **members: Any) -> dict[str, Any]:
    """The test server over stdio, in a spec."""
    return {
        "name": name,
        "type": "stdio",
        "command": sys.executable,
        "args": ["-m", MODULE, "stdio", *args],
        "cwd": str(ROOT),
        "connect_timeout_s": WAIT_S,
        **members,
    }


@asynccontextmanager
async def serving(
    folder: Path, transport: Literal["http", "sse"], *args: str
) -> AsyncIterator[dict[str, Any]]:
    """The test server behind a URL, in a spec, for as long as the block lasts."""
    port_file = folder / f"port-{transport}"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", MODULE, transport, "--port-file", str(port_file), *args]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        async with asyncio.timeout(WAIT_S):
            while not port_file.exists():
                assert process.returncode is None
                await asyncio.sleep(0.02)
        url = f"http://127.0.0.1:{port_file.read_text()}/{'mcp' if transport == 'http' else 'sse'}"
        yield {"name": "test", "type": transport, "url": url, "connect_timeout_s": WAIT_S}
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), WAIT_S)


async def ended(pids: Iterable[int]) -> None:
    """Return when none of these processes lives any more."""
    async with asyncio.timeout(WAIT_S):
        for pid in pids:
            while alive(pid):
                await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self").exists()
    return state != "Z"
