"""stdin and stdout of every kind: pipes, files, sockets, terminals, none; and what must not be on stdout."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import COMMAND, WAIT_S, Daemon, driven

ODD = (sys.executable, "-m", "tests.support.odd_daemon")
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
PONG = b'{"jsonrpc":"2.0","id":1,"result":{}}\n'


def run(**streams: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(COMMAND, timeout=WAIT_S, check=False, **streams)


@driven
async def test_nothing_but_protocol_is_on_stdout_whatever_prints() -> None:
    async with Daemon.spawn(command=ODD) as daemon:
        await daemon.result("session.get", {"sessionId": "s"})
        await daemon.result("ping")
        daemon.close_stdin()
        assert await daemon.wait_exit() == 0
        assert len(daemon.seen) == 2
        assert b"stray" not in daemon.stdout
        for text in (b"print", b"flushed print", b"write", b"os.write", b"child"):
            assert b"stray " + text in daemon.stderr or text == b"flushed print"


def test_stdin_may_be_a_file_and_stdout_as_well(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(PING * 5000)
    with source.open("rb") as stdin, target.open("wb") as stdout:
        assert run(stdin=stdin, stdout=stdout).returncode == 0
    assert target.read_bytes() == PONG * 5000


def test_stdin_may_be_the_null_device() -> None:
    done = run(stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_stdout_may_be_the_null_device() -> None:
    assert run(input=PING, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("missing", ["0", "1", "2", "0 1 2"])
def test_a_missing_stream_is_the_null_device(missing: str) -> None:
    closing = " ".join(f"{fd}<&-" if fd == "0" else f"{fd}>&-" for fd in missing.split())
    script = f'exec "$0" -m omnirt serve {closing}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], input=PING, capture_output=True, timeout=WAIT_S
    )
    assert done.returncode == 0
    assert done.stdout == (PONG if missing == "2" else b"")


def test_one_socket_may_be_both_streams() -> None:
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen(COMMAND, stdin=theirs.fileno(), stdout=theirs.fileno()) as process:
        theirs.close()
        ours.settimeout(WAIT_S)
        ours.sendall(PING * 100)
        ours.shutdown(socket.SHUT_WR)
        assert ours.makefile("rb").read() == PONG * 100
        assert process.wait(WAIT_S) == 0


def test_a_terminal_may_be_both_streams_and_its_settings_are_left_alone() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    before = (fcntl.fcntl(slave, fcntl.F_GETFL), termios.tcgetattr(slave))
    with subprocess.Popen(COMMAND, stdin=slave, stdout=slave) as process:
        os.write(master, PING)
        received = b""
        while not received.endswith(PONG):
            assert select.select([master], [], [], WAIT_S)[0]
            received += os.read(master, 1000)
        os.write(master, b'{"method":"exit"}\n')
        assert process.wait(WAIT_S) == 1
    assert (fcntl.fcntl(slave, fcntl.F_GETFL), termios.tcgetattr(slave)) == before
    os.close(master)
    os.close(slave)


def test_a_terminal_that_hangs_up_ends_the_daemon() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    with subprocess.Popen(COMMAND, stdin=slave, stdout=slave, stderr=subprocess.DEVNULL) as process:
        os.close(slave)
        os.write(master, PING)
        assert select.select([master], [], [], WAIT_S)[0]
        os.close(master)
        assert process.wait(WAIT_S) == 0


def test_a_shared_pipe_stays_blocking_for_the_others() -> None:
    read, write = os.pipe()
    assert run(input=PING, stdout=write).returncode == 0
    assert os.get_blocking(write)
    assert os.read(read, 1000) == PONG
    os.close(read)
    os.close(write)


def test_a_host_that_writes_all_before_it_reads_gets_every_reply() -> None:
    """Far more than the pipes hold, either way: the daemon must read on while nobody reads it."""
    many = 100_000
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(b'{"id":%d,"method":"ping"}\n' % n for n in range(many)))
        process.stdin.close()
        ids = [json.loads(line)["id"] for line in process.stdout]
        assert ids == list(range(many))
        assert process.wait(WAIT_S) == 0


@pytest.fixture
def stalled() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A daemon whose stdout is full, and the end of it that nobody reads."""
    read, write = os.pipe()
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=write) as process:
        os.close(write)
        assert process.stdin is not None
        process.stdin.write(b'{"id":1,"method":"initialize"}\n' + PING * 20_000)
        process.stdin.flush()
        yield process, read
        process.kill()
    os.close(read)


def test_a_stalled_reader_does_not_hold_up_a_signal(stalled: tuple[subprocess.Popen[bytes], int]) -> None:
    process, read = stalled
    assert select.select([read], [], [], WAIT_S)[0]
    process.terminate()
    assert process.wait(WAIT_S) == 0


def test_a_slow_reader_gets_everything_after_the_end_of_stdin(
    stalled: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, read = stalled
    assert process.stdin is not None
    process.stdin.close()
    received = b""
    while chunk := os.read(read, 7000):
        received += chunk
    assert received.count(b"\n") == 20_001
    assert process.wait(WAIT_S) == 0


def test_stdin_that_ends_in_the_middle_of_a_framed_message_is_told() -> None:
    done = run(input=b"Content-Length: 100\r\n\r\n{", capture_output=True)
    assert done.returncode == 0
    assert json.loads(done.stdout.partition(b"\r\n\r\n")[2])["error"]["code"] == -32700


def test_two_daemons_live_in_one_process() -> None:
    import asyncio

    from omnirt.daemon.serving import Daemon as InProcess
    from omnirt.settings import ServeSettings

    async def both() -> list[int]:
        ends = [(socket.socketpair(), socket.socketpair()) for _ in range(2)]
        daemons = [
            InProcess(ServeSettings(), stdin[1].detach(), stdout[1].detach()) for stdin, stdout in ends
        ]
        running = [asyncio.create_task(daemon.run()) for daemon in daemons]
        for (stdin, _), sent in zip(ends, (PING, PING * 2), strict=True):
            stdin[0].sendall(sent)
            stdin[0].close()
        codes = await asyncio.wait_for(asyncio.gather(*running), WAIT_S)
        for (_, stdout), expected in zip(ends, (PONG, PONG * 2), strict=True):
            stdout[0].settimeout(WAIT_S)
            assert stdout[0].makefile("rb").read() == expected
            stdout[0].close()
        return codes

    assert asyncio.run(both()) == [0, 0]


def test_a_slow_reader_gets_everything_after_exit_while_it_reads(
    stalled: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, read = stalled
    assert process.stdin is not None
    assert select.select([read], [], [], WAIT_S)[0]
    process.stdin.write(b'{"id":9,"method":"exit"}\n')
    process.stdin.flush()
    received = b""
    while chunk := os.read(read, 7000):
        received += chunk
    assert received.count(b"\n") == 20_002
    assert process.wait(WAIT_S) == 1
