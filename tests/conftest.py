"""For all tests: signals as a host at a terminal has them, and no health check by the clock."""

from __future__ import annotations

import os
import signal
import threading

from hypothesis import HealthCheck, settings

# A busy machine makes any strategy slow; what a test finds does not depend on it.
settings.register_profile("omnirt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("omnirt")

# The keys in the keyring of whoever runs the tests are not for them; nor for the daemons that they spawn.
os.environ.setdefault("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def pytest_configure() -> None:
    """Background jobs of a shell ignore SIGINT, those of nohup SIGHUP; the daemons of the tests would too."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
