"""Words that were told, but that their item does not have yet: what the storage would lose in a crash."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from omnirt.protocol.types import ContentPart, Item
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.items import generated_text
from omnirt.sessions.responses import Series


def so_far(talk: Conversation, item: Item) -> Item:
    """An item with the words of those of its parts that are being said; a final text is left as it is."""
    spoken = [series for series in talk.responses.series.values() if series.item_id == item.item_id]
    if not spoken or item.type != "message":
        return item
    content = list(item.content) if item.content is not UNSET else []
    for series in spoken:
        _say(content, series)
    text = generated_text(content) if item.role == "assistant" else ""
    return replace(item, content=content, generated_text=text or item.generated_text)


def unsaved(talk: Conversation) -> list[Item]:
    """The items that have new words since this was asked last, as they are to be stored."""
    known = [item for item_id in talk.responses.fresh if (item := talk.items.get(item_id)) is not None]
    talk.responses.fresh.clear()
    return [so_far(talk, item) for item in known]


def _say(content: list[ContentPart], series: Series) -> None:
    if series.content_index > len(content):
        return  # what is before it came without words
    if series.content_index == len(content):
        content.append(ContentPart(type="text" if series.kind == "text" else "audio"))
    part = content[series.content_index]
    if part.type == "text" and not part.text:
        content[series.content_index] = replace(part, text=series.text)
    elif part.type == "audio" and not part.transcript:
        content[series.content_index] = replace(part, transcript=series.text)
