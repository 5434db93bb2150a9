"""Calls of the daemon that the host has not answered yet: ids, answers, failures. Sans-IO."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

from omnirt.protocol import jsonrpc

MAX_PENDING_CALLS = 1024

Waiter = TypeVar("Waiter")


class CallFailed(Exception):
    """A call to the host brought no result.

    Attributes:
        reason: `error`: the host answered with an error; `invalid`: with something that does not fit;
            `timeout`: not in time; `host_gone`: it never will; `overloaded`: too many calls wait already.
        message: For people, and for the model.
        code: The host's error code.
    """

    Reason = Literal["error", "invalid", "timeout", "host_gone", "overloaded"]

    def __init__(self, reason: Reason, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.reason: CallFailed.Reason = reason
        self.message = message
        self.code = code


class _HostError(msgspec.Struct):
    code: int | None = None
    message: str = "The host answered with an error."


class PendingCalls(Generic[Waiter]):
    """Gives out the ids `"omnirt-1"`, `"omnirt-2"`, … and keeps who waits for each."""

    def __init__(self) -> None:
        self._waiters: dict[object, Waiter] = {}
        self._count = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiters)

    def open(self, waiter: Waiter) -> bytes:
        """The id (raw JSON) of a new call.

        Raises:
            CallFailed: `host_gone` after `close_all`, `overloaded` when too many wait.
        """
        if self._closed:
            raise CallFailed("host_gone", "The host has gone.")
        if len(self._waiters) >= MAX_PENDING_CALLS:
            raise CallFailed("overloaded", "Too many calls wait for the host.")
        self._count += 1
        raw = b'"omnirt-%d"' % self._count
        self._waiters[jsonrpc.id_key(raw)] = waiter
        return raw

    def take(self, raw_id: bytes) -> Waiter | None:
        """Who waits for this id, and no longer does; None for an answer that is late or to nothing."""
        return self._waiters.pop(jsonrpc.id_key(raw_id), None)

    def close_all(self) -> list[Waiter]:
        """Everyone who waits; no call can be opened after it."""
        self._closed = True
        waiters = list(self._waiters.values())
        self._waiters.clear()
        return waiters


def outcome(response: jsonrpc.Response) -> bytes | CallFailed:
    """The raw result of an answer, or the failure that it means. An `error` beside a `result` wins."""
    if response.error is not None:
        try:
            error = msgspec.json.decode(response.error, type=_HostError)
        except (msgspec.ValidationError, RecursionError):
            error = _HostError()
        return CallFailed("error", error.message, error.code)
    if response.result is None:
        return CallFailed("invalid", "The host's answer has no result.")
    return response.result
