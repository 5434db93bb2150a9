"""The host as the application sees it: what it can do, where its events go, what it can be asked."""

from __future__ import annotations

from msgspec import Struct

from omnirt.rpc.calls import HostCalls
from omnirt.rpc.lane import Lane
from omnirt.rpc.lanes import OutputQueue
from omnirt.rpc.lifecycle import Lifecycle
from omnirt.rpc.requests import Flights


class RemoteHost:
    """The host of one connection, before and after it said who it is."""

    def __init__(self, queue: OutputQueue, lifecycle: Lifecycle, calls: HostCalls, flights: Flights) -> None:
        self._queue = queue
        self._lifecycle = lifecycle
        self._calls = calls
        self._flights = flights

    @property
    def answers_tools(self) -> bool:
        """Whether it said that it answers `tool.call`."""
        return bool(self._lifecycle.host.tools)

    @property
    def answers_approvals(self) -> bool:
        """Whether it said that it answers `tool.approve`."""
        return bool(self._lifecycle.host.approvals)

    async def call(self, method: str, params: Struct, timeout_s: float) -> Struct:
        """Asks the host; see `HostCalls.call`."""
        return await self._calls.call(method, params, timeout_s)

    def open_lane(self, *, audio_stored: bool = True) -> Lane:
        """Where the events of one run go; see `OutputQueue.open_lane`."""
        return self._queue.open_lane(audio_stored=audio_stored)

    def log_message(self, level: str, message: str) -> None:
        """Tells the user something."""
        self._queue.log_message(level, message)

    def queues(self) -> dict[str, int]:
        """What waits, by name."""
        return {
            "requests": len(self._flights),
            "calls": len(self._calls),
            "replyBytes": self._queue.priority_bytes,
            "notificationBytes": self._queue.lane_bytes,
        }

    @property
    def dropped_audio_ms(self) -> int:
        """Audio that the host was too slow to take, in all."""
        return self._queue.dropped_audio_ms
