"""The host's death is seen, with and without the system's help."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from omnirt.daemon.family import wait_for_death
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
