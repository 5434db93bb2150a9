"""The arguments of `omnirt history` and `omnirt storage`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.storage.paths import default_data_dir
from omnirt.terminal import Help, examples


def history_parser() -> argparse.ArgumentParser:
    """Those of `omnirt history`; `args.command` says which of its commands."""
    parser = argparse.ArgumentParser(
        prog="omnirt history",
        description="What is stored of conversations, whether or not a daemon runs.",
        epilog=examples("omnirt history list", "omnirt history show s1", "omnirt history show s1 --json"),
        formatter_class=Help,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")

    sub = _command(
        commands,
        "list",
        "Sessions, the newest first.",
        ("omnirt history list --query 'lisbon weath*'", "omnirt history list --all --json"),
    )
    sub.add_argument("--project", metavar="SLUG", help="of this project alone")
    sub.add_argument("--agent", metavar="SLUG", help="with this agent alone")
    sub.add_argument("--query", metavar="WORDS", help="in which all of these were said; wo* finds word")
    sub.add_argument("--limit", metavar="N", type=_above_0(int), default=50, help="at most so many (50)")
    sub.add_argument("--all", action="store_true", help="all of them")

    sub = _command(
        commands,
        "show",
        "Who said what in a session, and when; what nobody heard, tools and recordings.",
        ("omnirt history show s1", "omnirt history show s1 --json"),
    )
    sub.add_argument("session", metavar="SESSION")

    sub = _command(
        commands,
        "export",
        "The conversation as a stereo WAV file, or one item of it.",
        ("omnirt history export s1 talk.wav", "omnirt history export s1 talk.wav --overwrite --json"),
    )
    sub.add_argument("session", metavar="SESSION")
    sub.add_argument("file", metavar="FILE", type=Path)
    sub.add_argument("--item", metavar="ITEM", help="the audio of this item alone, in mono")
    sub.add_argument("--run", metavar="RUN", help="of this run of the session alone")
    sub.add_argument("--overwrite", action="store_true", help="in place of a file that is there")

    sub = _command(
        commands,
        "tape",
        "The conversation as a tape for omnirt replay, on stdout.",
        ("omnirt history tape s1 > talk.jsonl", "omnirt history tape s1 --audio none > words.jsonl"),
    )
    sub.add_argument("session", metavar="SESSION")
    sub.add_argument("--run", metavar="RUN", help="this run of the session alone")
    sub.add_argument(
        "--audio", choices=("inline", "none"), default="inline", help="with its audio, or without"
    )

    sub = _command(
        commands,
        "delete",
        "Deletes sessions, with their recordings, for good.",
        ("omnirt history delete s1", "omnirt history delete s2 s3 --json"),
    )
    sub.add_argument("session", metavar="SESSION", nargs="+")

    sub = _command(
        commands,
        "prune",
        "Deletes sessions that are too old or take too much room, for good.",
        ("omnirt history prune --days 30 --dry-run", "omnirt history prune --max-bytes 5000000000"),
    )
    sub.add_argument("--days", metavar="N", type=_above_0(float), help="those that ended longer ago")
    sub.add_argument("--max-bytes", metavar="N", type=_above_0(int), help="the oldest, while all take more")
    sub.add_argument("--dry-run", action="store_true", help="say which, and delete nothing")
    sub.add_argument(
        "--config", metavar="FILE", type=Path, default=_variable("OMNIRT_CONFIG"), help="as for serve"
    )
    return parser


def storage_parser() -> argparse.ArgumentParser:
    """Those of `omnirt storage`."""
    parser = argparse.ArgumentParser(
        prog="omnirt storage",
        description="Whether what is stored fits together, and how to mend it.",
        epilog=examples("omnirt storage verify", "omnirt storage verify --repair --json"),
        formatter_class=Help,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    does = "Looks whether database and recordings fit together; sessions that are live are left alone."
    sub = _command(commands, "verify", does, ("omnirt storage verify", "omnirt storage verify --repair"))
    sub.add_argument("--repair", action="store_true", help="put in order what can be; no word is deleted")
    return parser


def data_dir_of(args: argparse.Namespace) -> Path:
    """The data directory; one that a flag names is there, another may not have been made yet.

    Raises:
        OmnirtError: `not_found`, `storage_failed`.
    """
    named: Path | None = args.data_dir
    folder = (named or _variable("OMNIRT_DATA_DIR") or default_data_dir()).absolute()
    if named is not None and not os.path.lexists(folder):
        raise OmnirtError("not_found", f"There is no folder {folder}, so nothing is stored there.")
    if os.path.lexists(folder) and not folder.is_dir():
        raise OmnirtError("storage_failed", f"{folder} is no folder.")
    return folder


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    does: str,
    lines: Sequence[str],
) -> argparse.ArgumentParser:
    sub = commands.add_parser(
        name,
        help=does,
        description=does,
        epilog=examples(*lines),
        formatter_class=Help,
        allow_abbrev=False,
    )
    sub.add_argument("--json", action="store_true", help="for programs")
    sub.add_argument("--data-dir", metavar="DIR", type=Path, help="as for serve")
    return sub


def _variable(name: str) -> Path | None:
    text = os.environ.get(name, "")
    return Path(text) if text else None


def _above_0(kind: type[int] | type[float]) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = 0
        if number >= 2**63:
            raise argparse.ArgumentTypeError(f"{text!r} is too large")
        if not number > 0:
            raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
        return number

    return convert
