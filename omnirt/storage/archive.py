"""`Archive`: what is stored of all sessions, for those who read it, delete it, or take it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from omnirt.errors import OmnirtError
from omnirt.protocol.stored_methods import (
    AudioExportParams,
    AudioExportResult,
    AudioReadParams,
    AudioReadResult,
    HistoryDeleteParams,
    HistoryDeleteResult,
    HistoryGetParams,
    HistoryGetResult,
    HistoryListParams,
    HistoryListResult,
)
from omnirt.storage.patience import Patience

if TYPE_CHECKING:
    from omnirt.storage.history import EarlierRuns
    from omnirt.storage.retention import Policy, Pruned

T = TypeVar("T")

READ_S = 10.0
"""For a question; a database of a million items answers in a tenth of it."""
LONG_S = 600.0
"""For an export or a deletion: hours of audio on a slow disk."""
_READERS = 4
_LONG = 2


class Archive:
    """Each method runs in a thread, on a connection of its own: neither the loop nor the recorder waits.

    Live sessions are in it as well, as far as they are on disk.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._readers = anyio.CapacityLimiter(_READERS)
        self._long = anyio.CapacityLimiter(_LONG)

    async def list(self, params: HistoryListParams) -> HistoryListResult:
        """A page of the sessions.

        Raises:
            OmnirtError: `invalid_params`, `storage_failed`, `timed_out`.
        """

        def work(patience: Patience) -> HistoryListResult:
            from omnirt.storage.history import list_sessions  # brings sqlite3

            return list_sessions(self._data_dir, params, patience)

        return await _in_thread(work, READ_S, self._readers)

    async def get(self, params: HistoryGetParams) -> HistoryGetResult:
        """A page of one session.

        Raises:
            OmnirtError: `not_found`, `invalid_params`, `storage_failed`, `timed_out`.
        """

        def work(patience: Patience) -> HistoryGetResult:
            from omnirt.storage.history import get_session

            return get_session(self._data_dir, params, patience)

        return await _in_thread(work, READ_S, self._readers)

    async def earlier_runs(self, session_id: str, run_id: str, limit: int) -> EarlierRuns | None:
        """What a session was before the run that begins: agents and the last items; None if it is new.

        Raises:
            OmnirtError: `storage_failed`, `timed_out`.
        """

        def work(patience: Patience) -> EarlierRuns | None:
            from omnirt.storage.history import earlier_runs

            return earlier_runs(self._data_dir, session_id, run_id, limit, patience)

        return await _in_thread(work, READ_S, self._readers)

    async def delete(self, params: HistoryDeleteParams) -> HistoryDeleteResult:
        """Delete a session, rows and files.

        Raises:
            OmnirtError: `not_found`, `session_state` when it is live, `storage_failed`, `timed_out`.
        """

        def work(patience: Patience) -> HistoryDeleteResult:
            from omnirt.storage.deleting import delete_session

            return delete_session(self._data_dir, params.session_id, patience)

        return await _in_thread(work, LONG_S, self._long)

    async def prune(self, policy: Callable[[], Policy]) -> Pruned:
        """Apply what `policy` says then, and finish deletions that are half done.

        Raises:
            OmnirtError: `storage_failed`, `timed_out`; and what `policy` raises.
        """

        def work(patience: Patience) -> Pruned:
            from omnirt.storage.retention import prune

            return prune(self._data_dir, policy(), patience)

        return await _in_thread(work, LONG_S, self._long)

    async def read_audio(self, params: AudioReadParams) -> AudioReadResult:
        """A stretch of a recording.

        Raises:
            OmnirtError: `not_found`, `storage_failed`, `timed_out`.
        """

        def work(patience: Patience) -> AudioReadResult:
            from omnirt.storage.export import read_audio

            return read_audio(self._data_dir, params, patience)

        return await _in_thread(work, READ_S, self._readers)

    async def export_audio(self, params: AudioExportParams) -> AudioExportResult:
        """Write an item or a conversation into a file.

        Raises:
            OmnirtError: `not_found`, `invalid_params`, `audio_invalid`, `storage_failed`, `timed_out`.
        """

        def work(patience: Patience) -> AudioExportResult:
            from omnirt.storage.export import export_audio

            return export_audio(self._data_dir, params, patience)

        return await _in_thread(work, LONG_S, self._long)


async def _in_thread(work: Callable[[Patience], T], seconds: float, limiter: anyio.CapacityLimiter) -> T:
    """What `work` returns; it is told to stop when its time is up, or when the request is cancelled."""
    patience = Patience(seconds)
    try:
        with anyio.fail_after(seconds):
            return await anyio.to_thread.run_sync(work, patience, abandon_on_cancel=True, limiter=limiter)
    except TimeoutError:
        raise OmnirtError("timed_out", "The disk does not answer. Check it, and try again.") from None
    finally:
        patience.give_up()
