"""The file of `--log-file`, which never grows beyond a bound."""

from __future__ import annotations

import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 10 * 2**20
KEPT = 2
"""Older files, `FILE.1` and `FILE.2`: 30 MiB in all."""


class LogFile(RotatingFileHandler):
    """A log file for its owner alone: names of files, hosts and tools are in it.

    Args:
        path: Made when it is not there.
        max_bytes: Its size at most, and that of each older one.

    Raises:
        OSError: It can't be opened.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(
            path, maxBytes=max_bytes, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
        )

    def doRollover(self) -> None:
        """Begin a new file; or this one anew, in a folder where nothing can be renamed."""
        try:
            super().doRollover()
        except OSError:
            self.stream = self._open()
            self.stream.truncate(0)

    def _open(self) -> TextIOWrapper:
        fd = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(fd, "a", encoding=self.encoding, errors=self.errors)
