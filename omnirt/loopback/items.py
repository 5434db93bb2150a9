"""The items of one simulated conversation: their order, their audio, and truncation."""

from __future__ import annotations

import binascii
from typing import Literal, cast

import msgspec

from omnirt.loopback.wire import ClientError, ItemInput, Json, decode_base64

_KEPT_AUDIO = 16 * 2**20  # bytes of audio kept for `retrieve`: six minutes; older audio is forgotten

Status = Literal["in_progress", "completed", "incomplete"]
PartType = Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
_USUAL: dict[str, PartType] = {"text": "output_text", "audio": "output_audio"}


class Part(msgspec.Struct):
    """One content part.

    Attributes:
        ms: The length of its audio, which outlives the audio itself.
        ends_ms: Where in its audio each word of the transcript ends.
        known: The words of it that both sides know, where the transcript does not say: those of the user
            when nobody asked for a transcript, and those of the assistant that were heard before the cut.
    """

    type: PartType
    text: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: str | None = None
    audio: bytearray = msgspec.field(default_factory=bytearray)
    ms: int = 0
    ends_ms: list[int] = msgspec.field(default_factory=list)
    known: str | None = None

    def as_json(self, *, audio: bool) -> Json:
        """The part as the protocol shows it: with its audio only when it was asked for."""
        shown: Json = {"type": self.type}
        if self.type.endswith("audio"):
            shown["transcript"] = self.transcript
            if audio:
                shown["audio"] = binascii.b2a_base64(self.audio, newline=False).decode()
        elif self.type == "input_image":
            shown |= {"image_url": self.image_url, "detail": self.detail or "auto"}
        else:
            shown["text"] = self.text or ""
        return shown


class Item(msgspec.Struct):
    """A message, a function call, or the output of one."""

    id: str
    type: Literal["message", "function_call", "function_call_output"] = "message"
    status: Status = "completed"
    role: Literal["user", "assistant", "system"] | None = None
    content: list[Part] = msgspec.field(default_factory=list)
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    output: str = ""

    def as_json(self, *, audio: bool = False) -> Json:
        """The item as the protocol shows it."""
        shown: Json = {"id": self.id, "object": "realtime.item", "type": self.type, "status": self.status}
        match self.type:
            case "message":
                shown |= {"role": self.role, "content": [part.as_json(audio=audio) for part in self.content]}
            case "function_call":
                shown |= {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
            case "function_call_output":
                shown |= {"call_id": self.call_id, "output": self.output}
        return shown

    @property
    def text(self) -> str:
        """All the words of a message."""
        words = (part.text or part.transcript or part.known for part in self.content)
        return " ".join(word for word in words if word)

    @property
    def has_audio(self) -> bool:
        """Whether a user spoke it."""
        return any(part.type == "input_audio" for part in self.content)


class Items:
    """The conversation, in order."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._calls: dict[str, str] = {}  # call id -> tool
        self._audio_bytes = 0

    @property
    def all(self) -> list[Item]:
        """The items in order."""
        return list(self._items.values())

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return next(reversed(self._items), None)

    def get(self, item_id: str, verb: str) -> Item:
        """An item, or the provider's error about it."""
        if (item := self._items.get(item_id)) is None:
            what = {"retrieve": "retrieving", "truncate": "truncating", "delete": "deleting"}[verb]
            message = f"Error {what} item: the item with id '{item_id}' does not exist."
            raise ClientError(f"item_{verb}_invalid_item_id", message, "item_id")
        return item

    def add(self, item: Item, previous: str | None = None) -> str | None:
        """Put an item after another, by default at the end; returns the id of the one before it.

        `root` is the beginning.
        """
        if item.type == "function_call_output" and item.call_id not in self._calls:
            message = f"Tool call ID '{item.call_id}' not found in conversation."
            raise ClientError("invalid_tool_call_id", message, "item.call_id")
        if item.id in self._items:
            message = f"Error adding item: an item with id '{item.id}' already exists."
            raise ClientError("item_create_duplicate_id", message, "item.id")
        if previous not in (None, "root") and previous not in self._items:
            raise ClientError(
                "item_create_invalid_previous_item_id",
                f"Error adding item: the previous item with id '{previous}' does not exist.",
                "previous_item_id",
            )
        self._audio_bytes += sum(len(part.audio) for part in item.content)
        if item.call_id is not None and item.type == "function_call":
            self._calls[item.call_id] = item.name or ""
        if previous is None:
            previous = self.last_id
            self._items[item.id] = item
            return previous
        order = list(self._items.values())
        order.insert(0 if previous == "root" else list(self._items).index(previous) + 1, item)
        self._items = {each.id: each for each in order}
        return None if previous == "root" else previous

    def tool_of(self, call_id: str | None) -> str:
        """Which tool a call was for."""
        return self._calls.get(call_id or "", "")

    def delete(self, item_id: str) -> None:
        """Remove an item."""
        self._audio_bytes -= sum(len(part.audio) for part in self.get(item_id, "delete").content)
        del self._items[item_id]

    def keep_audio(self, part: Part, audio: bytes, ms: int) -> None:
        """Add to a part's audio, and forget the oldest audio when it is too much."""
        part.audio += audio
        part.ms += ms
        self._audio_bytes += len(audio)
        for item in self._items.values():
            if self._audio_bytes <= _KEPT_AUDIO:
                break
            for old in item.content:
                if old is not part:
                    self._audio_bytes -= len(old.audio)
                    old.audio = bytearray()

    def truncate(self, item_id: str, index: int, end_ms: int, bytes_per_ms: int) -> None:
        """Cut an assistant's audio; its transcript goes, as nobody knows which words were heard."""
        item = self.get(item_id, "truncate")
        part = item.content[index] if 0 <= index < len(item.content) else None
        if item.role != "assistant" or part is None or part.type != "output_audio" or end_ms < 0:
            raise ClientError("invalid_value", "Only model output audio messages can be truncated")
        if end_ms > part.ms:
            message = f"Audio content of {part.ms}ms is already shorter than {end_ms}ms"
            raise ClientError("invalid_value", message)
        self._audio_bytes -= max(0, len(part.audio) - end_ms * bytes_per_ms)
        del part.audio[end_ms * bytes_per_ms :]
        part.ms = end_ms
        words = zip((part.transcript or "").split(), part.ends_ms, strict=False)
        part.known = " ".join(word for word, end in words if end <= end_ms)
        part.transcript = None


def item_from(given: ItemInput, item_id: str, bytes_per_ms: int) -> Item:
    """What the client adds, checked.

    Raises:
        ClientError: Something that this type of item needs is missing or wrong.
    """
    needs = {"message": "role", "function_call": "name", "function_call_output": "call_id"}[given.type]
    if getattr(given, needs) is None:
        raise ClientError(
            "missing_required_parameter", f"Missing required parameter: 'item.{needs}'.", f"item.{needs}"
        )
    content = []
    for index, part in enumerate(given.content or []):
        kind: PartType = _USUAL.get(part.type) or cast("PartType", part.type)
        if (given.role == "assistant") != kind.startswith("output"):
            param = f"item.content[{index}].type"
            raise ClientError(
                "invalid_value", f"Invalid value: '{part.type}' for the role {given.role}.", param
            )
        audio = bytearray(decode_base64(part.audio, f"item.content[{index}].audio") if part.audio else b"")
        content.append(
            Part(
                kind,
                text=part.text,
                transcript=part.transcript,
                image_url=part.image_url,
                detail=part.detail,
                audio=audio,
                ms=len(audio) // bytes_per_ms,
            )
        )
    return Item(
        item_id,
        given.type,
        given.status or "completed",
        given.role,
        content,
        given.call_id,
        given.name,
        given.arguments or "",
        given.output or "",
    )
