"""Settings of `omnirt serve`: each is a flag, or a variable of the environment, or its default."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

Framing = Literal["auto", "lines", "headers"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
TapeAudio = Literal["files", "inline", "none"]

MIN_MESSAGE_BYTES = 1
MAX_MESSAGE_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True)
class ServeSettings:
    """How one daemon runs."""

    framing: Framing = "auto"
    data_dir: Path | None = None
    config: Path | None = None
    agents: Path | None = None
    log_level: LogLevel = "warning"
    log_format: LogFormat = "text"
    log_file: Path | None = None
    max_message_bytes: int = 16 * 1024 * 1024
    drain_timeout: float = 120.0
    no_code: bool = False
    tape: Path | None = None
    tape_audio: TapeAudio = "files"
    tape_sync: bool = False


class Option(NamedTuple):
    """One member of `ServeSettings`: `--data-dir DIR`, `OMNIRT_DATA_DIR`."""

    convert: Callable[[str], object]
    metavar: str
    help: str


def parse_serve(argv: Sequence[str], environ: Mapping[str, str]) -> ServeSettings:
    """The settings that flags and environment make; a wrong one ends the process with code 2 and a reason."""
    parser = argparse.ArgumentParser(
        prog="omnirt serve",
        description="The daemon: JSON-RPC 2.0 on stdin and stdout, logs on stderr.",
        epilog="Each option has a variable as well (OMNIRT_DATA_DIR for --data-dir); the option wins.\n\n"
        "examples:\n"
        """  echo '{"jsonrpc":"2.0","id":1,"method":"ping"}' | omnirt serve\n"""
        "  omnirt serve --data-dir data --agents agents/ --log-level info\n"
        "  omnirt serve --tape talk.jsonl < requests.jsonl",
        allow_abbrev=False,
        # With a width it does not ask the terminal for one, by modules that every start would pay for.
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100),
    )
    parser.add_argument("--stdio", action="store_true", help="accepted, means nothing")
    parser.add_argument(
        "--no-code", action="store_const", const=True, help="refuse specs that would run code"
    )
    for name, option in OPTIONS.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=option.convert, metavar=option.metavar, help=option.help)
    flags = vars(parser.parse_args(argv))
    values: dict[str, object] = {}
    converters = {name: option.convert for name, option in OPTIONS.items()}
    for name, convert in {**converters, "no_code": _switch}.items():
        text = environ.get(_variable(name), "")
        if flags[name] is not None:
            values[name] = flags[name]
        elif text:
            try:
                values[name] = convert(text)
            except argparse.ArgumentTypeError as error:
                parser.error(f"{_variable(name)}: {error}")
    return ServeSettings(**values)  # type: ignore[arg-type] # each value comes from its own converter


def _variable(name: str) -> str:
    return f"OMNIRT_{name.upper()}"


def _one_of(literal: object) -> Callable[[str], str]:
    choices = cast("tuple[str, ...]", get_args(literal))

    def convert(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return convert


def _message_bytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and MIN_MESSAGE_BYTES <= int(text) <= MAX_MESSAGE_BYTES):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number from {MIN_MESSAGE_BYTES} to {MAX_MESSAGE_BYTES}"
        )
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 86400")
    return seconds


def _switch(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither 1 nor 0")
    return lowered in ("1", "true", "yes", "on")


OPTIONS: dict[str, Option] = {
    "framing": Option(_one_of(Framing), "auto|lines|headers", "how messages are framed (default: auto)"),
    "data_dir": Option(Path, "DIR", "where conversations are stored"),
    "config": Option(Path, "FILE", "configuration file (TOML)"),
    "agents": Option(Path, "DIR", "agents that hosts start by name"),
    "log_level": Option(_one_of(LogLevel), "debug|info|warning|error", "what is logged (default: warning)"),
    "log_format": Option(_one_of(LogFormat), "text|json", "how it is logged (default: text)"),
    "log_file": Option(Path, "FILE", "log into this file as well as to stderr"),
    "max_message_bytes": Option(_message_bytes, "N", "longer messages are skipped (default: 16 MiB)"),
    "drain_timeout": Option(
        _seconds, "S", "how long requests may run on after the end of stdin (default: 120)"
    ),
    "tape": Option(Path, "FILE", "record all messages, without secrets, into this file ({pid}: its process)"),
    "tape_audio": Option(
        _one_of(TapeAudio),
        "files|inline|none",
        "where audio of the tape goes (default: FILE.audio beside it)",
    ),
    "tape_sync": Option(
        _switch, "1|0", "each message is on the tape before it leaves, for tests (default: 0)"
    ),
}
