"""One run's side of the storage: what the session layer hands over, without ever waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from omnirt.errors import OmnirtError
from omnirt.protocol.types import Event, Item, Usage
from omnirt.storage import rows, telling
from omnirt.storage.database import Row
from omnirt.storage.disk import Disk
from omnirt.storage.parts import Part, Run
from omnirt.storage.records import AudioFile, Heard, Side, StorageProblem
from omnirt.storage.writer import EndPart, Writer

# For what was handed over to reach the disk at the end of a run.
FINISH_TIMEOUT_S = 5.0
# Host audio that comes this much later than where the audio before it ended begins a stretch of its own. Less
# is the jitter of a busy machine.
STRETCH_GAP_MS = 500


class RunRecorder:
    """Records one run. Made by `AudioStorage.start_run`.

    All that is not `async` hands over and returns at once; call it from the loop's thread. Nothing here
    raises because of the disk: what can't be stored is told to the storage's `on_problem`.
    """

    def __init__(
        self, run: Run, disk: Disk, writer: Writer, on_problem: Callable[[StorageProblem], None]
    ) -> None:
        self._run = run
        self._disk = disk
        self._writer = writer
        self._on_problem = on_problem
        self._parts: dict[tuple[Side, str, int], Part] = {}
        self._positions: dict[str, int] = {}
        self._told = 0
        self._dropping: set[Part] = set()
        self._stretch: Part | None = None
        self._stretches = 0
        self._warned = False
        self._ended: asyncio.Future[None] | None = None
        self.keeps_host = run.info.record == "both"
        """Whether the host's audio is stored."""

    def audio(self, item_id: str, content_index: int, data: bytes, at_ms: int) -> Path | None:
        """Store a chunk of assistant audio, as it was generated.

        Args:
            item_id: The item; any string.
            content_index: The content part of it.
            data: Audio in the run's output format. Chunks may end anywhere, inside a sample too.
            at_ms: When it came, since the run's start; the first of a part is its place in time.

        Returns:
            The file that it goes to; None when it goes nowhere.
        """
        if self._ended is not None or self._run.no_audio:
            return None
        part = self._parts.get(("assistant", item_id, content_index))
        if part is None:
            part = self._open("assistant", item_id, content_index, at_ms)
        if part.failed:
            return None
        self._take(part, data)
        return part.path

    def host_audio(self, data: bytes, at_ms: int) -> None:
        """Store a chunk of the host's audio; nothing unless the run records both sides.

        A chunk follows the one before it without a gap when it came in time, or early; otherwise a new
        stretch begins, in a file of its own, where a microphone would have heard it: its last sample when it
        came.

        Args:
            data: Audio in the run's input format.
            at_ms: When it came, since the run's start.
        """
        if self._ended is not None or self._run.no_audio or not self.keeps_host or not data:
            return
        part = self._stretch
        if part is None:
            part = self._begin_stretch(at_ms, len(data))
        elif at_ms - part.ms(len(data)) > part.end_ms + STRETCH_GAP_MS:
            self._end_part(part, None)
            part = self._begin_stretch(at_ms, len(data))
        if not part.failed:
            self._take(part, data)

    def audio_end(self, item_id: str, content_index: int, heard: Heard | None = None) -> AudioFile | None:
        """A part of the agent's audio has ended; its file is made final within milliseconds.

        It may be called again when it is known how much was heard.

        Returns:
            The file; None when there is none.
        """
        part = self._parts.get(("assistant", item_id, content_index))
        if part is None:
            return None
        self._end_part(part, heard)
        return part.file()

    def item(self, item: Item) -> None:
        """Store an item, or what it has become."""
        position = self._positions.setdefault(item.item_id, len(self._positions) + 1)
        self._put(rows.item_row(self._run.info, item, position))

    def remove_item(self, item_id: str) -> None:
        """Forget an item; its audio stays."""
        self._put(rows.item_delete_row(self._run.info, item_id))

    def told(self, event: Event) -> None:
        """Store that the host is told this; its words and sound are left to `item` and `audio`."""
        kept = telling.bare(event)
        if kept is not None:
            self._told += 1
            self._put(rows.told_row(self._run.info, kept, self._told))

    def agent(self, name: str) -> None:
        """Store who answers from here on."""
        self._put(rows.agent_row(self._run.info, name))

    def usage(self, usage: Usage) -> None:
        """Store the totals of the run so far."""
        self._put(rows.usage_row(self._run.info, usage))

    def files(self) -> list[AudioFile]:
        """The files so far, in order; the last may still be on its way to the disk."""
        found = (part.file() for part in self._parts.values())
        return [file for file in found if file is not None]

    async def finish(self, reason: str, ended_at: str, duration_ms: int) -> list[AudioFile]:
        """End the run: its files are exact, its rows final, its session's lock is free.

        Takes 5 s at most, however slow the disk is. It may be called again, and be cancelled: all is done
        once, and in any case.

        Args:
            reason: Why the run ended.
            ended_at: When, RFC 3339, UTC.
            duration_ms: How long it lasted.

        Returns:
            Its files, in order.
        """
        if self._ended is None:
            for part in list(self._dropping):
                self._tell_dropped(part)
            for part in self._parts.values():
                self._writer.put_end(EndPart(part, None))
            self._put(rows.end_row(self._run.info, reason, ended_at, duration_ms))
            self._end(lambda: self._disk.end(self._run))
        await self._wait_ended()
        return self.files()

    async def discard(self) -> None:
        """Leave nothing of the run behind: for a start that failed later on. Bounded as `finish` is."""
        if self._ended is None:
            parts = list(self._parts.values())
            self._parts.clear()
            self._end(lambda: self._disk.discard(self._run, parts))
        await self._wait_ended()

    def _end(self, act: Callable[[], None]) -> None:
        try:
            self._ended = self._writer.call(act)
        except OmnirtError:  # the storage was closed, which made all final
            self._ended = asyncio.get_running_loop().create_future()
            self._ended.set_result(None)

    async def _wait_ended(self) -> None:
        assert self._ended is not None
        done, _ = await asyncio.wait([self._ended], timeout=FINISH_TIMEOUT_S)
        if not done:
            self._tell("storage_failed", "The disk is too slow: the files of this run may not be final yet.")

    def _put(self, row: Row) -> None:
        if self._ended is None and not self._writer.put_row(row):
            self._run.fail("The disk is too slow: part of the history of this run is lost.")

    def _open(self, side: Side, item_id: str, content_index: int, at_ms: int) -> Part:
        part = Part(self._run, side, item_id, content_index, len(self._parts) + 1, at_ms)
        self._parts[side, item_id, content_index] = part
        return part

    def _begin_stretch(self, at_ms: int, size: int) -> Part:
        part = self._open("host", "", self._stretches, at_ms)
        part.at_ms = max(0, at_ms - part.ms(size))
        self._stretch = part
        self._stretches += 1
        return part

    def _take(self, part: Part, data: bytes) -> None:
        if self._writer.put_audio(part, data, part.gap):
            part.taken += part.gap + len(data)
            part.gap = 0
            if part in self._dropping:
                self._tell_dropped(part)
        else:
            self._drop(part, len(data))
        if self._writer.is_behind:
            if not self._warned:
                self._warned = True
                self._tell("slow", "The disk is slower than the audio: what waits for it grows.")
        elif self._warned and self._writer.has_caught_up:
            self._warned = False

    def _end_part(self, part: Part, heard: Heard | None) -> None:
        if part in self._dropping:
            self._tell_dropped(part)
        if self._ended is None:
            self._writer.put_end(EndPart(part, heard))

    def _drop(self, part: Part, size: int) -> None:
        first = part not in self._dropping
        if first:
            self._dropping.add(part)
            part.dropping_from = part.taken + part.gap
        part.gap += size
        part.dropped += size
        if first:  # told at once, and the rest of it when it is over
            self._tell_dropped(part)
            self._dropping.add(part)

    def _tell_dropped(self, part: Part) -> None:
        self._dropping.discard(part)
        dropped_ms = part.ms(part.dropped) - part.ms(part.told)
        if dropped_ms:
            self._tell(
                "slow",
                "The disk is slower than the audio: part of it is silence in the file.",
                item_id=part.item_id or None,
                from_ms=part.ms(part.dropping_from),
                dropped_ms=dropped_ms,
            )
            part.dropping_from += part.dropped - part.told
            part.told = part.dropped

    def _tell(
        self,
        kind: Literal["storage_failed", "slow"],
        message: str,
        *,
        item_id: str | None = None,
        from_ms: int = 0,
        dropped_ms: int = 0,
    ) -> None:
        info, queued = self._run.info, self._writer.queued_bytes
        problem = StorageProblem(
            kind, message, info.session_id, info.run_id, item_id, from_ms, dropped_ms, queued
        )
        # Not from within the call that hit it: the session may be in the middle of something.
        asyncio.get_running_loop().call_soon(self._on_problem, problem)
