"""The process in bad surroundings: no descriptors, nobody who reads stderr, a clock that jumps."""

from __future__ import annotations

import os
import resource
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import driven
from tests.support.host import WAIT_S, Host

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


BUSY_TOOLS = '''
import subprocess
import sys


def chatter() -> str:
    """Says more than any pipe holds."""
    for _ in range(3000):
        print("x" * 99)
        print("y" * 99, file=sys.stderr)
    return "said"


def offspring() -> str:
    """Leaves a child behind, and a child of that."""
    script = "sleep 600 > /dev/null & echo $$ $!; wait"
    child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    return child.stdout.readline()
'''
UNREAD_STDERR = """
import os, sys
read_end, write_end = os.pipe()
os.set_blocking(write_end, False)
try:
    while True:
        os.write(write_end, bytes(4096))
except BlockingIOError:
    pass
os.set_blocking(write_end, True)
os.set_inheritable(read_end, True)  # the pipe has a reader, who never reads
os.dup2(write_end, 2)
os.close(write_end)
os.execv(sys.executable, [sys.executable, "-m", "omnirt", "serve", *sys.argv[1:]])
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@driven
async def test_what_tools_print_and_start_holds_up_nobody_and_does_not_outlive_the_daemon(
    tmp_path: Path,
) -> None:
    (tmp_path / "busy_tools.py").write_text(BUSY_TOOLS)
    calls: list[dict[str, Any]] = [{"tool": name, "arguments": {}} for name in ("chatter", "offspring")]
    script = {"rules": [{"on": "tool_output", "do": [{"text": "Done."}]}, {"do": [{"call": calls}]}]}
    tools = [{"run": "python:busy_tools:chatter"}, {"run": "python:busy_tools:offspring"}]
    command = (sys.executable, "-c", UNREAD_STDERR)
    env = {"PYTHONPATH": str(tmp_path)}
    async with Host.spawn(tmp_path / "data", env=env, command=command) as host:
        talk = await host.start(agent={"name": "busy", "tools": tools}, script=script)
        await talk.ask("sendText", text="Go")
        assert (await talk.ask("wait"))["responses"][-1]["text"] == "Done."
        assert {end["status"] for end in talk.of("toolEnd")} == {"completed"}
        pids = [int(word) for word in talk.of("toolEnd", toolName="offspring")[0]["output"].split()]
        assert [alive(pid) for pid in pids] == [True, True]
        descriptors = [os.pidfd_open(pid) for pid in pids]
        used = cpu_s(host.daemon.pid)
        assert (await talk.refused("wait", **{"for": "closed"}, timeoutMs=1000))["kind"] == "timed_out"
        assert cpu_s(host.daemon.pid) - used < 0.5, "a live session in which nothing happens costs nothing"
        children = children_of(host.daemon.pid)
        assert [pid for pid in children if not alive(pid)] == [], "no zombies"
        waiting = talk.tell("wait", **{"for": "closed"}, timeoutMs=1000)
        used = cpu_s(host.daemon.pid)
        host.daemon.close_stdin()
        assert (await host.reply(waiting))["error"]["data"]["kind"] == "timed_out"
        assert cpu_s(host.daemon.pid) - used < 0.5, "nor does a drain"
        await host.finished(0)
    for descriptor in descriptors:
        assert select.select([descriptor], [], [], WAIT_S)[0], "it is dead"
        os.close(descriptor)


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
