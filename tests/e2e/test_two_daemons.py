"""Two daemons in one process, with sessions in both at the same time: neither knows of the other."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnirt.daemon.serving import Daemon
from omnirt.settings import ServeSettings
from tests.support.checker import check
from tests.support.daemon import driven
from tests.support.host import start_params

LINE_BYTES = 1 << 24


class End:
    """A host at the other end of a daemon in this process."""

    def __init__(self, daemon: asyncio.Task[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.daemon = daemon
        self._reader = reader
        self._writer = writer
        self.seen: list[dict[str, Any]] = []
        self.sent: dict[object, dict[str, Any]] = {}

    @classmethod
    async def open(cls, data_dir: Path) -> End:
        ours, theirs = socket.socketpair()
        fd_in = theirs.detach()
        daemon = Daemon(ServeSettings(data_dir=data_dir), fd_in, os.dup(fd_in))
        running = asyncio.create_task(daemon.run())
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES)
        return cls(running, reader, writer)

    def tell(self, method: str, **params: Any) -> int:
        request_id = len(self.sent)
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.sent[request_id] = message
        self._writer.write(json.dumps(message).encode() + b"\n")
        return request_id

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        request_id = self.tell(method, **params)
        while True:
            message = await self.read()
            if "method" not in message and message["id"] == request_id:
                result: dict[str, Any] = message["result"]
                return result

    async def read(self) -> dict[str, Any]:
        self.seen.append(json.loads(await self._reader.readline()))
        return self.seen[-1]

    async def finish(self) -> int:
        """Ends stdin and reads the rest."""
        self._writer.write_eof()
        while not self._reader.at_eof():
            if line := await self._reader.readline():
                self.seen.append(json.loads(line))
        self._writer.close()
        await self._writer.wait_closed()
        return await self.daemon


async def converse(end: End) -> list[str]:
    """Three turns in a session whose id is the same in both daemons."""
    said = []
    for _ in range(3):
        end.tell("session.sendText", sessionId="same", text="Hello")
        waited = await end.ask("session.wait", sessionId="same")
        said += [response["text"] for response in waited["responses"]]
    return said


@pytest.fixture(autouse=True)
def _handlers_of_others() -> Iterator[None]:
    """A daemon has the handlers of its process hide secrets; here they are pytest's, which go on."""
    before = {handler: list(handler.filters) for handler in logging.getLogger().handlers}
    yield
    for handler, filters in before.items():
        handler.filters[:] = filters


@driven
async def test_sessions_live_in_two_daemons_of_one_process_at_the_same_time(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    ends = [await End.open(tmp_path / name) for name in "ab"]
    scripts = [{"rules": [{"do": [{"text": words}]}]} for words in ("First.", "Second.")]
    starts = [
        end.ask("session.start", sessionId="same", **start_params(script=script))
        for end, script in zip(ends, scripts, strict=True)
    ]
    await asyncio.gather(*starts)
    one, other = await asyncio.gather(*(converse(end) for end in ends))
    assert (one, other) == (["First."] * 3, ["Second."] * 3)
    assert await ends[0].finish() == 0
    assert len((await ends[1].ask("session.list"))["sessions"]) == 1, "the other one goes on"
    assert await ends[1].finish() == 0
    for end in ends:
        check(end.seen, end.sent)
        assert end.seen[-1]["params"]["reason"] == "hostGone"
    assert asyncio.all_tasks() == before
