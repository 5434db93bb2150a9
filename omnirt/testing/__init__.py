"""Fixtures of pytest for those who write a host: `pytest_plugins = ["omnirt.testing"]` in `conftest.py`.

`omnirt_daemon` is a daemon on the simulator, `omnirt_client` a client of one. When a test fails, its report
has the last messages that crossed the wire. Needs pytest, which the extra `testing` brings.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from omnirt.client import Client
from omnirt.testing.daemons import SimulatedDaemon, replay_command
from omnirt.testing.expectations import Expectations
from omnirt.testing.script import Script, script

__all__ = [
    "Expectations",
    "Script",
    "SimulatedDaemon",
    "omnirt_client",
    "omnirt_daemon",
    "pytest_runtest_makereport",
    "replay_command",
    "script",
]

_DAEMON = pytest.StashKey[SimulatedDaemon]()
_PIECES = ('"realtime.audio"', 'Delta"')
"""Of what there is too much to be read."""
_LAST = 20
_LONG = 300


@pytest.fixture
def omnirt_daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SimulatedDaemon]:
    """A daemon on the simulator: its command, environment and data directory; `use` gives it a script."""
    folder = tmp_path / "omnirt"
    folder.mkdir()
    daemon = SimulatedDaemon(folder)
    request.node.stash[_DAEMON] = daemon
    yield daemon
    daemon.close()


@pytest.fixture
def omnirt_client(omnirt_daemon: SimulatedDaemon) -> Client:
    """A client whose daemon is `omnirt_daemon`; it starts with `async with omnirt_client:`."""
    return omnirt_daemon.client(name="test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the end of the tapes of a test that failed."""
    report = yield
    daemon = item.stash.get(_DAEMON, None)
    for tape in daemon.tapes if daemon is not None and report.when == "call" and report.failed else ():
        lines = tape.read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [line for line in lines if not any(piece in line for piece in _PIECES)][-_LAST:]
        report.sections.append((f"omnirt: the end of {tape}", "\n".join(line[:_LONG] for line in lines)))
    return report
