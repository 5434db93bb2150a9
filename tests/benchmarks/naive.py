"""The daemon that one writes first: stock jsonrpcserver, json, `anyio.wrap_file`, no batching anywhere.

With `store` as its argument it also does what comes to mind for recording: one file and one commit per chunk.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import anyio
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from jsonrpcserver import Result, Success, async_dispatch


class Naive:
    """Its methods, and the tasks that print events."""

    def __init__(self, group: anyio.abc.TaskGroup, folder: Path | None) -> None:
        self._group = group
        self._sessions: dict[str, RealtimeSession] = {}
        self._out = anyio.wrap_file(sys.stdout.buffer)
        self._lock = anyio.Lock()
        self._folder = folder
        self._count = 0
        self._database = None if folder is None else sqlite3.connect(folder / "chunks.db")
        if self._database is not None:
            self._database.execute("CREATE TABLE chunks (session TEXT, path TEXT)")

    async def start(self, sessionId: str, url: str) -> Result:
        """`session.start`."""
        runner = RealtimeRunner(RealtimeAgent(name="a"), config={"tracing_disabled": True})
        session = await runner.run(model_config={"url": url, "headers": {}})
        self._sessions[sessionId] = await session.enter()
        self._group.start_soon(self._events, sessionId, session)
        return Success({"sessionId": sessionId})

    async def send_audio(self, sessionId: str, audio: str) -> Result:
        """`session.sendAudio`."""
        data = base64.b64decode(audio)
        self._store(sessionId, data)
        await self._sessions[sessionId].send_audio(data)
        return Success({"acceptedMs": len(data) // 48})

    async def respond(self, sessionId: str) -> Result:
        """`session.respond`."""
        await self._sessions[sessionId].model._websocket.send('{"type":"response.create"}')  # type: ignore[attr-defined] # as in sdk_alone
        return Success({})

    async def serve(self) -> None:
        """Read and answer until stdin ends."""
        methods: dict[str, Any] = {
            "session.start": self.start,
            "session.sendAudio": self.send_audio,
            "session.respond": self.respond,
        }
        async for line in anyio.wrap_file(sys.stdin.buffer):
            reply = await async_dispatch(line.decode(), methods=methods)
            if reply:
                await self._write(reply)

    async def _events(self, session_id: str, session: RealtimeSession) -> None:
        async for event in session:
            if event.type == "audio":
                self._store(session_id, event.audio.data)
                audio = base64.b64encode(event.audio.data).decode()
                params = {"sessionId": session_id, "itemId": event.item_id, "audio": audio}
                await self._write(
                    json.dumps({"jsonrpc": "2.0", "method": "realtime.audio", "params": params})
                )

    async def _write(self, text: str) -> None:
        async with self._lock:
            await self._out.write(text.encode() + b"\n")
            await self._out.flush()

    def _store(self, session_id: str, data: bytes) -> None:
        if self._folder is None or self._database is None:
            return
        self._count += 1
        path = self._folder / f"{self._count}.pcm"
        path.write_bytes(data)
        self._database.execute("INSERT INTO chunks VALUES (?, ?)", (session_id, str(path)))
        self._database.commit()


async def main(store: bool) -> None:
    """Serve, recording or not."""
    with tempfile.TemporaryDirectory() as folder:
        async with anyio.create_task_group() as group:
            await Naive(group, Path(folder) if store else None).serve()
            group.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1:] == ["store"])
