"""What waits for stdout: one priority lane for replies and calls, and one lane per session, served in turn.

A session's event is encoded when it is put, and numbered (`seq`) when it leaves, so that what is dropped on
the way leaves no hole. Bounds: audio beyond `limit_bytes` over all lanes is dropped, in a lane with more than
its share, and told by one `realtime.flow` in its place. All else goes, up to `HARD_FACTOR` times that, where
the host is given up. For replies the connection keeps the bound: it stops reading while too many wait (see
`relieved`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from omnirt.protocol import jsonrpc
from omnirt.protocol.events import LogMessage
from omnirt.protocol.framing import Framing, encode_frame
from omnirt.rpc.entry import Entry
from omnirt.rpc.lane import Lane

DEFAULT_LIMIT_BYTES = 32 * 1024 * 1024
HARD_FACTOR = 4
"""How far events that are no audio may go beyond the limit before the host counts as gone."""


class OutputQueue:
    """The lanes, and the one place where frames are taken from them (`stdio.Source`).

    Args:
        limit_bytes: `limits.outputQueueBytes`.
        overrun: Called once when the host reads so little that it is given up.
    """

    def __init__(self, limit_bytes: int, overrun: Callable[[], None]) -> None:
        self.limit_bytes = limit_bytes
        self.framing: Framing | None = None
        self.opted_out: frozenset[str] = frozenset()
        self.wake: Callable[[], None] = lambda: None
        self.dropped_audio_ms = 0
        self.lane_bytes = 0
        self.priority_bytes = 0
        self._overrun = overrun
        self.closed = False
        self._priority: deque[bytes] = deque()
        self._lanes: set[Lane] = set()
        self._turns: deque[Lane] = deque()
        self._taken: list[tuple[Lane, Entry] | bytes] = []
        self._relief: tuple[int, Callable[[], None]] | None = None

    @property
    def open_lanes(self) -> int:
        """How many sessions share the limit."""
        return len(self._lanes)

    def make_room(self, lane: Lane, size: int) -> bool:
        """Whether audio of `size` bytes may be put, the limit being reached.

        It may where `lane` stays within its share: who has most gives up audio for it.
        """
        wanted = lane.queued_bytes() + size
        while self.lane_bytes + size > self.limit_bytes:
            if wanted > self.limit_bytes // max(1, len(self._lanes)):
                return False
            others = (other for other in self._lanes if other.has_audio)
            greediest = max(others, key=Lane.queued_bytes, default=lane)
            if greediest.queued_bytes() <= wanted:
                return False
            greediest.shed()
        return True

    def put(self, payload: bytes) -> None:
        """Queues a reply, a call or a message of no session: it overtakes all lanes."""
        if self.closed:
            return
        self._priority.append(payload)
        self.priority_bytes += len(payload)
        self.wake()

    def log_message(self, level: str, message: str) -> None:
        """Tells the user something, unless the host opted out."""
        if LogMessage.METHOD not in self.opted_out:
            body = jsonrpc.encode({"level": level, "message": message})
            self.put(jsonrpc.encode_notification(LogMessage.METHOD, body))

    def open_lane(self, *, audio_stored: bool = True) -> Lane:
        """A lane for one run of a session, held until `Lane.release`.

        Args:
            audio_stored: Whether audio that is dropped here is kept in storage (`realtime.flow` says so).
        """
        lane = Lane(self, audio_stored=audio_stored)
        self._lanes.add(lane)
        return lane

    def relieved(self, below: int, callback: Callable[[], None]) -> None:
        """Calls back, once, when less than `below` bytes of replies wait."""
        self._relief = (below, callback)

    def take(self, limit: int) -> list[bytes]:
        """Frames for one write: replies and calls first, then one event of each lane in turn."""
        framing = self.framing
        if framing is None:  # nothing is written before the first message
            return []
        frames: list[bytes] = []
        size = 0
        while size < limit:
            if self._priority:
                payload = self._priority.popleft()
                self._taken.append(payload)
            elif self._turns:
                lane = self._turns.popleft()
                lane.has_turn = False
                entry, payload = lane.take()
                self._taken.append((lane, entry))
                if lane.waiting:
                    self.give_turn(lane)
            else:
                break
            frames.append(encode_frame(framing, payload))
            size += len(frames[-1])
        return frames

    def sent(self, count: int) -> None:
        """Settles the last `take`: the first `count` frames have left, the others wait on where they were."""
        for unsent in reversed(self._taken[count:]):
            if isinstance(unsent, bytes):
                self._priority.appendleft(unsent)
            else:
                lane, entry = unsent
                lane.give_back(entry)
                self.give_turn(lane)
        for left in self._taken[:count]:
            if isinstance(left, bytes):
                self.priority_bytes -= len(left)
            else:
                left[0].left(left[1])
        self._taken.clear()
        if self._relief is not None and self.priority_bytes < self._relief[0]:
            callback = self._relief[1]
            self._relief = None
            callback()

    def abandon(self) -> None:
        """Nobody reads any more: everything is forgotten, and what comes is not taken."""
        self.closed = True
        self.sent(0)
        self._priority.clear()
        self.priority_bytes = 0
        for lane in list(self._lanes):
            lane.abandon()
        if self._relief is not None:
            callback = self._relief[1]
            self._relief = None
            callback()

    def give_turn(self, lane: Lane) -> None:
        """`lane` has something to send."""
        if not lane.has_turn:
            lane.has_turn = True
            self._turns.append(lane)

    def take_turn(self, lane: Lane) -> None:
        """`lane` has nothing to send any more."""
        if lane.has_turn:
            lane.has_turn = False
            self._turns.remove(lane)

    def grew(self, size: int) -> None:
        """A lane took `size` bytes more (or fewer)."""
        self.lane_bytes += size
        if size > 0:
            self._check_hard_limit()

    def forget(self, lane: Lane) -> None:
        """`lane` is closed and empty."""
        self._lanes.discard(lane)

    def _check_hard_limit(self) -> None:
        if self.lane_bytes > HARD_FACTOR * self.limit_bytes and not self.closed:
            self.closed = True
            self._overrun()
