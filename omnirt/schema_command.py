"""`omnirt schema`: prints, writes or checks the schemas and types made from the protocol's tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from omnirt.protocol.schema import documents, render, struct_document
from omnirt.protocol.typescript import typescript
from omnirt.providers.config import Configuration
from omnirt.providers.settings import ConnectionSettings
from omnirt.specs import AgentSpec
from omnirt.specs.realtime_settings import RealtimeSettings
from omnirt.terminal import Help, examples, has_unicode, write_json

_TYPES = "omnirt.d.ts"


def run(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code: 1 when the files of `--check` are stale."""
    files = _files()
    by_name = {"typescript" if name == _TYPES else name.removesuffix(".json"): name for name in files}
    args = _parser(by_name).parse_args(argv)
    try:
        if args.write is not None:
            return _write(args.write, files, as_json=args.json)
        if args.check is not None:
            return _check(args.check, files, as_json=args.json)
    except OSError as error:
        sys.stderr.write(f"omnirt schema: {error.filename or args.write or args.check}: {error.strerror}.\n")
        return 2
    text = files[by_name[args.name]]
    if args.name != "typescript" and not has_unicode(sys.stdout):
        text = json.dumps(json.loads(text), indent=2) + "\n"
    sys.stdout.write(text)
    return 0


def _files() -> dict[str, str]:
    """Those of the wire, what stands in the open members `agent` and `settings`, and the types of it all."""
    schemas = {
        **documents(),
        "agent.json": struct_document("agent", "An agent, in a file or inline", AgentSpec),
        "settings.json": struct_document(
            "settings", "Where the model is, and how to reach it", ConnectionSettings
        ),
        "config.json": struct_document("config", "The configuration file", Configuration),
    }
    inside: dict[str, type[Struct]] = {
        "agent": AgentSpec,
        "settings": ConnectionSettings,
        "realtime": RealtimeSettings,
    }
    return {**{name: render(schema) for name, schema in schemas.items()}, _TYPES: typescript(inside)}


def _parser(names: Iterable[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omnirt schema",
        description="Prints one schema of the wire protocol, or writes or checks a folder of all of them.",
        epilog=examples(
            "omnirt schema > openrpc.json",
            "omnirt schema agent",
            "omnirt schema typescript > omnirt.d.ts",
            "omnirt schema --write schemas",
            "omnirt schema --check schemas --json",
        ),
        formatter_class=Help,
    )
    parser.add_argument(
        "name", nargs="?", choices=list(names), default="openrpc", help="which one (default: openrpc)"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--write", metavar="DIR", type=Path, help="write all of them into DIR")
    place.add_argument(
        "--check", metavar="DIR", type=Path, help="fail when a file in DIR is not what would be written"
    )
    parser.add_argument("--json", action="store_true", help="of --write and --check: say which files as JSON")
    return parser


def _write(folder: Path, files: Mapping[str, str], *, as_json: bool) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _others(folder, files):
        (folder / name).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    if as_json:
        write_json({"written": sorted(files)})
    return 0


def _check(folder: Path, files: Mapping[str, str], *, as_json: bool) -> int:
    stale = [name for name, text in files.items() if not _holds(folder / name, text)]
    stale += _others(folder, files)
    if as_json:
        write_json({"ok": not stale, "stale": stale})
        return 1 if stale else 0
    for name in stale:
        remedy = f"`omnirt schema --write {folder}` writes it anew"
        sys.stderr.write(f"{folder / name} is not what this omnirt would write; {remedy}\n")
    return 1 if stale else 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _others(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Files in the folder that no table makes: left over from a name that is gone."""
    made = [*folder.glob("*.json"), *folder.glob("*.d.ts")]
    return sorted(path.name for path in made if path.name not in files)
