"""The process around a daemon: descriptors, logs, signals, and an end that nothing can hold up."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from omnirt import logs
from omnirt.daemon.family import children, kill_children
from omnirt.daemon.serving import Daemon
from omnirt.settings import ServeSettings, parse_serve
from omnirt.stdio import claim

if TYPE_CHECKING:
    from omnirt.daemon.taping import Taping

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_GONE_AFTER_SIGNAL_S = 4.9


def run(argv: Sequence[str]) -> int:
    """`omnirt serve`: never returns when it has served."""
    settings = parse_serve(argv, os.environ)
    if settings.config is not None and not _is_config(settings.config):
        return 2
    fd_in, fd_out = claim()
    inherited = children()
    try:
        logs.configure(settings.log_level, settings.log_format, settings.log_file)
    except OSError as error:
        sys.stderr.write(f"omnirt serve: the log file cannot be opened ({error.strerror}).\n")
        return 2
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(_serve(settings, fd_in, fd_out, inherited))
    kill_children(inherited)
    return _leave(code)


def _is_config(path: Path) -> bool:
    """Whether the configuration file that was named can be read; if not, says why."""
    from omnirt.errors import OmnirtError  # with --config only, as what follows takes a while
    from omnirt.providers.config import load_config

    try:
        load_config(path, path.parent)
    except OmnirtError as error:
        sys.stderr.write(f"omnirt serve: {path}: {error.message}\n")
        return False
    return True


async def _serve(settings: ServeSettings, fd_in: int, fd_out: int, inherited: set[int]) -> int:
    tape = None
    if settings.tape is not None:
        try:
            tape = _open_tape(settings, settings.tape)
        except OSError as error:
            sys.stderr.write(f"omnirt serve: the tape {settings.tape} cannot be opened ({error.strerror}).\n")
            return 2
    daemon = Daemon(settings, fd_in, fd_out, tape)
    _Signals(asyncio.get_running_loop(), daemon, inherited)
    return await daemon.run()


def _open_tape(settings: ServeSettings, path: Path) -> Taping:
    from omnirt.daemon.taping import Taping, given_secrets  # with --tape only, as it takes a while

    secrets = given_secrets(settings.config, os.environ)
    limit = settings.max_message_bytes
    return Taping(
        Path(str(path).replace("{pid}", str(os.getpid()))),
        settings.tape_audio,
        secrets,
        framing=settings.framing,
        max_message_bytes=limit,
        sync=settings.tape_sync,
    )


class _Signals:
    """The first signal ends the daemon in order, a second one (or a daemon that is stuck) by force.

    A handler of Python's own, not the loop's: it runs even while a tool keeps the loop busy.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, daemon: Daemon, inherited: set[int]) -> None:
        self._loop = loop
        self._daemon = daemon
        self._inherited = inherited
        self._seen = False
        for number in _SIGNALS:
            # A host that starts us with SIGINT or SIGHUP ignored (nohup, `&` in a script) means it.
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._caught)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self._seen:
            _force(128 + number, self._inherited)
        self._seen = True
        watchdog = threading.Timer(_GONE_AFTER_SIGNAL_S, _force, [128 + number, self._inherited])
        watchdog.daemon = True
        watchdog.start()
        self._loop.call_soon_threadsafe(self._daemon.end, "signal")


def _force(code: int, inherited: set[int]) -> NoReturn:
    kill_children(inherited)
    os._exit(code)


def _leave(code: int) -> NoReturn:
    """Ends the process without waiting for threads: one may be inside an import, a read or a slow tool."""
    try:
        atexit._run_exitfuncs()
        logging.shutdown()
        sys.stderr.flush()
    except OSError:
        pass  # the host closed our stderr
    os._exit(code)
