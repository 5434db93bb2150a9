"""Requests in flight: each is answered exactly once, whatever becomes of its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from omnirt.errors import OmnirtError
from omnirt.protocol import jsonrpc
from omnirt.rpc.boundary import Settled, encode_reply

MAX_BATCH_REPLY_BYTES = 32 * 1024 * 1024
"""A batch's replies are held until the last is there; beyond this an element is told to be sent singly."""


class ReplyTo(Protocol):
    """Where a reply goes: to the wire, or to its place in the array of a batch."""

    def __call__(self, payload: bytes, /) -> None: ...


class BatchReply:
    """The array of a batch, sent when the last of its requests is answered.

    Args:
        send: Takes the array.
        size: How many of the elements are answered.
    """

    def __init__(self, send: Callable[[bytes], None], size: int) -> None:
        self._send = send
        self._replies: list[bytes | None] = [None] * size
        self._missing = size
        self._bytes = 0
        self._next = 0

    def place(self, request_id: bytes) -> ReplyTo:
        """The place of the next element that is answered."""
        index = self._next
        self._next += 1

        def fill(payload: bytes) -> None:
            if self._bytes + len(payload) > MAX_BATCH_REPLY_BYTES:
                error = OmnirtError("overloaded", "The replies of this batch are too long; send it singly.")
                payload = jsonrpc.encode_error(request_id, error)
            self._bytes += len(payload)
            self._replies[index] = payload
            self._missing -= 1
            if not self._missing:
                self._send(b"[%b]" % b",".join(reply for reply in self._replies if reply is not None))

        return fill


class Flight:
    """One request whose handler is not done."""

    __slots__ = ("cancellable", "future", "key", "method", "reply_to", "request_id")

    def __init__(
        self,
        request_id: bytes,
        method: str,
        reply_to: ReplyTo,
        *,
        cancellable: bool,
        future: asyncio.Future[object],
    ) -> None:
        self.request_id = request_id
        self.key = jsonrpc.id_key(request_id)
        self.method = method
        self.reply_to = reply_to
        self.cancellable = cancellable
        self.future = future


class Flights:
    """All requests in flight, by id: several may have the same one, and a cancel hits them all."""

    def __init__(self) -> None:
        self._by_key: dict[object, list[Flight]] = {}
        self._count = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return self._count

    def add(self, flight: Flight) -> None:
        """Takes a request that is not answered yet."""
        self._by_key.setdefault(flight.key, []).append(flight)
        self._count += 1

    def answer(self, flight: Flight, outcome: Settled) -> bool:
        """Answers a request, unless that has been done; whether this was the answer."""
        if not self.withdraw(flight):
            return False
        flight.reply_to(encode_reply(flight.request_id, flight.method, outcome))
        return True

    def withdraw(self, flight: Flight) -> bool:
        """Takes a request out again without an answer, unless it has been answered; whether it was there."""
        same = self._by_key.get(flight.key, [])
        if flight not in same:
            return False
        same.remove(flight)
        if not same:
            del self._by_key[flight.key]
        self._count -= 1
        self._changed.set()
        return True

    def cancel(self, raw_id: bytes) -> None:
        """Answers every request of this id with `cancelled` at once, and cancels what works for it."""
        for flight in list(self._by_key.get(jsonrpc.id_key(raw_id), ())):
            self._end(flight, OmnirtError("cancelled", "The request was cancelled."))

    def refuse(self, *, cancellable_only: bool) -> None:
        """Answers with `shutting_down` what is in flight; without what must run to its end, if asked."""
        for flights in list(self._by_key.values()):
            for flight in list(flights):
                if not cancellable_only:
                    flight.cancellable = True
                self._end(flight, OmnirtError("shutting_down", "The daemon is ending."))

    async def finished(self) -> None:
        """Returns when nothing is in flight."""
        while self._count:
            self._changed.clear()
            await self._changed.wait()

    def _end(self, flight: Flight, error: OmnirtError) -> None:
        if flight.cancellable and self.answer(flight, error):
            flight.future.cancel()
