"""Faults of the provider: it refuses, says nothing, or says what nobody can understand."""

from __future__ import annotations

from tests.e2e.faults.rows import FIRST_TEXT, Row, Seen, saying
from tests.support.daemon import Message
from tests.support.host import SPEED, Host, Talk

ANSWERED = Seen(responses=("completed",))
TOLD = Seen(responses=("completed",), errors=("provider_error",))
ASKED: Message = {"type": "response.create"}


def sends(event: Message) -> tuple[Message, ...]:
    """The provider sends this when it is asked for a response."""
    return ({"at": ASKED, "event": event},)


def error(code: str, event_id: str | None = None) -> Message:
    error = {"type": "invalid_request_error", "code": code, "message": "It says so.", "event_id": event_id}
    return {"type": "error", "event_id": "e", "error": error}


def reports(code: str, *, event_id: str | None = None) -> tuple[Message, ...]:
    """The provider sends an `error` event when it is asked for a response, and makes that."""
    return sends(error(code, event_id))


def gives_up(code: str) -> tuple[Message, ...]:
    """The provider answers with nothing but an `error` event, and keeps the connection."""
    return ({"ignore": "response.create"}, {"at": FIRST_TEXT, "event": error(code)})


async def begins(host: Host, talk: Talk) -> None:
    """The host asks for a story, at which the session may end."""
    talk.tell("sendText", text="A story")


async def is_refused_twice(host: Host, talk: Talk) -> None:
    """A failed answer, and the next text, at which the connection goes away."""
    await saying("The quota?")(host, talk)
    await begins(host, talk)


async def interrupts(host: Host, talk: Talk) -> None:
    """The host interrupts a story."""
    await talk.ask("sendText", text="A story")
    await talk.event("audio", 3)
    assert (await talk.ask("interrupt"))["interrupted"] is True
    await talk.event("responseEnd")
    await talk.ask("wait")


START = [
    Row(
        "refused-401",
        "HTTP 401 or 403 at the handshake",
        "`session.start` fails with `auth_failed`.",
        Seen(start="auth_failed"),
        ({"refuse": 401},),
    ),
    Row(
        "refused-404",
        "HTTP 404 at the handshake",
        "`session.start` fails with `provider_error`, which says what to check.",
        Seen(start="provider_error"),
        ({"refuse": 404},),
    ),
    Row(
        "refused-429",
        "HTTP 429 at the handshake",
        "`session.start` fails with `provider_error`, retryable.",
        Seen(start="provider_error, retryable"),
        ({"refuse": 429},),
    ),
    Row(
        "refused-503",
        "HTTP 5xx at the handshake",
        "`session.start` fails with `provider_unreachable`, retryable.",
        Seen(start="provider_unreachable, retryable"),
        ({"refuse": 503},),
    ),
    Row(
        "closed-at-start",
        "The connection is closed before there is a session",
        "`session.start` fails with `provider_unreachable`.",
        Seen(start="provider_unreachable, retryable"),
        ({"drop": 1000},),
    ),
    Row(
        "reset-at-start",
        "The connection is reset before there is a session",
        "The same.",
        Seen(start="provider_unreachable, retryable"),
        ({"drop": 1006},),
    ),
    Row(
        "silent-handshake",
        "The handshake is never answered",
        "`session.start` fails with `provider_unreachable` after 10 s.",
        Seen(start="provider_unreachable, retryable"),
        ({"hang": True},),
    ),
    Row(
        "silent-session",
        "The connection opens, and then nothing is said",
        "The same.",
        Seen(start="provider_unreachable, retryable"),
        ({"silent": True},),
    ),
    Row(
        "silent-settings",
        "`session.update` is never answered",
        "The same; for a compatible server that opened a session 2 s are enough.",
        Seen(start="provider_unreachable, retryable"),
        ({"no_session_updated": True},),
    ),
]

NONSENSE = [
    Row(
        "broken-json",
        "A frame that is no JSON",
        "One `realtime.error` that is not fatal; the talk goes on.",
        TOLD,
        ({"at": {"audio_delta": 1}, "malformed": True},),
    ),
    Row(
        "broken-audio",
        "Audio that is no base64",
        "The same; that piece of audio is missing.",
        TOLD,
        ({"bad_audio": True},),
    ),
    Row(
        "audio-of-another-type",
        "Audio that is a number",
        "The same.",
        TOLD,
        sends({"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": 5}),
    ),
    Row(
        "unknown-event",
        "An event of a type that nobody knows",
        "Nothing, but in `realtime.raw`.",
        ANSWERED,
        ({"at": {"audio_delta": 1}, "unknown_event": True},),
    ),
    Row(
        "malformed-response",
        "A `response.done` whose response is a number",
        "Nothing; the real one ends the response.",
        ANSWERED,
        sends({"type": "response.done", "event_id": "e", "response": 7}),
    ),
    Row(
        "malformed-item",
        "An item that is a string",
        "Nothing.",
        ANSWERED,
        sends({"type": "conversation.item.added", "event_id": "e", "item": "odd"}),
    ),
    Row(
        "malformed-error",
        "An `error` event without an error",
        "One `realtime.error`, not fatal.",
        TOLD,
        sends({"type": "error", "event_id": "e", "error": None}),
    ),
    Row(
        "everything-twice",
        "Every event comes twice",
        "Each thing is told once.",
        Seen(responses=("completed", "completed"), tools=("completed",)),
        ({"at": FIRST_TEXT, "twice": True},),
        saying("Use the tool"),
    ),
    Row(
        "slow",
        "Everything is sent half a second late",
        "Nothing but the delay.",
        ANSWERED,
        ({"at": {"client_event": 2}, "slow_ms": 500 * SPEED},),
    ),
]

ERRORS = [
    Row(
        "error-event",
        "An `error` event in mid-talk",
        "One `realtime.error` with what the provider said; the talk goes on.",
        TOLD,
        reports("odd"),
    ),
    Row(
        "error-content",
        "An `error` event about content, on a connection that stays",
        "The same.",
        TOLD,
        reports("content_policy_violation"),
    ),
    Row(
        "error-key",
        "An `error` event that the key is refused, on a connection that stays",
        "The session ends: `error`, `auth_failed`.",
        Seen(errors=("auth_failed!",), closed="error/auth_failed"),
        gives_up("invalid_api_key"),
        begins,
    ),
    Row(
        "error-quota",
        "An `error` event that the account has no quota left, on a connection that stays",
        "The session ends: `error`, `provider_error`, not retryable.",
        Seen(errors=("provider_error!",), closed="error/provider_error"),
        gives_up("insufficient_quota"),
        begins,
    ),
    Row(
        "error-quota-of-one-event",
        "The same, said of one event of ours",
        "One `realtime.error`; the talk goes on.",
        TOLD,
        reports("insufficient_quota", event_id="omnirt_create_1"),
    ),
    Row(
        "failed-for-quota",
        "Every response fails, as the account has no quota left",
        "Each ends as `failed` with the code, once; nothing is asked for again.",
        Seen(responses=("failed", "failed")),
        act=saying("The quota?", "And the quota now?"),
    ),
    Row(
        "closed-for-quota",
        "A response fails like that, and then the connection is closed",
        "The session ends: `error`, `provider_error`.",
        Seen(responses=("failed",), errors=("provider_error!",), closed="error/provider_error"),
        ({"at": {**FIRST_TEXT, "client_event": 2}, "drop": 1000},),
        is_refused_twice,
    ),
    Row(
        "content-filter",
        "A response is broken off by the provider's content filter",
        "It ends as `incomplete` with the reason.",
        Seen(responses=("incomplete",)),
        act=saying("The filter?"),
    ),
]

SILENCE = [
    Row(
        "request-unanswered",
        "A request for a response is never answered",
        "After 12 s one `realtime.error`, and the next one is made.",
        Seen(errors=("provider_error",)),
        ({"ignore": "response.create"},),
    ),
    Row(
        "silent-in-mid-talk",
        "From some moment on nothing is sent, though the connection lives",
        "The same.",
        Seen(errors=("provider_error",)),
        ({"at": FIRST_TEXT, "silent": True},),
    ),
    Row(
        "cancel-ignored",
        "An interrupt is ignored",
        "The response ends as `cancelled`, and nothing more of it is heard.",
        Seen(responses=("cancelled",)),
        ({"ignore_cancel": True},),
        interrupts,
        start={"speed": 1},
    ),
]

ROWS = [*START, *NONSENSE, *ERRORS, *SILENCE]
