"""Faults that end nothing: our own, which the log explains, and those of code that is not ours."""

from __future__ import annotations

import asyncio
import logging
import os

from omnirt.errors import OmnirtError

log = logging.getLogger(__name__)


def called_off() -> bool:
    """Whether a `CancelledError` is meant for the task that runs; else what it awaited raised it itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def of_session(log: logging.Logger, session_id: str) -> logging.LoggerAdapter[logging.Logger]:
    """A log whose lines tell of which session they are."""
    return logging.LoggerAdapter(log, {"session_id": session_id})


def fault(error: Exception, what: str) -> OmnirtError:
    """The `internal` error for an exception; `what` names what failed, in words."""
    log_id = os.urandom(4).hex()
    log.error("%s failed (logId %s)", what, log_id, exc_info=error, extra={"log_id": log_id})
    message = f"{what[0].upper()}{what[1:]} failed; the daemon's log tells why ({log_id})."
    return OmnirtError("internal", message, logId=log_id)
