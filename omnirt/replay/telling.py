"""Says how a host diverged from a tape: where, what was expected, what came, and the difference."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from omnirt.providers.masking import MessageMask
from omnirt.replay.player import Divergence
from omnirt.tapes.lines import HostLine
from omnirt.tapes.patterns import Json

_LONG = 200
_MAX_LINES = 80


def told(divergence: Divergence, tape: Path) -> str:
    """The message for people; no secret of the host's is in it, and no audio."""
    line = divergence.line
    where = f"{tape}:{line.number}" if line else f"{tape}, after its end"
    # What a tape expects has no secrets: they were masked when it was recorded.
    expected = _shown(line) if line else "nothing more"
    text = [f"{where}: {divergence}", f"expected: {_one_line(expected)}"]
    if divergence.got is not None:
        got: Json = MessageMask().host(divergence.got)
        text.append(f"got:      {_one_line(got)}")
        if line is not None and isinstance(line.message, dict | list) and isinstance(got, dict | list):
            text += _difference(line.message, got)
    return "\n".join(text)


def _shown(line: HostLine) -> Json:
    if line.ends:
        return "the end of the host's output"
    if line.broken:
        return f"something that is {line.broken}"
    return line.message if line.raw is None else line.raw.decode("utf-8", "replace")


def _difference(expected: Json, got: Json) -> list[str]:
    before, now = (
        json.dumps(_brief(value), indent=2, sort_keys=True, ensure_ascii=False) for value in (expected, got)
    )
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "tape", "host", lineterm="", n=2)
    return list(lines)[:_MAX_LINES]


def _one_line(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(_brief(value), ensure_ascii=False)
    return text if len(text) <= 4 * _LONG else f"{text[: 4 * _LONG]}…"


def _brief(value: Json) -> Json:
    """A message without the middle of long texts, audio above all."""
    if isinstance(value, str):
        return value if len(value) <= _LONG else f"{value[:40]}… ({len(value)} characters)"
    if isinstance(value, list):
        return [_brief(element) for element in value]
    if isinstance(value, dict):
        return {name: _brief(member) for name, member in value.items()}
    return value
