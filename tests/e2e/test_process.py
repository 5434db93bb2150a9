"""The process in bad surroundings: no descriptors, nobody who reads stderr, a clock that jumps."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import driven
from tests.support.host import Host

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at and limits another process")

PLENTY = 1024


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """Within, the process can open nothing: no file, no socket, no pipe."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(PLENTY, hard), hard))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_short_of_descriptors(error: dict[str, Any]) -> bool:
    return (error["kind"], error["retryable"], error["reason"]) == ("overloaded", True, "descriptors")


@driven
async def test_without_descriptors_everything_says_so_and_works_again_when_there_are_some(
    tmp_path: Path,
) -> None:
    async with Host.spawn(tmp_path) as host:
        pid = host.daemon.pid
        with no_descriptors(pid):  # the handlers and the voice SDK are yet to be imported
            assert is_short_of_descriptors(await host.refused("agent.list"))
            _, starting = host.begin()
            reply = await host.reply(starting)
            assert reply["error"]["data"]["reason"] == "descriptors"
        talk = await host.start(record="both", script={"rules": [{"do": [{"say": "heard"}]}]})
        await talk.ask("sendText", text="Hi")  # the simulator reads its voice from a file, once
        await talk.ask("wait")
        await host.ask("history.list")
        with no_descriptors(pid):
            used = cpu_s(pid)
            assert (await host.refused("history.list"))["kind"] == "storage_failed"
            server = {"name": "files", "type": "stdio", "command": sys.executable, "required": True}
            for agent in ({"name": "plain"}, {"name": "equipped", "mcp_servers": [server]}):
                _, starting = host.begin(agent=agent)
                assert (await host.reply(starting))["error"]["data"]["kind"] == "overloaded"
            await talk.ask("sendText", text="Hi")
            assert (await talk.ask("wait"))["responses"][0]["text"] == "I heard you."
            told = await talk.event("error")
            assert (told["kind"], told["fatal"]) == ("storage_failed", False)
            assert "ulimit -n" in told["message"]
            await host.ask("server.stats")
            assert cpu_s(pid) - used < 2, "nothing spins"
        await talk.ask("sendText", text="Hi")
        await talk.ask("wait")
        stopped = await talk.ask("stop")
        assert stopped["reason"] == "stopped"
        assert [Path(file["path"]).is_file() for file in stopped["files"]] == [True] * len(stopped["files"])
        assert stopped["files"], "what was said later is kept"
