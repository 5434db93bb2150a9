"""Token counts: one response's as the provider gave them, and a session's running totals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from omnirt.protocol.types import InputTokens, OutputTokens, Usage
from omnirt.sessions.reading import MAX_NUMBER, is_count


def read_usage(raw: object) -> Usage | None:
    """The `usage` of a `response.done`, or None when there is none."""
    if not isinstance(raw, Mapping):
        return None
    into, out = _mapping(raw, "input_token_details"), _mapping(raw, "output_token_details")
    return Usage(
        input_tokens=_count(raw, "input_tokens"),
        output_tokens=_count(raw, "output_tokens"),
        total_tokens=_count(raw, "total_tokens"),
        input=InputTokens(
            text=_count(into, "text_tokens"),
            audio=_count(into, "audio_tokens"),
            image=_count(into, "image_tokens"),
            cached=_count(into, "cached_tokens"),
        ),
        output=OutputTokens(text=_count(out, "text_tokens"), audio=_count(out, "audio_tokens")),
        seconds=_seconds(raw),
    )


def added(total: Usage, more: Usage) -> Usage:
    """The sum; a count that neither side has stays absent."""
    return Usage(
        input_tokens=_sum(total.input_tokens, more.input_tokens),
        output_tokens=_sum(total.output_tokens, more.output_tokens),
        total_tokens=_sum(total.total_tokens, more.total_tokens),
        input=InputTokens(
            text=_sum(total.input.text, more.input.text),
            audio=_sum(total.input.audio, more.input.audio),
            image=_sum(total.input.image, more.input.image),
            cached=_sum(total.input.cached, more.input.cached),
        ),
        output=OutputTokens(
            text=_sum(total.output.text, more.output.text),
            audio=_sum(total.output.audio, more.output.audio),
        ),
        seconds=_sum(total.seconds, more.seconds),
    )


def transcription_seconds(raw: object) -> Usage | None:
    """The seconds of a transcription billed by time; its tokens are another model's and not counted."""
    if isinstance(raw, Mapping) and raw.get("type") == "duration":
        return Usage(seconds=_seconds(raw))
    return None


def _sum(left: Any, right: Any) -> Any:
    if left is UNSET:
        return right
    if right is UNSET:
        return left
    total = min(left + right, MAX_NUMBER)
    return round(total, 3) if isinstance(total, float) else total


def _count(raw: Mapping[str, Any], name: str) -> int | UnsetType:
    value = raw.get(name)
    return value if is_count(value) else UNSET


def _seconds(raw: Mapping[str, Any]) -> float | UnsetType:
    value = raw.get("seconds")
    # A NaN compares false, so it is no count either.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        return UNSET
    return float(value)


def _mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}
