"""A network for tests: certificates of a test authority, a recording front before a server, and proxies.

All of it real and on the loopback interface: the names of providers lead here by way of the proxies.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

WAIT_S = 20.0
"""Every connection ends by then; only ever used up by a failure."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Head:
    """The head of an HTTP request, as it arrived."""

    line: str
    headers: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        """Path and query, or host and port."""
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        """The values of a header, its name in any case."""
        return [value for known, value in self.headers if known.lower() == name.lower()]


@dataclass
class Recorder:
    """What the servers here have in common: the heads of all that was asked, and where they listen."""

    port: int = 0
    heads: list[Head] = field(default_factory=list)
    answer: bytes | None = None
    """What every request gets in place of being passed on."""


class Authority:
    """A certificate authority that nobody knows but who is told of its file."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def context(self, *names: str) -> ssl.SSLContext:
        """For a server of these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context


@asynccontextmanager
async def front(to_port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Recorder]:
    """A server that records the head of each request and passes everything on to another one."""
    recorder = Recorder()

    async def serve(client: Streams, head: Head, raw: bytes) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", to_port)
        upstream[1].write(raw)
        await _relay(client, upstream)

    async with _listening(recorder, serve, tls):
        yield recorder


@asynccontextmanager
async def connect_proxy(
    routes: Mapping[str, int], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Recorder]:
    """An HTTP proxy that knows the ports of some hosts, and of no other."""
    recorder = Recorder()

    async def serve(client: Streams, head: Head, raw: bytes) -> None:
        port = routes.get(head.target.rpartition(":")[0])
        if not head.line.startswith("CONNECT ") or port is None:
            client[1].write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        upstream = await asyncio.open_connection("127.0.0.1", port)
        client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _relay(client, upstream)

    async with _listening(recorder, serve, tls):
        yield recorder


@asynccontextmanager
async def socks_proxy(routes: Mapping[str, int]) -> AsyncIterator[Recorder]:
    """A SOCKS5 proxy without authentication, as in RFC 1928; `heads` has the hosts that were asked for."""
    recorder = Recorder()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(WAIT_S):
            _, methods = await reader.readexactly(2)
            await reader.readexactly(methods)
            writer.write(b"\x05\x00")
            assert (await reader.readexactly(4))[3] == 3, "a host name, for the proxy to find"
            name = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            await reader.readexactly(2)
            recorder.heads.append(Head(f"SOCKS {name}", ()))
            upstream = await asyncio.open_connection("127.0.0.1", routes[name])
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
            await _relay((reader, writer), upstream)

    async with _serving(recorder, accept, None):
        yield recorder


_Serve = Callable[[Streams, Head, bytes], Awaitable[None]]


def _listening(
    recorder: Recorder, serve: _Serve, tls: ssl.SSLContext | None
) -> AbstractAsyncContextManager[None]:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(WAIT_S):
            raw = await reader.readuntil(b"\r\n\r\n")
            line, *rest = raw.decode("latin-1").strip().split("\r\n")
            pairs = [text.partition(":") for text in rest]
            head = Head(line, tuple((name, value.strip()) for name, _, value in pairs))
            recorder.heads.append(head)
            if recorder.answer is not None:
                writer.write(recorder.answer)
            else:
                await serve((reader, writer), head, raw)

    return _serving(recorder, accept, tls)


@asynccontextmanager
async def _serving(recorder: Recorder, accept: _Accept, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await accept(reader, writer)
            await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass  # by the test, or by the client
        finally:
            tasks.discard(task)
            writer.close()

    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        stack.callback(server.close)
        recorder.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            for task in list(tasks):
                task.cancel()


async def _relay(one: Streams, other: Streams) -> None:
    """Carries bytes both ways until either side ends."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    both = [asyncio.create_task(carry(one[0], other[1])), asyncio.create_task(carry(other[0], one[1]))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        other[1].close()
