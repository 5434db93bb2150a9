"""The command line: what is run, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

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


def test_a_folder_that_cannot_be_written_is_one_line_and_code_2() -> None:
    done = run("schema", "--write", "/dev/null/x")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1


def test_schemas_that_are_stale_are_told_to_programs_too(tmp_path: Path) -> None:
    written = json.loads(run("schema", "--write", str(tmp_path), "--json").stdout)["written"]
    assert {"openrpc.json", "omnirt.d.ts"} <= set(written)
    assert json.loads(run("schema", "--check", str(tmp_path), "--json").stdout) == {"ok": True, "stale": []}
    (tmp_path / "agent.json").unlink()
    done = run("schema", "--check", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, {"ok": False, "stale": ["agent.json"]})


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["schema"]])
def test_a_reader_that_is_gone_is_no_news(args: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*OMNIRT, *args], timeout=30, check=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*OMNIRT, "--version"], timeout=30, check=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_an_early_interrupt_says_nothing() -> None:
    code = (
        "import sys, os, signal, omnirt.__main__ as m\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'omnirt.daemon.process': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['omnirt', 'serve']\n"
        "sys.exit(m.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_the_log_file_is_for_its_owner(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run("serve", "--log-file", str(log)).returncode == 0
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("args", ["--version", "--help", "schema errors", "nonsense", "serve"])
def test_closed_streams_are_no_fault(args: str, closed: str) -> None:
    command = f"exec {shlex.join(OMNIRT)} {args} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], timeout=30, check=False, capture_output=True)
    assert done.returncode == (2 if args == "nonsense" else 0)
    assert b"Traceback" not in done.stderr
