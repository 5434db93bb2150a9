"""Hosts in Node as child processes: what they print, what they play, and the daemon that they spawn."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.programs import find_program, missing

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "tests" / "hosts" / "js" / "node_modules"
WAIT_S = 45.0
"""Every wait ends by then; only ever used up by a failure."""


def make_workshop(folder: Path) -> Path:
    """The examples as their users have them, with their modules, compiled; returns their folder."""
    find_program("node")
    if not (MODULES / "typescript").exists():
        missing("tests/hosts/js has no node_modules (npm ci)")
    for name in ("examples/node", "schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules", "build"))
    (folder / "node_modules").symlink_to(MODULES)
    compiled = compile_types(folder / "examples" / "node")
    assert compiled.returncode == 0, compiled.stdout
    return folder / "examples" / "node"


def compile_types(project: Path) -> subprocess.CompletedProcess[str]:
    """What `tsc` says of the project in this folder."""
    command = [find_program("node"), str(MODULES / "typescript" / "bin" / "tsc"), "-p", str(project)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


def environment(tmp_path: Path) -> dict[str, str]:
    """Finds `omnirt` as an installed user would, and keeps its data out of the way."""
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": found, "OMNIRT_DATA_DIR": str(tmp_path / "data")}


class NodeHost:
    """One host. Made by `running`; killed at the end of the block, whatever happened."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.seen: list[str] = []
        """The lines that were taken so far."""
        threading.Thread(target=self._read, daemon=True).start()

    def type(self, line: str) -> None:
        """As if somebody had typed it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def until(self, beginning: str) -> str:
        """The next line that begins so."""
        while True:
            line = self._lines.get(timeout=WAIT_S)
            assert line is not None, f"it ended, having said {self.seen}"
            self.seen.append(line)
            if line.startswith(beginning):
                return line

    def end(self) -> int:
        """Ends its input; returns its exit code, when `seen` has all that it said."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(WAIT_S)
        while (line := self._lines.get(timeout=WAIT_S)) is not None:
            self.seen.append(line)
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


@contextmanager
def running(script: Path, *args: str, env: dict[str, str]) -> Iterator[NodeHost]:
    """Runs a host beside its data; what it says to stderr is among its lines."""
    process = subprocess.Popen(
        [find_program("node"), str(script), *args],
        env=env,
        cwd=Path(env["OMNIRT_DATA_DIR"]).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield NodeHost(process)
        finally:
            process.kill()


class Listener:
    """Hears what a host plays into a named pipe, and knows how much it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard = bytearray()
        self._ended = False
        self._grew = threading.Condition()
        os.mkfifo(path)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def until(self, size: int) -> None:
        """Returns when so many bytes were played."""
        with self._grew:
            self._grew.wait_for(lambda: len(self.heard) >= size or self._ended, WAIT_S)
        assert len(self.heard) >= size, f"only {len(self.heard)} bytes were played"

    def all(self) -> bytes:
        """Everything, when the host has closed its side."""
        self._thread.join(WAIT_S)
        return bytes(self.heard)

    def _read(self) -> None:
        with self.path.open("rb", buffering=0) as pipe:
            while data := pipe.read(65536):
                with self._grew:
                    self.heard += data
                    self._grew.notify_all()
        with self._grew:
            self._ended = True
            self._grew.notify_all()


def kill_the_daemon_of(script: Path, *args: str, tmp_path: Path) -> tuple[int, list[str]]:
    """Runs a host whose daemon is killed as soon as it is there; the host's exit code, and what it said."""
    pid = Listener(tmp_path / "pid")
    command = tmp_path / "bin" / "omnirt"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho $$ > "{pid.path}"\nexec "{sys.executable}" -m omnirt "$@"\n')
    command.chmod(0o755)
    env = environment(tmp_path)
    env["PATH"] = f"{command.parent}{os.pathsep}{env['PATH']}"
    with running(script, *args, env=env) as host:
        pid.until(1)
        os.kill(int(pid.all()), signal.SIGKILL)
        return host.end(), host.seen
