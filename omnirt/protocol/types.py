"""Shapes that several messages share: bases of params, results and events, items, usage, audio files."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

PROTOCOL_VERSION = 1

# `(?![\s\S])` is "end of the string" in Python and in ECMA alike, where `$` would let a last newline through.
SessionId = Annotated[
    str,
    Meta(
        pattern=r"^(?!\.\.?(?![\s\S]))[A-Za-z0-9._-]{1,128}(?![\s\S])",
        description="Chosen by the host, 1 to 128 of A-Z a-z 0-9 . _ -, not '.' or '..'",
    ),
]
Millis = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Milliseconds")]
Index = Annotated[int, Meta(ge=0, le=2**31 - 1)]
AudioFormat = Literal["pcm16", "g711_ulaw", "g711_alaw"]
ProviderName = Literal["openai", "azure", "compatible", "simulator", "local"]
SessionState = Literal[
    "starting", "connected", "listening", "userSpeaking", "thinking", "speaking", "reconnecting", "closing"
]
CloseReason = Literal[
    "stopped", "hostGone", "expired", "connectionLost", "content", "limit", "error", "shutdown"
]
ResponseStatus = Literal["completed", "cancelled", "failed", "incomplete"]
Role = Literal["user", "assistant", "system"]


class Params(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Base of every method's params: unknown members are an error, `_meta` is allowed and ignored."""

    meta_: Raw | UnsetType = field(default=UNSET, name="_meta")

    def __repr__(self) -> str:
        """Names only: among the values are keys, audio, and what users say."""
        return f"{type(self).__name__}({', '.join(f'{name}=…' for name in self.__struct_fields__)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """As the plain repr."""
        return [("", repr(self))]


class Result(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base of every result: a JSON object, members at their default left out."""


class Empty(Result):
    """The result `{}`."""


class Event(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base of every notification about a session.

    `seq` is 0 until the output lane stamps it as the event leaves, so that what is dropped leaves no hole.
    """

    METHOD: ClassVar[str] = ""
    SOURCE: ClassVar[str] = ""
    """Which event of the voice SDK or which act of the daemon this comes from."""

    session_id: str
    run_id: str
    seq: int = 0
    at_ms: int


class ContentPart(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One part of a message item; never holds audio or image bytes."""

    type: Literal["text", "audio", "image"]
    text: str | UnsetType = UNSET
    transcript: str | UnsetType = UNSET


class Item(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One entry of a conversation. `atMs` counts from the start of the run."""

    item_id: str
    type: Literal["message", "functionCall", "functionCallOutput"]
    role: Role | UnsetType = UNSET
    status: Literal["inProgress", "completed", "incomplete"]
    content: list[ContentPart] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    tool_name: str | UnsetType = UNSET
    arguments: Any = UNSET
    output: Any = UNSET
    generated_text: str | UnsetType = UNSET
    heard_text: str | UnsetType = UNSET
    heard_ms: int | UnsetType = UNSET
    interrupted: bool | UnsetType = UNSET
    at_ms: int


class InputTokens(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Input tokens by kind; counts the provider does not give are absent."""

    text: int | UnsetType = UNSET
    audio: int | UnsetType = UNSET
    image: int | UnsetType = UNSET
    cached: int | UnsetType = UNSET


class OutputTokens(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Output tokens by kind."""

    text: int | UnsetType = UNSET
    audio: int | UnsetType = UNSET


class Usage(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Tokens of a response or of a session so far; `seconds` where the provider counts time."""

    input_tokens: int | UnsetType = UNSET
    output_tokens: int | UnsetType = UNSET
    total_tokens: int | UnsetType = UNSET
    input: InputTokens = field(default_factory=InputTokens)
    output: OutputTokens = field(default_factory=OutputTokens)
    seconds: float | UnsetType = UNSET


class AudioSpec(Struct, rename="camel", kw_only=True):
    """Format and sample rate (Hz) of one direction of a session, always mono."""

    format: AudioFormat
    sample_rate: int


class SampleRate(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The rate in Hz that a host asks for a direction; from the provider's, the daemon resamples."""

    sample_rate: Literal[8000, 16000, 24000, 48000]


class Devices(Struct, rename="camel", omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A microphone and a loudspeaker of the daemon's machine: a name or a part of it, a number, or "default".

    While the agent is heard, a `half` duplex session sends silence upstream, lest the agent hears itself;
    `full` is for headsets, and devices that cancel the echo.
    """

    input: Annotated[str, Meta(min_length=1)] | Index | None = None
    output: Annotated[str, Meta(min_length=1)] | Index | None = None
    duplex: Literal["half", "full"] | None = None


class DevicesInUse(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The names of the devices that a session has, and how it goes about them."""

    input: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    duplex: Literal["half", "full"]


class Features(Struct, rename="camel", kw_only=True):
    """What the endpoint of a session can do."""

    interrupt: bool
    truncate: bool
    commit: bool
    text: bool
    images: bool
    update: bool


class AudioFileInfo(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A WAV file that a session left; its audio begins at `atMs` of the run's clock."""

    path: str
    side: Literal["host", "assistant"]
    item_id: str | UnsetType = UNSET
    content_index: int | UnsetType = UNSET
    at_ms: int | UnsetType = UNSET
    duration_ms: int


class ErrorInfo(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """An error inside an event."""

    kind: str
    message: str
    code: str | UnsetType = UNSET


class Upstream(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What the provider said of its own error."""

    type: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    event_id: str | UnsetType = UNSET


class Queues(Struct, rename="camel", kw_only=True):
    """What waits in a session: host audio not yet upstream, inputs, notification bytes to the host."""

    input_ms: int
    inputs: int
    output_bytes: int


class SessionInfo(Result):
    """A live session as `session.get` and `session.list` tell it."""

    session_id: str
    run_id: str
    state: SessionState
    agent: str
    started_at: str
    queues: Queues
    usage: Usage
