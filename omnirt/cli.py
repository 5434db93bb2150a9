"""The command line. Each command is a module of its own, imported when it is asked for."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

from omnirt import __version__

COMMANDS = {
    "serve": (
        "omnirt.daemon.process",
        "the daemon on stdin and stdout (the default when stdin is no terminal)",
    ),
    "demo": ("omnirt.demo.command", "a voice conversation with the daemon, offline"),
    "talk": ("omnirt.talk.command", "a conversation with an agent, by voice or in text"),
    "check": ("omnirt.check_command", "tells what is wrong with agents in files"),
    "simulate": ("omnirt.loopback.command", "the simulated provider, for any realtime client"),
    "replay": ("omnirt.replay.command", "plays the daemon of a tape to a host, to test the host"),
    "history": ("omnirt.history.command", "lists, shows, exports and deletes stored conversations"),
    "storage": ("omnirt.history.storage_command", "finds and repairs what a crash left in the storage"),
    "doctor": ("omnirt.doctor.command", "finds out what keeps a session from working"),
    "auth": ("omnirt.auth_command", "keys in the keyring of the operating system"),
    "schema": ("omnirt.schema_command", "prints, writes or checks the schemas"),
}
"""Name → module with `run(argv) -> exit code`, and what it does."""

EXAMPLES = (
    "  omnirt demo --fast",
    """  echo '{"jsonrpc":"2.0","id":1,"method":"ping"}' | omnirt serve""",
    "  omnirt check agents/",
    "  omnirt history list",
)


def main(argv: Sequence[str]) -> int:
    """Runs a command and returns its exit code."""
    _open_closed()
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")  # it shows `?` for what it does not have, and goes on
    try:
        code = _choose(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # `omnirt schema | head`
        return _quiet(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write(f"omnirt: {error.strerror}.\n")
        return _quiet(1)
    return code


def _open_closed() -> None:
    """Opens the null device for each stream that is closed (`>&-`), lest the next file gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _quiet(code: int) -> int:
    """`code`, with stdout turned away, where Python would fail again to write what is left."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return code


def _choose(argv: Sequence[str]) -> int:
    command, rest = (argv[0], argv[1:]) if argv else ("", argv)
    if command in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0
    if command == "--version":
        sys.stdout.write(f"omnirt {__version__}\n")
        return 0
    if command in COMMANDS:
        return _run(command, rest)
    if command and not command.startswith("-"):
        sys.stderr.write(f"omnirt: there is no command {command!r}.\n{_usage()}")
        return 2
    if command or not _is_terminal():
        return _run("serve", argv)
    sys.stderr.write(_usage())
    return 2


def _run(command: str, argv: Sequence[str]) -> int:
    module = importlib.import_module(COMMANDS[command][0])
    code: int = module.run(argv)
    return code


def _is_terminal() -> bool:
    return os.isatty(0)


def _usage() -> str:
    lines = [f"  {name:<9} {does}" for name, (_, does) in COMMANDS.items()]
    head = ["usage: omnirt [--version] [COMMAND] …", "", "commands:"]
    return "\n".join([*head, *lines, "", "omnirt COMMAND --help tells more.", "", "examples:", *EXAMPLES, ""])
