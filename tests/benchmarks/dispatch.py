"""One `session.sendAudio` of 4.8 KB from its line to the line of its reply, in this process.

Against stock jsonrpcserver, and against a bare msgspec dispatcher between the same framing and output queue.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import warnings
from collections.abc import Callable
from typing import cast

import msgspec

from omnirt.errors import OmnirtError
from omnirt.protocol.framing import FrameDecoder
from omnirt.protocol.methods import (
    InitializeParams,
    InitializeResult,
    SessionSendAudioParams,
    SessionSendAudioResult,
)
from omnirt.rpc.calls import HostCalls
from omnirt.rpc.connection import Connection
from omnirt.rpc.lanes import OutputQueue
from omnirt.rpc.lifecycle import Lifecycle
from omnirt.rpc.requests import Flights
from tests.benchmarks.table import Row, Target, against, plain

ROUNDS = 15
REPEATS = 500
AUDIO = bytes(range(256)) * 18 + bytes(192)
_ENCODED = base64.b64encode(AUDIO)
LINE = (
    b'{"jsonrpc":"2.0","id":7,"method":"session.sendAudio","params":{"sessionId":"s","audio":"%b"}}\n'
    % _ENCODED
)
One = Callable[[], bytes]


class _Nobody:
    """What a connection tells of itself, to no application behind it."""

    def notification_failed(self, method: str, params: bytes | None, error: OmnirtError) -> None:
        """No notification is sent here."""

    def warm_up(self) -> None:
        """No session is started."""

    def initialized(self, params: InitializeParams) -> None:
        """Not asked for."""

    def exiting(self) -> None:
        """Not asked for."""


def _take(context: object, params: SessionSendAudioParams) -> SessionSendAudioResult:
    return SessionSendAudioResult(accepted_ms=len(params.audio) // 48, queued_ms=0)


def between(answer: Callable[[bytes], bytes]) -> One:
    """`answer` between the framing and the output queue of the daemon, which are no part of a dispatch."""
    queue = OutputQueue(1 << 20, overrun=lambda: None)
    framing = FrameDecoder()

    def one() -> bytes:
        for line in framing.feed(LINE):
            queue.put(answer(cast("bytes", line)))
        queue.framing = framing.framing
        return _taken(queue)

    return one


def _taken(queue: OutputQueue) -> bytes:
    frames = queue.take(1 << 16)
    queue.sent(len(frames))
    return frames[0]


def ours() -> One:
    """The daemon's own path: framing, envelope, jsonrpcserver, output queue. To be called in a loop."""
    queue = OutputQueue(1 << 20, overrun=lambda: None)
    # The offer is the answer to `initialize`, which nobody sends.
    lifecycle = Lifecycle(cast("InitializeResult", None), _Nobody())
    handlers = {"session.sendAudio": _take}
    parts = (_Nobody(), lambda: handlers, queue, lifecycle, Flights(), HostCalls(queue))
    connection = Connection(*parts, loaded=lambda: None, framing="auto", max_message_bytes=1 << 24)
    connection.loader.dispatcher = connection.loader.load()

    def one() -> bytes:
        connection.receive(LINE)
        return _taken(queue)

    return one


class _Envelope(msgspec.Struct):
    id: msgspec.Raw
    method: str
    params: msgspec.Raw


def bare() -> One:
    """What cannot be left out: two decoders, a dictionary, an encoder."""
    envelope = msgspec.json.Decoder(_Envelope).decode
    params = msgspec.json.Decoder(SessionSendAudioParams).decode
    encode = msgspec.json.Encoder().encode
    methods = {"session.sendAudio": (params, _take)}

    def answer(line: bytes) -> bytes:
        request = envelope(line)
        decode, handler = methods[request.method]
        result = encode(handler(None, decode(request.params)))
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (bytes(request.id), result)

    return between(answer)


def stock() -> One:
    """jsonrpcserver as its manual shows it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jsonrpcserver import Result, Success, dispatch

    def send_audio(sessionId: str, audio: str) -> Result:
        return Success({"acceptedMs": len(base64.b64decode(audio)) // 48, "queuedMs": 0})

    methods = {"session.sendAudio": send_audio}
    return between(lambda line: dispatch(line.decode(), methods=methods).encode())


def measure(rounds: int, repeats: int) -> dict[str, list[float]]:
    """µs of CPU time of one, by way and round."""
    found: dict[str, list[float]] = {"bare": [], "stock": [], "ours": []}

    def timed(name: str, one: One, count: int) -> None:
        began = time.process_time_ns()
        for _ in range(count):
            one()
        found[name].append((time.process_time_ns() - began) / count / 1000)

    async def all_three() -> None:
        ways = {"bare": bare(), "ours": ours(), "stock": stock()}
        assert ways["ours"]() == ways["bare"]()
        assert json.loads(ways["ours"]()) == json.loads(ways["stock"]())
        for name, one in ways.items():
            timed(name, one, repeats // 5 if name == "stock" else repeats)

    for _ in range(rounds):
        asyncio.run(all_three())
    return found


def rows() -> list[Row]:
    """The three, in turn."""
    found = measure(ROUNDS, REPEATS)
    return [
        plain("bare msgspec dispatcher", found["bare"], "µs"),
        plain("stock jsonrpcserver", found["stock"], "µs"),
        against("omnirt", found["ours"], "µs", found["bare"], "bare", Target(2)),
        against("omnirt", found["ours"], "µs", found["stock"], "stock", Target(10, at_least=True)),
    ]
