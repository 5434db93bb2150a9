"""Daemons for tests: on the simulator with a data directory of their own, or from a tape."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omnirt.client import Client
from omnirt.tapes.lines import DaemonLine, HostLine, Stall, read_tape
from omnirt.tapes.patterns import Json
from omnirt.testing.script import Script, checked

SPEED = 20
"""How much faster than life the simulator is."""
_END_S = 10.0
_FOREIGN = ("OMNIRT_", "OPENAI_", "AZURE_")


class SimulatedDaemon:
    """How to start a daemon that needs neither key nor network: all its sessions talk to the simulator.

    Only a host that names a provider in `settings` gets that one.

    Args:
        folder: For its data, its configuration and its tape.

    Attributes:
        command: For a host that spawns its daemon by itself.
        env: The environment of that process: this one's, without the settings of whoever runs the tests.
        data_dir: What it stores.
    """

    def __init__(self, folder: Path) -> None:
        self.command = [sys.executable, "-m", "omnirt", "serve"]
        self.data_dir = folder / "data"
        self._folder = folder
        self._config = folder / "config.toml"
        self._processes: list[subprocess.Popen[bytes]] = []
        own = {
            "DATA_DIR": self.data_dir,
            "CONFIG": self._config,
            "TAPE": folder / "tape-{pid}.jsonl",
            "TAPE_AUDIO": "none",
            "TAPE_SYNC": 1,
        }
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        self.env |= {f"OMNIRT_{name}": str(value) for name, value in own.items()}
        self.use({})

    def use(self, script: Script | Mapping[str, Any], *, speed: float = SPEED) -> None:
        """From now on the agent of each session that starts follows this script.

        Raises:
            OmnirtError: Something in it is wrong; with its place.
        """
        document = script.build() if isinstance(script, Script) else checked(dict(script))
        file = self._config.with_name("script.json")
        file.write_text(json.dumps(document), encoding="utf-8")
        simulator = f"[simulator]\nscript = {json.dumps(str(file))}\nspeed = {speed}\n"
        self._config.write_text(f'provider = "simulator"\n{simulator}', encoding="utf-8")

    def client(self, **options: Any) -> Client:
        """A client of `omnirt.client` whose daemon this is; `options` are those of `Client`."""
        return Client(self.command, **{"env": self.env, **options})

    def popen(self, **options: Any) -> subprocess.Popen[bytes]:
        """Starts a daemon with pipes; it is ended with the test."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(self.command, **{"env": self.env, **pipes, **options})
        self._processes.append(process)
        return process

    @property
    def tapes(self) -> list[Path]:
        """What crossed the wire, a tape for each daemon that was spoken to, in the order of their starts."""
        found = [read_tape(path) for path in self._folder.glob("tape-*.jsonl") if path.stat().st_size]
        return [tape.path for tape in sorted(found, key=lambda tape: str(tape.header.get("startedAt")))]

    def sent(self, method: str | None = None) -> list[Any]:
        """What the host has sent so far, to all its daemons, or what of it has this method."""
        return self._messages((line.message for line in self._lines() if isinstance(line, HostLine)), method)

    def told(self, method: str | None = None) -> list[Any]:
        """What the host was told so far: replies, calls and notifications, or those of this method."""
        told = (line.patterns[0] for line in self._lines() if isinstance(line, DaemonLine))
        return self._messages(told, method)

    def _lines(self) -> list[HostLine | DaemonLine | Stall]:
        return [line for path in self.tapes for line in read_tape(path).lines]

    def _messages(self, messages: Iterable[Json], method: str | None) -> list[Any]:
        found = (message for message in messages if isinstance(message, dict))
        return [message for message in found if method in (None, message.get("method"))]

    def close(self) -> None:
        """Ends what `popen` started."""
        for process in self._processes:
            process.kill()
            process.communicate(timeout=_END_S)


def replay_command(
    tape: Path | str, *, timing: str = "none", ignore_audio: bool = False, timeout_s: float = 30.0
) -> list[str]:
    """The command of a daemon that plays a tape, and ends with code 1 when the host diverges from it."""
    options = [
        "--timing",
        timing,
        "--timeout",
        f"{timeout_s:g}",
        *(["--ignore-audio"] if ignore_audio else []),
    ]
    return [sys.executable, "-m", "omnirt", "replay", str(tape), *options]
