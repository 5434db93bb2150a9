"""The command line: what is run, and what it says when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from omnirt import __version__
from omnirt.cli import COMMANDS

OMNIRT = (sys.executable, "-m", "omnirt")
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


def run(*args: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*OMNIRT, *args], timeout=30, check=False, capture_output=True, input=PING)


@pytest.mark.parametrize("args", [[], ["serve"], ["--framing", "lines"], ["serve", "--stdio"]])
def test_the_daemon_is_the_default_when_stdin_is_no_terminal(args: list[str]) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout) == (0, b'{"jsonrpc":"2.0","id":1,"result":{}}\n')


def test_on_a_terminal_the_commands_are_listed() -> None:
    master, slave = os.openpty()
    done = subprocess.run(OMNIRT, timeout=30, check=False, stdin=slave, capture_output=True)
    os.close(master)
    os.close(slave)
    assert (done.returncode, done.stdout) == (2, b"")
    assert all(name.encode() in done.stderr for name in COMMANDS)


def test_the_version_is_told() -> None:
    assert run("--version").stdout.decode() == f"omnirt {__version__}\n"


def test_help_lists_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(name.encode() in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("args", [["sevre"], ["--no-such-flag"]])
def test_what_is_unknown_is_code_2(args: list[str]) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert done.stdout
