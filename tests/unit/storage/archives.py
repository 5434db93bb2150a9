"""Stored sessions for the tests of history, export, deletion, retention and verification."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnirt.protocol.stored_methods import HistoryGetParams, HistoryListParams, StoredSession
from omnirt.protocol.types import ContentPart, Item, Role
from omnirt.storage import AudioStorage, Heard, RunInfo, RunRecorder
from omnirt.storage.history import get_session, list_sessions
from omnirt.storage.patience import Patience
from tests.unit.storage.helpers import run_info

RATE = 24_000


def said(role: Role, text: str, item_id: str, at_ms: int = 0, **members: Any) -> Item:
    """A message of text."""
    if role == "assistant":
        members.setdefault("generated_text", text)
    part = ContentPart(type="text", text=text)
    return Item(
        item_id=item_id,
        type="message",
        role=role,
        status="completed",
        content=[part],
        at_ms=at_ms,
        **members,
    )


def tone(hertz: int, ms: int, rate: int = RATE) -> bytes:
    """A sine as PCM16."""
    count = ms * rate // 1000
    wave = (round(12_000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(count))
    return struct.pack(f"<{count}h", *wave)


async def store(
    data_dir: Path,
    session_id: str,
    *texts: str,
    started_at: str = "2025-01-01T00:00:00.000Z",
    ended_at: str = "2025-01-01T00:01:00.000Z",
    audio_ms: int = 100,
    **members: Any,
) -> None:
    """A session that ended, of one run: what was said in turns, each answer with some audio."""
    storage = AudioStorage(data_dir)
    recorder = await begin(storage, session_id, started_at=started_at, **members)
    say(recorder, texts, audio_ms=audio_ms)
    await recorder.finish("stopped", ended_at, 60_000)
    await storage.close()


async def begin(storage: AudioStorage, session_id: str, **members: Any) -> RunRecorder:
    """A live run."""
    fields = {name: members.pop(name) for name in ("started_at",) if name in members}
    info = run_info(session_id, members.pop("run_id", f"run-of-{session_id}"), **members)
    return await storage.start_run(RunInfo(**{**_fields(info), **fields}))


def say(recorder: RunRecorder, texts: Sequence[str], *, audio_ms: int = 100) -> None:
    """Items in turns, the user first; each of the agent's has audio."""
    for number, text in enumerate(texts):
        role: Role = "assistant" if number % 2 else "user"
        recorder.item(said(role, text, f"item_{number}", number * 1000))
        if role == "assistant" and audio_ms:
            recorder.audio(f"item_{number}", 0, tone(440, audio_ms), number * 1000)
            recorder.audio_end(f"item_{number}", 0, Heard(audio_ms, number * 1000, interrupted=False))


def listed(data_dir: Path, **params: Any) -> list[str]:
    """The ids of the stored sessions."""
    return [s.session_id for s in list_sessions(data_dir, HistoryListParams(**params), Patience()).sessions]


def session(data_dir: Path, session_id: str) -> StoredSession:
    """What is stored of a session itself."""
    return get_session(data_dir, HistoryGetParams(session_id=session_id), Patience()).session


def _fields(info: RunInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in info.__slots__}
