"""What the host of a stored run was told: as it was kept, or else made of items and recordings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

from msgspec import UNSET, structs

from omnirt.errors import OmnirtError
from omnirt.history.told_again import CHUNK_MS, ToldAgain
from omnirt.protocol.events import (
    RealtimeAudio,
    RealtimeAudioEnd,
    RealtimeAudioInterrupted,
    RealtimeClosed,
    RealtimeItemAdded,
    RealtimeItemUpdated,
    RealtimeResponseEnd,
    RealtimeResponseStart,
    RealtimeState,
    RealtimeTextDone,
    RealtimeTranscriptDone,
    RealtimeUsage,
)
from omnirt.protocol.stored_methods import StoredAudio, StoredItem
from omnirt.protocol.types import Event, Item
from omnirt.storage.runs import StoredRun
from omnirt.storage.sound import Recording


class Retelling:
    """One run, told again.

    Args:
        session_id: Whose.
        run: What is known of it.
        items: Of this run, in order.
        files: The same.
        told: What was kept of what its host was told; empty for a run of an early version, of which items and
            recordings are all that is known.
    """

    def __init__(
        self,
        session_id: str,
        run: StoredRun,
        items: Sequence[StoredItem],
        files: Sequence[StoredAudio],
        told: Sequence[Event] = (),
    ) -> None:
        self._told = ToldAgain(told, items, files) if told else None
        self._run = run
        self._items = items
        self._head: dict[str, Any] = {"session_id": session_id, "run_id": run.run_id}
        self._files: dict[str, list[StoredAudio]] = {}
        for file in files:
            if file.side == "assistant" and isinstance(file.item_id, str):
                self._files.setdefault(file.item_id, []).append(file)

    def events(self) -> Iterator[Event]:
        """All notifications, numbered, in the order of their time; `realtime.closed` is the last."""
        told = list(self._told.events()) if self._told is not None else self._made_up()
        end_ms = max([self._run.duration_ms, *(event.at_ms for event in told[-1:])])
        if not any(isinstance(event, RealtimeState) and event.state == "closing" for event in told):
            told.append(self._event(RealtimeState, end_ms, state="closing"))
        told.append(self._event(RealtimeClosed, end_ms, reason=self._run.reason))
        for seq, event in enumerate(told, 1):
            yield structs.replace(event, seq=seq)

    def _made_up(self) -> list[Event]:
        """What can be told of items and recordings alone."""
        told = [
            self._event(RealtimeState, 0, state="connected"),
            self._event(RealtimeState, 0, state="listening"),
        ]
        responses = count(1)
        for item, after in zip_longest(self._items, self._items[1:]):
            until_ms = sys.maxsize if after is None else after.at_ms
            if item.type == "message" and item.role == "assistant":
                told += self._answer(item, f"response-{next(responses)}", max(item.at_ms, until_ms))
            elif item.type == "message":
                told += self._said(item)
            else:  # how a tool fared is not known
                told.append(self._event(RealtimeItemAdded, item.at_ms, item=_plain(item)))
        told.sort(key=lambda event: event.at_ms)  # of equal times the earlier one stays so
        if self._run.usage is not None:
            end_ms = max(self._run.duration_ms, told[-1].at_ms)
            told.append(self._event(RealtimeUsage, end_ms, **structs.asdict(self._run.usage)))
        return list(_without_repeats(told))

    def _event(self, kind: type[Event], at_ms: int, **members: Any) -> Event:
        return kind(at_ms=at_ms, **self._head, **members)

    def _said(self, item: StoredItem) -> Iterator[Event]:
        """What the user said or wrote."""
        yield self._event(RealtimeItemAdded, item.at_ms, item=_plain(item))
        for index, part in enumerate(item.content if isinstance(item.content, list) else []):
            if part.type == "audio" and isinstance(part.transcript, str) and item.role == "user":
                words = {
                    "item_id": item.item_id,
                    "content_index": index,
                    "role": "user",
                    "text": part.transcript,
                }
                yield self._event(RealtimeTranscriptDone, item.at_ms, **words)

    def _answer(self, item: StoredItem, response_id: str, until_ms: int) -> Iterator[Event]:
        """What the agent said or wrote: as fast as it was spoken, and over before the next item began."""
        at_ms = item.at_ms
        yield self._event(RealtimeResponseStart, at_ms, response_id=response_id)
        yield self._event(RealtimeItemAdded, at_ms, item=_beginning(item))
        files = self._files.get(item.item_id, [])
        for file in files:
            yield from self._spoken(item, file, response_id, until_ms)
            at_ms = min(until_ms, max(at_ms, file.at_ms + _heard_ms(item, file)))
        for index, part in enumerate(item.content if isinstance(item.content, list) else []):
            words = {"item_id": item.item_id, "content_index": index, "role": "assistant"}
            if part.type == "text" and isinstance(part.text, str):
                yield self._event(RealtimeTextDone, at_ms, text=part.text, **words)
            elif part.type == "audio":
                text = item.generated_text if isinstance(item.generated_text, str) else ""
                heard = {} if item.heard_text is UNSET else {"heard_text": item.heard_text}
                yield self._event(RealtimeTranscriptDone, at_ms, text=text, **heard, **words)
        yield self._event(RealtimeItemUpdated, at_ms, item=_plain(item))
        status = "completed" if item.status == "completed" else "cancelled"
        yield self._event(RealtimeResponseEnd, at_ms, response_id=response_id, status=status)
        yield self._event(RealtimeState, at_ms, state="listening")

    def _spoken(
        self, item: StoredItem, file: StoredAudio, response_id: str, until_ms: int
    ) -> Iterator[Event]:
        part = {"item_id": item.item_id, "content_index": file.content_index}
        end_ms = min(file.at_ms + _heard_ms(item, file), until_ms)
        try:
            recording = Recording(Path(file.path))
        except (OSError, OmnirtError):  # removed by hand: the words are there all the same
            return
        with recording:
            yield self._event(RealtimeState, min(file.at_ms, end_ms), state="speaking")
            step = recording.bytes_of(CHUNK_MS)
            for offset in range(0, recording.size, step):
                data = recording.read(offset, step)
                offset_ms = recording.ms(offset)
                chunk: Mapping[str, Any] = {
                    "response_id": response_id,
                    "audio": data,
                    "offset_ms": offset_ms,
                    "delta_ms": recording.ms(offset + len(data)) - offset_ms,
                    "audio_format": recording.format,
                }
                yield self._event(RealtimeAudio, min(file.at_ms + offset_ms, end_ms), **part, **chunk)
            if item.interrupted is True:
                cut = {
                    "was_playing": _heard_ms(item, file) > 0,
                    "heard_ms": _heard_ms(item, file),
                    "generated_ms": recording.total_ms,
                }
                yield self._event(RealtimeAudioInterrupted, end_ms, **part, **cut)
            yield self._event(RealtimeAudioEnd, end_ms, total_ms=recording.total_ms, file=file.path, **part)


def _heard_ms(item: StoredItem, file: StoredAudio) -> int:
    """How long the audio of an item lasted: to its end, or to where it was cut."""
    if item.interrupted is True and isinstance(item.heard_ms, int):
        return min(item.heard_ms, file.duration_ms)
    return file.duration_ms


def _plain(item: StoredItem) -> Item:
    """The item as it is told, without its run."""
    members = structs.asdict(item)
    del members["run_id"]
    return Item(**members)


def _beginning(item: StoredItem) -> Item:
    """The item as it was when nothing of it had come."""
    return Item(
        item_id=item.item_id,
        type="message",
        role="assistant",
        status="inProgress",
        content=[],
        at_ms=item.at_ms,
    )


def _without_repeats(events: Iterable[Event]) -> Iterator[Event]:
    """A state is told when it changes."""
    state = ""
    for event in events:
        if isinstance(event, RealtimeState):
            if event.state == state:
                continue
            state = event.state
        yield event
