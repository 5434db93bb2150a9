"""Logging to stderr: text for people, or JSON lines for collectors; never to stdout."""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from omnirt.protocol import jsonrpc
from omnirt.settings import LogFormat, LogLevel

MAX_REPEATS = 20
"""Warnings and errors from one place in the code within `REPEATS_S`; those after are counted, not written."""
REPEATS_S = 60.0


def configure(level: LogLevel, log_format: LogFormat, log_file: Path | None) -> None:
    """Sets the process's logging up. Called once, by the command line.

    Libraries are heard from `warning` on only: their debug logs hold audio, prompts and headers.

    Raises:
        OSError: The log file cannot be opened.
    """
    formatter = JsonFormatter() if log_format == "json" else TextFormatter()
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log_file is not None:
        from omnirt.log_files import LogFile  # with --log-file only, as what it brings takes a while

        handlers.append(LogFile(log_file))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(Repeats())
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("omnirt").setLevel(level.upper())
    # It quotes what a server sends that is no message, with a traceback for each line.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    logging.raiseExceptions = False  # a host that closed our stderr must not make us fail
    logging.captureWarnings(True)
    # What nobody catches is a record like any other, so that its secrets are masked.
    sys.excepthook = _crashed
    threading.excepthook = lambda args: _crashed(args.exc_type, args.exc_value, args.exc_traceback)


def _crashed(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        logging.getLogger("omnirt").critical("a fault that nobody caught", exc_info=(kind, error, trace))


class Repeats(logging.Filter):
    """Lets a fault that comes again and again not fill the disk.

    What a host was given a `logId` of is written always, if without its traceback. The next line after those
    that were not written has their number as `repeats`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sites: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.levelno < logging.WARNING:
            return True
        site, now = (record.pathname, record.lineno), time.monotonic()
        began, count = self._sites.get(site, (now, 0))
        if now - began >= REPEATS_S:
            record.repeats = max(0, count - MAX_REPEATS)
            began, count = now, 0
        self._sites[site] = began, count + 1
        if count < MAX_REPEATS:
            return True
        record.exc_info = record.exc_text = None
        return hasattr(record, "log_id")


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z WARNING omnirt.daemon: …`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """RFC 3339 in UTC."""
        return _rfc3339(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, its session, and how many like it were not written."""
        session_id, repeats = getattr(record, "session_id", ""), getattr(record, "repeats", 0)
        line = super().formatMessage(record) + (f" (session {session_id})" if session_id else "")
        return line + (f" (and {repeats} more before)" if repeats else "")


_MEMBERS = (("logId", "log_id"), ("sessionId", "session_id"), ("repeats", "repeats"))
"""Members of a line that not every record has, and what they are called in its `extra`."""


class JsonFormatter(logging.Formatter):
    """One object per line: `time`, `level`, `logger`, `message`, and what else there is in `_MEMBERS`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, attribute in _MEMBERS:
            if value := getattr(record, attribute, None):
                line[name] = value
        if record.exc_text is None and record.exc_info:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text  # a filter may have put it there, with its secrets masked
        return jsonrpc.encode(line).decode()


def _rfc3339(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
