"""For all tests: signals as a host at a terminal has them."""

from __future__ import annotations

import signal
import threading


def pytest_configure() -> None:
    """A shell gives its background jobs an ignored SIGINT, and the daemons of the tests would inherit it."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)
