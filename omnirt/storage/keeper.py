"""Retention in the background of a daemon: soon after its start, and every hour."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from omnirt.errors import OmnirtError
from omnirt.storage.archive import Archive

if TYPE_CHECKING:
    from omnirt.storage.retention import Policy

logger = logging.getLogger(__name__)

START_S = 1.0
"""The first answers go before."""
EVERY_S = 3600.0
JUMP_S = 3600.0
"""A clock that is set ahead by more between two rounds is not believed at once."""


def day_offset() -> float:
    """What the clock of the day is ahead of one that nobody sets and that does not stop: the same, always."""
    steady = time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()
    return time.time() - steady


class Keeper:
    """Applies a policy until it is closed.

    Args:
        archive: What is stored.
        policy: Asked each time, in a thread: the configuration may have changed.
    """

    def __init__(self, archive: Archive, policy: Callable[[], Policy]) -> None:
        self._archive = archive
        self._policy = policy
        self._offset = day_offset()
        self._task = asyncio.create_task(self._keep(), name="omnirt-keeper")

    def close(self) -> None:
        """Stop; a deletion under way is finished at the next start."""
        self._task.cancel()

    async def _keep(self) -> None:
        await asyncio.sleep(START_S)
        while True:
            jump_s, self._offset = day_offset() - self._offset, day_offset()
            if jump_s < JUMP_S:
                await self._apply()
            else:  # what seems old now may be of today, if the clock is wrong
                hours = round(jump_s / 3600)
                logger.warning("the clock was set ahead by %d hours: retention waits for an hour", hours)
            await asyncio.sleep(EVERY_S)

    async def _apply(self) -> None:
        try:
            pruned = await self._archive.prune(self._policy)
            if pruned.sessions:
                logger.info("retention deleted %d sessions", len(pruned.sessions))
            if pruned.left:
                logger.warning("%d recordings can't be removed, such as %s", len(pruned.left), pruned.left[0])
        except OmnirtError as error:
            logger.warning("retention was not applied: %s", error.message)
        except Exception:  # the next hour may go better
            logger.exception("retention was not applied")
