"""What of the agent's audio was generated, sent and heard: by the host's reports, else by the clock.

No I/O and no clock of its own: every method takes `now` in seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

LOOK_AGAIN_S = 0.05
MAX_PARTS = 128
"""Finished parts beyond this are forgotten, the oldest first: memory is bounded, and an interrupt quick."""


@dataclass
class Part:
    """The audio of one content part of one item. Times in ms, `anchor_s` in seconds."""

    item_id: str
    content_index: int
    response_id: str
    number: int = 0
    """In the order of the first audio."""
    generated_bytes: int = 0
    generated_ms: int = 0
    reported_ms: int | None = None
    anchor_s: float = 0.0
    anchor_ms: float = 0.0
    arrived_s: float = 0.0
    played_s: float = 0.0
    """When it began to play, or is to."""
    cut: bool = False
    ended: bool = False
    complete: bool = False
    """Whether all of it was generated: its audio ended by itself."""
    heard_ms: int | None = None
    """How much of it was heard, once that is known for good."""

    @property
    def key(self) -> tuple[str, int]:
        """(item id, content index)."""
        return self.item_id, self.content_index

    def clock_ms(self, now: float) -> float:
        """How far a player that plays at once, without a break, would be."""
        return min(float(self.generated_ms), self.anchor_ms + max(0.0, (now - self.anchor_s) * 1000))


@dataclass(frozen=True)
class Cut:
    """A part that an interrupt shortens: `heard_ms` of `generated_ms` reached the ear."""

    part: Part
    heard_ms: int
    was_playing: bool


class Playback:
    """The ledger of all audio parts of a session.

    Until the host reports a position the player is taken to play each part as it arrives, one by one;
    from the first report on only reports count, and a part before the reported one counts as heard whole.
    """

    def __init__(
        self, bytes_per_ms: int, unsent_ms: Callable[[str, int], int] = lambda _item, _index: 0
    ) -> None:
        """`unsent_ms(item_id, content_index)`: the audio that has not left the daemon, so nobody heard it."""
        self._bytes_per_ms = bytes_per_ms
        self._unsent_ms = unsent_ms
        self._parts: OrderedDict[tuple[str, int], Part] = OrderedDict()
        self._reporting: Part | None = None
        self._count = 0

    def get(self, item_id: str, content_index: int) -> Part | None:
        """The part, if it is known."""
        return self._parts.get((item_id, content_index))

    def parts(self) -> list[Part]:
        """All known parts, in the order of their first audio."""
        return list(self._parts.values())

    def generated(self, response_id: str, item_id: str, content_index: int, size: int, now: float) -> Part:
        """Count `size` bytes of new audio; a first chunk opens the part."""
        part = self._parts.get((item_id, content_index))
        if part is None:
            part = self._open(response_id, item_id, content_index, now)
        played = part.clock_ms(now)
        if played >= part.generated_ms and now > part.anchor_s:
            # The player ran dry: it goes on from here, not from where an unbroken play would be.
            part.anchor_s, part.anchor_ms = now, played
        part.generated_bytes += size
        part.generated_ms = part.generated_bytes // self._bytes_per_ms
        return part

    def report(self, item_id: str, content_index: int, played_ms: int, now: float) -> None:
        """Take a position from the host, clamped to what was sent; ignored for a part that is cut."""
        part = self._parts.get((item_id, content_index))
        if part is None or part.cut:
            return
        played_ms = max(0, min(played_ms, part.generated_ms))
        if not part.reported_ms:
            part.played_s = max(part.arrived_s, now - played_ms / 1000)
        part.reported_ms = played_ms
        self._reporting = part

    @property
    def reporting(self) -> bool:
        """Whether the host has told a position: from then on the clock does not count."""
        return self._reporting is not None

    def unsettled(self) -> list[Part]:
        """The parts of which it is not known yet how much was heard."""
        return [part for part in self._parts.values() if part.heard_ms is None]

    def deadline(self, now: float) -> float | None:
        """When a part may have played to its end by the clock, unless something happens before."""
        if self._reporting is not None:
            return None
        ends = [_end_of(part) for part in self.unsettled() if part.ended]
        # Audio that has not left the daemon holds the end up: it is looked at again and again.
        return max(min(ends) + LOOK_AGAIN_S, now + LOOK_AGAIN_S) if ends else None

    def heard_ms(self, part: Part, now: float) -> int:
        """How much of a part was heard, at most what was sent to the host."""
        return max(0, min(self._position_ms(part, now), self._sent_ms(part)))

    def _sent_ms(self, part: Part) -> int:
        return part.generated_ms - self._unsent_ms(part.item_id, part.content_index)

    def _position_ms(self, part: Part, now: float) -> int:
        if self._reporting is None:
            return int(part.clock_ms(now))
        if part.number < self._reporting.number:
            return part.generated_ms
        return part.reported_ms or 0

    def is_open(self, part: Part, now: float) -> bool:
        """Whether there is something to cut: audio that was not heard, or that is still to be generated."""
        if part.cut:
            return False
        grows = not part.ended and part.number == self._count
        return grows or self.heard_ms(part, now) < part.generated_ms

    def cut(self, now: float) -> list[Cut]:
        """Cut every part that is open, in order; the first of them is the one that was playing."""
        cuts: list[Cut] = []
        for part in self._parts.values():
            if self.is_open(part, now):
                heard = self.heard_ms(part, now)
                # What never left the daemon cannot have begun to play.
                cuts.append(Cut(part, heard, was_playing=not cuts and self._sent_ms(part) > 0))
        for entry in cuts:
            entry.part.cut = True
        return cuts

    def _open(self, response_id: str, item_id: str, content_index: int, now: float) -> Part:
        starts_at = now
        last = next(reversed(self._parts.values()), None)
        if last is not None and not last.cut:
            left = last.generated_ms - last.clock_ms(now)
            # A part that queues behind another begins when that one is through.
            starts_at = now + left / 1000 if last.anchor_s <= now else _end_of(last)
        part = Part(
            item_id, content_index, response_id, anchor_s=starts_at, arrived_s=now, played_s=starts_at
        )
        self._count += 1
        part.number = self._count
        self._parts[part.key] = part
        self._forget()
        return part

    def _forget(self) -> None:
        while len(self._parts) > MAX_PARTS:
            key, part = next(iter(self._parts.items()))
            if not (part.ended or part.cut):
                return
            del self._parts[key]


def _end_of(part: Part) -> float:
    return part.anchor_s + (part.generated_ms - part.anchor_ms) / 1000
