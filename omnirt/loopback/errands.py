"""Has the jobs done that a conversation wants: a task for each, ended when the job is wanted no more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from omnirt.errors import OmnirtError
from omnirt.loopback.parts import Job, Performer

_log = logging.getLogger("omnirt.loopback")


class Errands:
    """The jobs of one conversation.

    Args:
        perform: Does a job.
        wake: Called whenever something came of one.
    """

    def __init__(self, perform: Performer, wake: Callable[[], None]) -> None:
        self._perform = perform
        self._wake = wake
        self._tasks: dict[Job, asyncio.Task[None]] = {}

    def follow(self, wanted: Sequence[Job]) -> None:
        """Begin what is new, and end what is wanted no more."""
        for job in wanted:
            if not job.over and job not in self._tasks:
                self._tasks[job] = asyncio.create_task(self._do(job))
        for job in [job for job in self._tasks if job not in wanted]:
            self._tasks.pop(job).cancel()

    async def _do(self, job: Job) -> None:
        try:
            await self._perform(job, self._wake)
        except OmnirtError as error:
            _log.warning("%s failed: %s: %s", type(job).__name__, error.kind, error.message)
            job.fail(job.failure or error.message)
        except Exception:  # noqa: BLE001 - one job's fault ends one response, and the log has it
            _log.exception("%s failed", type(job).__name__)
            job.fail(job.failure or "The provider failed; its log says how.")
        finally:
            self._wake()

    async def close(self) -> None:
        """End all."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
