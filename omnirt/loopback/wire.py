"""What a client may send to the simulator, and the errors that answer it."""

from __future__ import annotations

import binascii
from typing import ClassVar, Literal

import msgspec

Json = dict[str, object]


class ClientError(Exception):
    """An `error` event about what the client sent; the session goes on.

    Args:
        code: The provider's code.
        message: What is wrong, in the provider's words where they are known.
        param: Which member.
    """

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class _Event(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """A client event."""

    event_id: str | None = None


class SessionUpdate(_Event, tag="session.update"):
    """Change settings."""

    session: Json


class Append(_Event, tag="input_audio_buffer.append"):
    """Audio of the user, base64."""

    audio: str


class Commit(_Event, tag="input_audio_buffer.commit"):
    """End the user's turn."""


class Clear(_Event, tag="input_audio_buffer.clear"):
    """Forget what was appended."""


class ContentInput(msgspec.Struct, forbid_unknown_fields=True):
    """One part of a message that the client adds."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio", "text", "audio"]
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: Literal["auto", "low", "high"] | None = None


class ItemInput(msgspec.Struct, forbid_unknown_fields=True):
    """An item that the client adds."""

    type: Literal["message", "function_call", "function_call_output"]
    id: str | None = None
    object: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    role: Literal["user", "assistant", "system"] | None = None
    content: list[ContentInput] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class ItemCreate(_Event, tag="conversation.item.create"):
    """Add an item."""

    item: ItemInput
    previous_item_id: str | None = None


class ItemRetrieve(_Event, tag="conversation.item.retrieve"):
    """Ask for an item as the server has it."""

    item_id: str


class ItemTruncate(_Event, tag="conversation.item.truncate"):
    """Cut an assistant's audio at what was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDelete(_Event, tag="conversation.item.delete"):
    """Remove an item."""

    item_id: str


class ResponseParams(msgspec.Struct, forbid_unknown_fields=True):
    """How one response differs from the session."""

    conversation: Literal["auto", "none"] | None = None
    instructions: str | None = None
    metadata: dict[str, str] | None = None
    output_modalities: list[str] | None = None
    input: list[ItemInput] | None = None
    audio: Json | None = None
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    prompt: Json | None = None
    reasoning: Json | None = None


class ResponseCreate(_Event, tag="response.create"):
    """Ask for a response."""

    response: ResponseParams | None = None


class ResponseCancel(_Event, tag="response.cancel"):
    """Stop a response."""

    response_id: str | None = None


ClientEvent = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
)


class Envelope(msgspec.Struct):
    """What every client event has, read leniently."""

    type: str | None = None
    event_id: str | None = None

    names: ClassVar[tuple[str, ...]] = tuple(str(kind.__struct_config__.tag) for kind in ClientEvent.__args__)


_envelope = msgspec.json.Decoder(Envelope)
_event: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)


def decode_envelope(message: str | bytes) -> Envelope:
    """The type and the id of a client event; nothing is known of what is no object."""
    try:
        return _envelope.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Envelope()


def decode_event(message: str | bytes, kind: str | None) -> ClientEvent:
    """A client event.

    Raises:
        msgspec.ValidationError: Its members are wrong.
        ClientError: It is no event at all.
    """
    try:
        return _event.decode(message)
    except msgspec.ValidationError:
        if kind is None:
            raise ClientError(
                "missing_required_parameter", "Missing required parameter: 'type'.", "type"
            ) from None
        if kind not in Envelope.names:
            known = ", ".join(f"'{name}'" for name in Envelope.names)
            message = f"Invalid value: '{kind}'. Supported values are: {known}."
            raise ClientError("invalid_value", message, "type") from None
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ClientError("invalid_json", "We could not parse the JSON of your event.") from None


def decode_base64(text: str, param: str) -> bytes:
    """Audio from its base64."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise ClientError("invalid_value", f"Invalid '{param}': expected valid base64.", param) from None
