"""What happened in a stored talk: who said what, what was heard of it, tools, cuts, recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import UNSET

from omnirt.protocol.stored_methods import HistoryGetResult, StoredAudio, StoredItem
from omnirt.terminal import clean

Kind = Literal["user", "assistant", "system", "tool"]


@dataclass(frozen=True)
class Moment:
    """Something that was said or done.

    Attributes:
        run_id: The run that it belongs to.
        at_ms: When, on that run's clock.
        kind: Whose act it is.
        who: The same for people.
        text: What was said and heard, or done.
        unheard: What nobody heard of what was said.
        notes: What else is to be known of it, each a line.
    """

    run_id: str
    at_ms: int
    kind: Kind
    who: str
    text: str
    unheard: str = ""
    notes: list[str] = field(default_factory=list)


def moments(talk: HistoryGetResult) -> Iterator[Moment]:
    """All of a talk, in order: items as they came, and the host's recordings where they began."""
    files = {(file.run_id, str(file.item_id)): file for file in talk.audio if file.side == "assistant"}
    yours = [file for file in talk.audio if file.side == "host"]
    for item in talk.items:
        while yours and (yours[0].run_id, yours[0].at_ms) <= (item.run_id, item.at_ms):
            yield _recorded(yours.pop(0))
        yield _moment(item, talk.session.agent, files)
    yield from map(_recorded, yours)


def folder(files: Sequence[StoredAudio]) -> str:
    """Where all recordings are, or nothing where they are in several places."""
    folders = {str(Path(file.path).parent) for file in files}
    return folders.pop() if len(folders) == 1 else ""


def _recorded(file: StoredAudio) -> Moment:
    return Moment(file.run_id, file.at_ms, "user", "you", "(recorded)", notes=[_recording(file)])


def _moment(item: StoredItem, agent: str, files: Mapping[tuple[str, str], StoredAudio]) -> Moment:
    match item.type:
        case "functionCall":
            text = clean(f"{item.tool_name} {_json(item.arguments)}")
            return Moment(item.run_id, item.at_ms, "tool", "tool", text)
        case "functionCallOutput":
            text = clean(f"gave {_json(item.output)}")
            return Moment(item.run_id, item.at_ms, "tool", "tool", text)
        case "message":
            if item.role == "assistant":
                return _said(item, agent, files.get((item.run_id, item.item_id)))
            kind: Kind = "user" if item.role == "user" else "system"
            who = "you" if kind == "user" else kind
            return Moment(item.run_id, item.at_ms, kind, who, clean(_written(item)))


def _said(item: StoredItem, agent: str, file: StoredAudio | None) -> Moment:
    generated = item.generated_text if isinstance(item.generated_text, str) else ""
    heard = item.heard_text if isinstance(item.heard_text, str) else generated or "…"
    unheard = generated[len(heard) :] if generated.startswith(heard) else ""
    notes = []
    if item.interrupted is True:
        whole = f" of {file.duration_ms / 1000:.1f} s" if file is not None else ""
        heard_ms = 0 if item.heard_ms is UNSET else item.heard_ms
        notes.append(f"cut off: {heard_ms / 1000:.1f} s{whole} were heard")
    if file is not None:
        notes.append(_recording(file))
    return Moment(
        item.run_id, item.at_ms, "assistant", clean(agent), clean(heard), clean(unheard.strip()), notes
    )


def _recording(file: StoredAudio) -> str:
    return clean(f"{file.duration_ms / 1000:.1f} s in {Path(file.path).name}")


def _written(item: StoredItem) -> str:
    parts = item.content if isinstance(item.content, list) else []
    words = {"image": "(an image)", "audio": "(speech)", "text": ""}
    texts = [part.text if part.type == "text" else part.transcript for part in parts]
    return " ".join(
        text if isinstance(text, str) else words[part.type] for part, text in zip(parts, texts, strict=True)
    )


def _json(value: object) -> str:
    if value is UNSET:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
