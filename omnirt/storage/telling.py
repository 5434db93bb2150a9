"""What a host was told, to be kept without words and sound: those are the items' and the recordings'.

So a talk can be told again as it was (`history.told_again`), and an item that is forgotten leaves no words.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from omnirt.protocol.events import (
    EVENTS,
    RealtimeAudio,
    RealtimeAudioEnd,
    RealtimeClosed,
    RealtimeItemAdded,
    RealtimeItemUpdated,
    RealtimeRaw,
    RealtimeTextDelta,
    RealtimeTextDone,
    RealtimeToolEnd,
    RealtimeToolStart,
    RealtimeTranscriptDelta,
    RealtimeTranscriptDone,
)
from omnirt.protocol.types import ContentPart, Event, Item

logger = logging.getLogger(__name__)

T = TypeVar("T")

HIDDEN = "…"
"""Stands where words were, with their length after it; alone, for what is no text."""


def bare(event: Event) -> Event | None:
    """The event without words and sound: `HIDDEN` stands where they were. None for one that is not kept.

    Of the audio of a part its first chunk is kept: where it began, and of which response it is.
    """
    match event:
        case RealtimeAudio():
            return replace(event, audio=b"") if event.offset_ms == 0 else None
        case RealtimeTranscriptDelta() | RealtimeTextDelta() | RealtimeRaw() | RealtimeClosed():
            return None
        case RealtimeAudioEnd():
            return replace(event, file=UNSET)
        case RealtimeTextDone():
            return replace(event, text=_hidden(event.text))
        case RealtimeTranscriptDone():
            return replace(event, text=_hidden(event.text), heard_text=_hidden(event.heard_text))
        case RealtimeItemAdded() | RealtimeItemUpdated():
            return replace(event, item=_bare_item(event.item))
        case RealtimeToolStart():
            return replace(event, arguments=HIDDEN)
        case RealtimeToolEnd():
            return replace(event, arguments=HIDDEN, output=_kind_of(event.output))
        case _:
            return event


def read(rows: Iterable[tuple[Any, ...]]) -> list[Event]:
    """The events of rows (method, JSON); damaged ones, and those of a newer version, are left out."""
    events: list[Event] = []
    for method, text in rows:
        kind = EVENTS.get(method)
        if kind is None:
            continue
        try:
            events.append(cast("Event", msgspec.json.decode(text, type=kind)))
        except (msgspec.MsgspecError, ValueError, TypeError):
            logger.warning("a damaged row of what a host was told is left out")
    return events


def _bare_item(item: Item) -> Item:
    content = item.content
    if isinstance(content, list):
        content = [_bare_part(part) for part in content]
    return replace(
        item,
        content=content,
        arguments=item.arguments if item.arguments in (UNSET, "") else HIDDEN,
        output=UNSET if item.output is UNSET else HIDDEN,
        generated_text=_hidden(item.generated_text),
        heard_text=_hidden(item.heard_text),
    )


def _bare_part(part: ContentPart) -> ContentPart:
    return replace(part, text=_hidden(part.text), transcript=_hidden(part.transcript))


def _hidden(text: T) -> T | str:
    return f"{HIDDEN}{len(text)}" if isinstance(text, str) and text else text


def _kind_of(output: Any) -> Any:
    """Nothing stays nothing; a text is hidden, and all else is an empty list."""
    return [] if output is not None and not isinstance(output, str) else _hidden(output)
