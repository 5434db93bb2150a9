"""`omnirt schema`: prints, writes or checks the schemas, which are made from the protocol's tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from omnirt.protocol.schema import documents, render, struct_document
from omnirt.protocol.schema_parts import Schema
from omnirt.providers.config import Configuration
from omnirt.providers.settings import ConnectionSettings
from omnirt.specs import AgentSpec


def run(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code: 1 when the files of `--check` are stale."""
    files = {name: render(document) for name, document in _documents().items()}
    args = _parser(files).parse_args(argv)
    try:
        if args.write is not None:
            return _write(args.write, files)
        if args.check is not None:
            return _check(args.check, files)
    except OSError as error:
        sys.stderr.write(f"omnirt schema: {error.filename or args.write or args.check}: {error.strerror}.\n")
        return 2
    sys.stdout.write(files[f"{args.name}.json"])
    return 0


def _documents() -> dict[str, Schema]:
    """Those of the wire, and what stands in the open members `agent` and `settings`."""
    return {
        **documents(),
        "agent.json": struct_document("agent", "An agent, in a file or inline", AgentSpec),
        "settings.json": struct_document(
            "settings", "Where the model is, and how to reach it", ConnectionSettings
        ),
        "config.json": struct_document("config", "The configuration file", Configuration),
    }


def _parser(files: Mapping[str, str]) -> argparse.ArgumentParser:
    names = [name.removesuffix(".json") for name in files]
    parser = argparse.ArgumentParser(
        prog="omnirt schema",
        description="Prints one schema of the wire protocol, or writes or checks a folder of all of them.",
    )
    parser.add_argument(
        "name", nargs="?", choices=names, default="openrpc", help="which one (default: openrpc)"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--write", metavar="DIR", type=Path, help="write all of them into DIR")
    place.add_argument(
        "--check", metavar="DIR", type=Path, help="fail when a file in DIR is not what would be written"
    )
    return parser


def _write(folder: Path, files: Mapping[str, str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _others(folder, files):
        (folder / name).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _check(folder: Path, files: Mapping[str, str]) -> int:
    stale = [name for name, text in files.items() if not _holds(folder / name, text)]
    stale += _others(folder, files)
    for name in stale:
        sys.stderr.write(f"{folder / name} is not what the tables say; `make schemas` writes it anew\n")
    return 1 if stale else 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _others(folder: Path, files: Mapping[str, str]) -> list[str]:
    """JSON files in the folder that no table makes: left over from a name that is gone."""
    return sorted(path.name for path in folder.glob("*.json") if path.name not in files)
