"""A chat, transcription and speech service over real HTTP, which does wrong what the test says.

No part of ours answers: it is plain HTTP/1.1 with chunked events, as Ollama, llama.cpp and vLLM send them.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Answer:
    """One answer: events of a stream, or a body with its status, and how it ends."""

    events: Sequence[object] = ()
    status: int = 200
    body: bytes = b""
    kind: str = "text/event-stream"
    then: Literal["end", "stall", "drop"] = "end"


@dataclass
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass
class ChatService:
    """A running service."""

    url: str
    answers: deque[Answer] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def will(self, *answers: Answer) -> None:
        """The next answers, in order."""
        self.answers.extend(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self._connections.add(writer)
        try:
            self.asked.append(await _request(reader))
            await self._answer(writer, self.answers.popleft())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client that has heard enough
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        head = f"HTTP/1.1 {answer.status} Status\r\nContent-Type: {answer.kind}\r\nConnection: close\r\n"
        if not answer.events and answer.then == "end":
            writer.write(f"{head}Content-Length: {len(answer.body)}\r\n\r\n".encode() + answer.body)
            await writer.drain()
            return
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for event in answer.events:
            text = event if isinstance(event, str) else json.dumps(event)
            data = f"data: {text}\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
        if answer.then == "stall":
            await self._over.wait()
        elif answer.then == "end":
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    def end(self) -> None:
        """Whoever waits gives up."""
        self._over.set()
        for writer in self._connections:
            writer.transport.abort()


@asynccontextmanager
async def chat_service() -> AsyncIterator[ChatService]:
    """A service on a port of its own."""
    service = ChatService("")
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield service
    finally:
        service.end()
        server.close()


async def _request(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(first.split()[1], headers, body)


def delta(finish: str | None = None, **members: Any) -> dict[str, Any]:
    """A chunk as llama.cpp and vLLM send it."""
    choice = {"index": 0, "delta": members, "finish_reason": finish, "logprobs": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }


def writes(*texts: str, finish: str = "stop") -> Answer:
    """A written answer, piece by piece, with the usage that some services send behind it."""
    usage = {
        **delta(),
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    pieces = [delta(role="assistant", content=""), *(delta(content=text) for text in texts)]
    return Answer([*pieces, delta(finish), usage, "[DONE]"])


def calls(name: str, arguments: str) -> Answer:
    """A tool call in pieces, as vLLM sends it."""
    head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
    half = len(arguments) // 2
    pieces = [{"index": 0, "function": {"arguments": part}} for part in (arguments[:half], arguments[half:])]
    return Answer([*(delta(tool_calls=[piece]) for piece in (head, *pieces)), delta("tool_calls"), "[DONE]"])


def calls_at_once(name: str, arguments: str) -> Answer:
    """A tool call in one piece, as Ollama sends it."""
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    return Answer([delta(role="assistant", content="", tool_calls=[call]), delta("tool_calls"), "[DONE]"])


def refuses(status: int, message: str) -> Answer:
    """An error in place of an answer."""
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
    return Answer(status=status, body=body, kind="application/json")


def fails_midway(text: str) -> Answer:
    """An error event in the midst of an answer."""
    return Answer([delta(content=text), {"error": {"message": "out of memory", "type": "server_error"}}])


def stalls_after(text: str) -> Answer:
    """Silence in the midst of an answer."""
    return Answer([delta(content=text)], then="stall")


def drops_after(text: str) -> Answer:
    """The end of the connection in the midst of an answer."""
    return Answer([delta(content=text)], then="drop")
