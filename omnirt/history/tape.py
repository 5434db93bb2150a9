"""`omnirt history tape`: a stored session as a tape, for `omnirt replay`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from msgspec import UNSET, json as msgspec_json, to_builtins

from omnirt.errors import OmnirtError
from omnirt.history.retelling import Retelling
from omnirt.protocol.session_methods import SessionStartResult
from omnirt.protocol.stored_methods import (
    MAX_GET_LIMIT,
    HistoryGetParams,
    HistoryGetResult,
    StoredAudio,
    StoredItem,
)
from omnirt.protocol.types import AudioSpec, Features
from omnirt.storage.history import get_session
from omnirt.storage.patience import Patience
from omnirt.storage.runs import StoredRun, runs_of, told_of
from omnirt.tapes.audio import AudioMode, Shelf
from omnirt.tapes.patterns import REST, Json
from omnirt.tapes.writing import header_line, line_of, message_line

_CAN = Features(interrupt=True, truncate=True, commit=True, text=True, images=True, update=True)


def tape_of(data_dir: Path, session_id: str, run_id: str | None, audio: AudioMode) -> Iterator[bytes]:
    """The lines of the tape.

    The host of such a tape starts each of its runs; whatever else it sends is let pass, as nobody knows what
    the host of then sent.

    Args:
        data_dir: Where it is stored.
        session_id: Which one.
        run_id: Of this run alone.
        audio: `inline` or `none`.

    Raises:
        OmnirtError: `not_found`, `storage_failed`, `timed_out`.
    """
    patience = Patience()
    runs = [r for r in runs_of(data_dir, session_id, patience) if run_id in (None, r.run_id)]
    if not runs:
        raise OmnirtError("not_found", f"The session has no run {(run_id or '')[:128]!r}.")
    items, files = _stored(data_dir, session_id, patience)
    yield header_line(None, runs[0].started_at)
    yield line_of({"comment": f"Made of the stored session {session_id}."})
    yield line_of({"dir": "host", "anywhere": {"method": "<str>", REST: True}})
    keep = Shelf(Path("tape"), audio).keep
    begin_ms = 0
    for number, run in enumerate(runs, 1):
        start: dict[str, Json] = {"jsonrpc": "2.0", "id": number, "method": "session.start"}
        # Not through `message_line`: it has a pattern, as any start will do.
        start["params"] = {"sessionId": session_id, REST: True}
        yield line_of({"dir": "host", "atMs": begin_ms, "msg": start})
        reply: Json = {
            "jsonrpc": "2.0",
            "id": number,
            "result": _started(session_id, run, resumed=number > 1),
        }
        yield message_line("daemon", begin_ms, reply, keep)
        of_run = [item for item in items if item.run_id == run.run_id]
        recorded = [file for file in files if file.run_id == run.run_id]
        told = told_of(data_dir, run.run_id, patience)
        at_ms = 0
        for event in Retelling(session_id, run, of_run, recorded, told).events():
            at_ms = event.at_ms
            message = {"jsonrpc": "2.0", "method": event.METHOD, "params": to_builtins(event)}
            yield message_line("daemon", begin_ms + at_ms, cast("Json", message), keep)
        begin_ms += at_ms


def _stored(
    data_dir: Path, session_id: str, patience: Patience
) -> tuple[list[StoredItem], list[StoredAudio]]:
    items: list[StoredItem] = []
    files: list[StoredAudio] = []
    cursor: str | None = None
    while True:
        params = HistoryGetParams(session_id=session_id, limit=MAX_GET_LIMIT, cursor=cursor)
        page: HistoryGetResult = get_session(data_dir, params, patience)
        items += page.items
        files += page.audio
        if page.next_cursor is UNSET:
            return items, files
        cursor = page.next_cursor


def _started(session_id: str, run: StoredRun, *, resumed: bool) -> Json:
    result = SessionStartResult(
        session_id=session_id,
        run_id=run.run_id,
        resumed=resumed,
        started_at=run.started_at,
        agent=run.agent,
        provider=run.provider,
        model=run.model,
        input_audio=AudioSpec(format=run.input_format, sample_rate=run.input_rate),
        output_audio=AudioSpec(format=run.output_format, sample_rate=run.output_rate),
        features=_CAN,
    )
    return cast("Json", msgspec_json.decode(msgspec_json.encode(result)))
