"""The conversation's items, read from the provider's events; tells which one changed, never the whole list.

No I/O and no clock: `at_ms` counts from the start of the run and comes with each event.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from omnirt.protocol.types import ContentPart, Item, Role
from omnirt.sessions.reading import is_shallow
from omnirt.sessions.resume import Seeds

MAX_ARGUMENTS_CHARS = 2**20
"""Arguments of a call that are longer are not read: the call fails."""
SHOWN_CHARS = 1000
"""How much of them is told then."""
MAX_ITEMS = 4096
"""Older items are forgotten here (they are stored): memory stays bounded in a talk of hours."""

_STATUS: dict[str, Literal["inProgress", "completed", "incomplete"]] = {
    "in_progress": "inProgress",
    "completed": "completed",
    "incomplete": "incomplete",
}
_PART_KINDS: dict[str, Literal["text", "audio", "image"]] = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "input_audio": "audio",
    "output_audio": "audio",
    "audio": "audio",
    "input_image": "image",
}
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


class ItemLedger:
    """All items of a session by id, as the wire shows them."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, Item] = OrderedDict()
        self.seeds = Seeds()

    def get(self, item_id: str) -> Item | None:
        """The item, if it is known."""
        return self._items.get(item_id)

    def all(self) -> list[Item]:
        """Every item that is known, in the order in which they came."""
        return list(self._items.values())

    def seen(self, raw: Mapping[str, Any], at_ms: int) -> tuple[Item, bool] | None:
        """Take an item as the provider sent it.

        Returns:
            The item and whether it is new, or None when nothing changed or the kind is not one of ours.
        """
        item_id = raw.get("id")
        if not isinstance(item_id, str) or not item_id or self.seeds.is_echo(raw):
            return None
        known = self._items.get(item_id)
        item = read_item(raw, known.at_ms if known else at_ms)
        if item is None:
            return None
        if known is not None:
            item = _merged(known, item)
            if item == known:
                return None
        self._store(item)
        return item, known is None

    def change(self, item_id: str, **fields: Any) -> Item | None:
        """Replace members of an item; None when it is unknown or nothing changed."""
        known = self._items.get(item_id)
        if known is None:
            return None
        item = msgspec.structs.replace(known, **fields)
        if item == known:
            return None
        self._store(item)
        return item

    def transcribed(self, item_id: str, content_index: int, text: str) -> Item | None:
        """Set the transcript of an audio part, or the text of a text part."""
        known = self._items.get(item_id)
        if known is None:
            return None
        content = list(known.content) if known.content is not UNSET else []
        while len(content) <= content_index:
            content.append(ContentPart(type="audio"))
        part = content[content_index]
        member = "text" if part.type == "text" else "transcript"
        content[content_index] = msgspec.structs.replace(part, **{member: text})
        changes: dict[str, Any] = {"content": content}
        if known.role == "assistant":
            changes["generated_text"] = generated_text(content)
        return self.change(item_id, **changes)

    def removed(self, item_id: str) -> bool:
        """Forget an item; False when it was not known."""
        return self._items.pop(item_id, None) is not None

    def cut_short(self, item_ids: Iterable[str]) -> list[Item]:
        """End those of these items that are in progress; the provider will not."""
        items = [self._items[item_id] for item_id in sorted(item_ids) if item_id in self._items]
        ended = [msgspec.structs.replace(i, status="incomplete") for i in items if i.status == "inProgress"]
        for item in ended:
            self._store(item)
        return ended

    def _store(self, item: Item) -> None:
        self._items[item.item_id] = item
        while len(self._items) > MAX_ITEMS:
            self._items.popitem(last=False)


def read_item(raw: Mapping[str, Any], at_ms: int) -> Item | None:
    """The wire's shape of a provider item, or None for a kind the wire does not have."""
    item_id = str(raw["id"])
    status = _STATUS.get(str(raw.get("status")), "completed")
    match raw.get("type"):
        case "message":
            content = _content(raw.get("content"))
            role = _ROLES.get(str(raw.get("role")), "assistant")
            item = Item(
                item_id=item_id, type="message", role=role, status=status, content=content, at_ms=at_ms
            )
            if role == "assistant" and (text := generated_text(content)):
                item.generated_text = text
            return item
        case "function_call":
            return Item(
                item_id=item_id,
                type="functionCall",
                status=status,
                tool_call_id=_text(raw.get("call_id")),
                tool_name=_text(raw.get("name")),
                arguments=parse_arguments(raw.get("arguments")),
                at_ms=at_ms,
            )
        case "function_call_output":
            return Item(
                item_id=item_id,
                type="functionCallOutput",
                status=status,
                tool_call_id=_text(raw.get("call_id")),
                output=raw.get("output", UNSET) if is_shallow(raw.get("output")) else UNSET,
                at_ms=at_ms,
            )
    return None


def parse_arguments(arguments: object) -> Any:
    """A tool's arguments as a JSON object when they parse to one, else the string as it came."""
    if not isinstance(arguments, str):
        return arguments if isinstance(arguments, dict) and is_shallow(arguments) else {}
    if len(arguments) > MAX_ARGUMENTS_CHARS:
        return f"{arguments[:SHOWN_CHARS]} … (cut here: the arguments were too long)"
    try:
        parsed = json.loads(
            arguments, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_written
        )
    except (ValueError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) and is_shallow(parsed) else arguments


def generated_text(content: list[ContentPart]) -> str:
    """The words of a message: texts and transcripts joined."""
    words = [part.text if part.type == "text" else part.transcript for part in content]
    return " ".join(word for word in words if isinstance(word, str) and word)


def _content(parts: object) -> list[ContentPart]:
    content: list[ContentPart] = []
    for part in parts if isinstance(parts, list) else []:
        kind = _PART_KINDS.get(str(part.get("type"))) if isinstance(part, Mapping) else None
        if kind == "text":
            content.append(ContentPart(type="text", text=str(part.get("text") or "")))
        elif kind == "audio":
            content.append(ContentPart(type="audio", transcript=_text(part.get("transcript"))))
        elif kind == "image":
            content.append(ContentPart(type="image"))
    return content


def _merged(known: Item, new: Item) -> Item:
    """`new` with what only we know: transcripts the provider left out, and what was heard."""
    content = new.content
    if isinstance(content, list) and isinstance(known.content, list):
        cut = known.interrupted is True
        content = [_merged_part(part, index, known.content, cut) for index, part in enumerate(content)]
        content += known.content[len(content) :]
    generated = new.generated_text
    if isinstance(content, list) and new.role == "assistant" and (text := generated_text(content)):
        generated = text
    return msgspec.structs.replace(
        new,
        content=content,
        generated_text=generated,
        heard_ms=known.heard_ms,
        heard_text=known.heard_text,
        interrupted=known.interrupted,
    )


def _merged_part(part: ContentPart, index: int, known: list[ContentPart], cut: bool) -> ContentPart:
    said = known[index].transcript if index < len(known) else UNSET
    if part.type != "audio" or not said:
        return part
    # What was heard of a part that is cut is told in the words that it had then.
    if not part.transcript or (cut and not part.transcript.startswith(said)):
        return msgspec.structs.replace(part, transcript=said)
    return part


def _text(value: object) -> str | UnsetType:
    return value if isinstance(value, str) else UNSET


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)  # too large for a reader of JSON: null is not what the model wrote
    return number


def _written(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**64:
        raise ValueError(digits)  # no encoder writes it
    return number


def _refuse_constant(name: str) -> Any:
    # NaN and the infinities are no JSON: such arguments go on as the string they were.
    raise ValueError(name)
