"""The host's death is seen, with and without the system's help; no child is overlooked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from omnirt.daemon.family import children, kill_children, wait_for_death
from tests.support.daemon import WAIT_S, driven


@pytest.mark.parametrize("told", [True, False])
def test_a_death_is_seen(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not told and hasattr(os, "pidfd_open"):
        monkeypatch.delattr(os, "pidfd_open")

    @driven
    async def run() -> None:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        waiting = asyncio.create_task(wait_for_death(process.pid))
        await asyncio.sleep(0)
        assert not waiting.done()
        process.communicate()
        await asyncio.wait_for(waiting, WAIT_S)
        await asyncio.wait_for(wait_for_death(process.pid), WAIT_S)

    run()


@pytest.mark.skipif(sys.platform != "linux", reason="children are listed by Linux")
def test_a_child_is_found_while_threads_come_and_go() -> None:
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    busy = [threading.Thread(target=come_and_go) for _ in range(3)]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        for thread in busy:
            thread.start()
        overlooked = sum(child.pid not in children() for _ in range(300))
        over.set()
        for thread in busy:
            thread.join()
    assert overlooked == 0


@pytest.mark.skipif(sys.platform != "linux", reason="children are listed by Linux")
def test_what_is_killed_is_dead_when_that_is_over() -> None:
    spared = children()
    begun = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(8)]
    kill_children(spared)
    assert [_state(child.pid) for child in begun] == ["Z"] * len(begun)
    for child in begun:
        child.communicate()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][:1]
