"""Faults of our own that end nothing: told by a log id, explained in the log."""

from __future__ import annotations

import logging
import os

from omnirt.errors import OmnirtError

log = logging.getLogger(__name__)


def fault(error: Exception, what: str) -> OmnirtError:
    """The `internal` error for an exception; `what` names what failed, in words."""
    log_id = os.urandom(4).hex()
    log.error("%s failed (logId %s)", what, log_id, exc_info=error)
    message = f"{what[0].upper()}{what[1:]} failed; the daemon's log tells why ({log_id})."
    return OmnirtError("internal", message, logId=log_id)
