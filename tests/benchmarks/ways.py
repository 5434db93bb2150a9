"""Ways from a host's pipes to a provider's sockets: the daemon, and the floors it is compared with."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from tests.benchmarks.audio import CHUNK_TAIL, stamp
from tests.benchmarks.child import LOAD_CORE, TESTED_CORE, Child
from tests.benchmarks.peer import Part

CONNECT_AT_ONCE = 8


class Way(Protocol):
    """Carries the audio of several sessions."""

    child: Child

    def append(self, session: int, number: int) -> bytes:
        """The line that sends 20 ms of audio."""

    def ask(self, session: int) -> bytes:
        """The line that asks for a response."""

    def delta(self, line: bytes) -> tuple[int, int] | None:
        """The session, and where the base64 begins, of a line with audio; None of any other line."""


def ask(way: Way, deltas: int) -> asyncio.Event:
    """Ask for a response of the first session; set when so many deltas of audio came."""
    seen = 0
    over = asyncio.Event()

    def heard(line: bytes) -> None:
        nonlocal seen
        seen += way.delta(line) is not None
        if seen == deltas:
            over.set()

    way.child.on_line = heard
    way.child.send(way.ask(0))
    return over


@asynccontextmanager
async def peer(part: Part) -> AsyncIterator[tuple[str, Child]]:
    """The provider's end: its URL, and the process."""
    child = await Child.spawn("-m", "tests.benchmarks.peer", json.dumps(part._asdict()), core=LOAD_CORE)
    port = int((await child.until(b"port")).split()[1])
    yield f"ws://127.0.0.1:{port}/v1/realtime", child
    await child.close()


class Relay:
    """The bare relay."""

    def __init__(self, child: Child) -> None:
        self.child = child

    def append(self, session: int, number: int) -> bytes:
        """Of `Way`."""
        head = b'%d {"type":"input_audio_buffer.append","audio":"' % session
        return b'%b%b%b"}' % (head, stamp(number), CHUNK_TAIL)

    def ask(self, session: int) -> bytes:
        """Of `Way`."""
        return b'%d {"type":"response.create"}' % session

    def delta(self, line: bytes) -> tuple[int, int] | None:
        """Of `Way`."""
        at = line.find(b'"delta":"', 0, 400)
        return None if at < 0 else (int(line[: line.index(b" ")]), at + 9)


class Daemon:
    """`omnirt serve`, or the naive daemon, which speaks the same methods as far as these go.

    Args:
        child: The process.
        requests: Whether audio goes up in requests, which are answered, or in notifications.
    """

    def __init__(self, child: Child, *, requests: bool = False) -> None:
        self.child = child
        self._id = b'"id":1,' if requests else b""

    def append(self, session: int, number: int) -> bytes:
        """Of `Way`."""
        return (
            b'{"jsonrpc":"2.0",%b"method":"session.sendAudio","params":{"sessionId":"%d","audio":"%b%b"}}'
        ) % (self._id, session, stamp(number), CHUNK_TAIL)

    def ask(self, session: int) -> bytes:
        """Of `Way`."""
        return b'{"jsonrpc":"2.0","method":"session.respond","params":{"sessionId":"%d"}}' % session

    def delta(self, line: bytes) -> tuple[int, int] | None:
        """Of `Way`."""
        if b'"realtime.audio"' not in line[:200]:
            return None
        session = line.index(b'"sessionId":') + 12
        begin = line.index(b'"', session) + 1
        audio = line.index(b'"', line.index(b'"audio":') + 8) + 1
        return int(line[begin : line.index(b'"', begin)]), audio

    def notify(self, method: str, **params: object) -> None:
        """One notification."""
        self.child.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode())

    async def request(self, method: str, **params: object) -> dict[str, Any]:
        """One request, and its reply; the result must be there."""
        message = {"jsonrpc": "2.0", "id": "bench", "method": method, "params": params}
        self.child.send(json.dumps(message).encode())
        reply: dict[str, Any] = json.loads(await self.child.until(b'"bench"'))
        if "result" not in reply:
            raise RuntimeError(f"{method}: {reply}")
        result: dict[str, Any] = reply["result"]
        return result


@asynccontextmanager
async def relay(url: str, sessions: int) -> AsyncIterator[Relay]:
    """The bare relay, connected."""
    child = await Child.spawn("-m", "tests.benchmarks.relay", url, str(sessions), core=TESTED_CORE)
    for _ in range(sessions):
        await child.until(b"session.created")
    for session in range(sessions):
        child.send(b'%d {"type":"session.update","session":{}}' % session)
    for _ in range(sessions):
        await child.until(b"session.updated")
    yield Relay(child)
    await child.close()


@asynccontextmanager
async def daemon(
    url: str,
    sessions: int,
    *,
    requests: bool = False,
    record: str = "assistant",
    module: tuple[str, ...] = ("-m", "omnirt"),
    core: int | None = TESTED_CORE,
) -> AsyncIterator[Daemon]:
    """`omnirt serve` with its sessions, recording the assistant as it does by default."""
    with tempfile.TemporaryDirectory() as folder:
        child = await Child.spawn(*module, "serve", "--data-dir", folder, core=core)
        way = Daemon(child, requests=requests)
        for session in range(sessions):
            await start(way, str(session), url, record=record)
        yield way
        await child.close()


async def start(way: Daemon, session_id: str, url: str, *, record: str = "assistant") -> None:
    """One more session."""
    await way.request(
        "session.start",
        sessionId=session_id,
        agent={"name": "a"},
        settings={"provider": "compatible", "openai_realtime_url": url, "api_key": "bench-key"},
        realtime={"turn_detection": None},
        record=record,
    )


@asynccontextmanager
async def naive(
    url: str, sessions: int, *, requests: bool = True, store: bool = False
) -> AsyncIterator[Daemon]:
    """The naive daemon with its sessions."""
    argv = ["-m", "tests.benchmarks.naive", *(["store"] if store else [])]
    child = await Child.spawn(*argv, core=TESTED_CORE, stderr=subprocess.DEVNULL)
    way = Daemon(child, requests=requests)
    for session in range(sessions):
        await way.request("session.start", sessionId=str(session), url=url)
    yield way
    await child.close()
