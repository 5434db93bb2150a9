"""A run as its host was told it: what was kept of that, with the words of items and the sound of files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import UNSET
from msgspec.structs import replace

from omnirt.errors import OmnirtError
from omnirt.protocol.events import (
    RealtimeAudio,
    RealtimeAudioEnd,
    RealtimeAudioInterrupted,
    RealtimeItemAdded,
    RealtimeItemUpdated,
    RealtimeTextDone,
    RealtimeToolEnd,
    RealtimeToolStart,
    RealtimeTranscriptDone,
)
from omnirt.protocol.stored_methods import StoredAudio, StoredItem
from omnirt.protocol.types import ContentPart, Event, Item
from omnirt.storage.sound import Recording
from omnirt.storage.telling import HIDDEN

CHUNK_MS = 100

_OF_ALL = ("item_id", "type", "status", "at_ms")


class ToldAgain:
    """What `storage.telling` kept of a run, made whole.

    Args:
        told: What was kept, in order.
        items: Of this run.
        files: The same.
    """

    def __init__(
        self, told: Sequence[Event], items: Iterable[StoredItem], files: Iterable[StoredAudio]
    ) -> None:
        self._told = told
        self._items = {item.item_id: item for item in items}
        self._calls = {i.tool_call_id: i for i in self._items.values() if i.type == "functionCall"}
        self._outputs = {i.tool_call_id: i for i in self._items.values() if i.type == "functionCallOutput"}
        self._files = {
            (file.item_id, file.content_index): file
            for file in files
            if file.side == "assistant" and Path(file.path).exists()
        }

    def events(self) -> Iterator[Event]:
        """All of it, in the order in which it was told."""
        found: list[tuple[int, int, Event]] = []
        at_ms = 0
        for position, event in enumerate(self._told):
            at_ms = max(at_ms, event.at_ms)
            found += [(each.at_ms, position, each) for each in self._whole(position, event, at_ms)]
        found.sort(key=lambda entry: entry[:2])  # the chunks of a part lie among what came while it was made
        return (event for _, _, event in found)

    def _whole(self, position: int, event: Event, at_ms: int) -> Iterator[Event]:
        match event:
            case RealtimeAudio():
                yield from self._chunks(position, event)
            case RealtimeAudioEnd() | RealtimeAudioInterrupted():
                # Without its recording a part has no audio, and so neither an end nor a cut.
                file = self._files.get((event.item_id, event.content_index))
                if file is not None:
                    path = {"file": file.path} if isinstance(event, RealtimeAudioEnd) else {}
                    yield replace(event, at_ms=at_ms, **path)
            case RealtimeTextDone() | RealtimeTranscriptDone():
                yield replace(self._with_words(event), at_ms=at_ms)
            case RealtimeItemAdded() | RealtimeItemUpdated():
                yield replace(event, at_ms=at_ms, item=self._whole_item(event.item))
            case RealtimeToolStart() | RealtimeToolEnd():
                yield replace(self._with_call(event), at_ms=at_ms)
            case _:
                yield replace(event, at_ms=at_ms)

    def _chunks(self, position: int, first: RealtimeAudio) -> Iterator[Event]:
        """The sound of a part, spread evenly over the time in which it came."""
        part = (first.item_id, first.content_index)
        file = self._files.get(part)
        if file is None:
            return
        later = (self._told[place] for place in range(position + 1, len(self._told)))
        end_ms = max(first.at_ms, next((event for event in later if _ends(event, part)), first).at_ms)
        try:
            recording = Recording(Path(file.path))
        except (OSError, OmnirtError):  # no WAV any more
            del self._files[part]
            return
        with recording:
            step = recording.bytes_of(CHUNK_MS)
            for offset in range(0, recording.size, step):
                data = recording.read(offset, step)
                offset_ms = recording.ms(offset)
                yield replace(
                    first,
                    at_ms=first.at_ms + (end_ms - first.at_ms) * offset // recording.size,
                    audio=data,
                    offset_ms=offset_ms,
                    delta_ms=recording.ms(offset + len(data)) - offset_ms,
                )

    def _with_words(self, event: RealtimeTextDone | RealtimeTranscriptDone) -> Event:
        item = self._items.get(event.item_id)
        content = item.content if item is not None and isinstance(item.content, list) else []
        part = next(iter(content[event.content_index :]), ContentPart(type="audio"))
        if isinstance(event, RealtimeTextDone):
            return replace(event, text=_filled(event.text, part.text))
        return replace(
            event,
            text=_filled(event.text, part.transcript),
            heard_text=_filled(event.heard_text, UNSET if item is None else item.heard_text),
        )

    def _with_call(self, event: RealtimeToolStart | RealtimeToolEnd) -> Event:
        call, output = self._calls.get(event.tool_call_id), self._outputs.get(event.tool_call_id)
        if call is not None:
            event = replace(event, arguments=_filled(event.arguments, call.arguments))
        if not isinstance(event, RealtimeToolEnd) or output is None:
            return event
        if isinstance(event.output, list):  # it was no text, and the model was told it as JSON
            return replace(event, output=_parsed(output.output))
        return replace(event, output=_filled(event.output, output.output))

    def _whole_item(self, item: Item) -> Item:
        """The item as it was, of the words that it had in the end; one that was taken out has none."""
        stored = self._items.get(item.item_id) or Item(**{name: getattr(item, name) for name in _OF_ALL})
        content = item.content
        if isinstance(content, list):
            known = stored.content if isinstance(stored.content, list) else []
            content = [
                _filled_part(part, next(iter(known[index:]), ContentPart(type=part.type)))
                for index, part in enumerate(content)
            ]
        return replace(
            item,
            content=content,
            arguments=_filled(item.arguments, stored.arguments),
            output=_filled(item.output, stored.output),
            generated_text=_filled(item.generated_text, stored.generated_text),
            heard_text=_filled(item.heard_text, stored.heard_text),
        )


def _ends(event: Event, part: tuple[str, int]) -> bool:
    return (
        isinstance(event, RealtimeAudioEnd | RealtimeAudioInterrupted)
        and (event.item_id, event.content_index) == part
    )


def _filled_part(part: ContentPart, stored: ContentPart) -> ContentPart:
    text, transcript = _filled(part.text, stored.text), _filled(part.transcript, stored.transcript)
    return replace(part, text=text, transcript=transcript)


def _filled(kept: Any, stored: Any) -> Any:
    """What was hidden, from what the item has in the end: as many of its words as there were then."""
    if not isinstance(kept, str) or not kept.startswith(HIDDEN):
        return kept
    if stored is UNSET:
        return HIDDEN
    return stored[: int(kept[1:])] if isinstance(stored, str) and kept[1:].isdecimal() else stored


def _parsed(text: Any) -> Any:
    try:
        return cast("Any", json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return text
