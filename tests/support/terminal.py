"""A pseudo-terminal, for tests of programs that show people something else than pipes."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from typing import NamedTuple

WAIT_S = 60
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Shown(NamedTuple):
    """What a program left on a terminal, and how it ended."""

    code: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """What is to be read, without colours and movements of the cursor."""
        return [
            line.rpartition("\r")[2] for line in _CODES.sub("", self.raw).replace("\r\n", "\n").split("\n")
        ]

    @property
    def text(self) -> str:
        """The same with every space and end of a line as one space."""
        return " ".join(" ".join(self.lines).split())


def read(terminal: int) -> bytes:
    """What a terminal shows next; nothing once its last program is gone."""
    try:
        return os.read(terminal, 1024)
    except OSError:
        return b""


def show(argv: Sequence[str], *, columns: int, **variables: str) -> Shown:
    """Runs a program on a terminal of so many columns, by default an xterm with colours."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    with subprocess.Popen(
        argv, stdin=its, stdout=its, stderr=its, env={**env, "TERM": "xterm-256color", **variables}
    ) as program:
        os.close(its)
        shown = b"".join(iter(lambda: read(ours), b""))
        os.close(ours)
        return Shown(program.wait(WAIT_S), shown.decode())
