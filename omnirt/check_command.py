"""`omnirt check`: tells all that would keep agents in files from being started."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.specs.check import problems_of
from omnirt.specs.load import Agent, AgentLibrary, spec_files
from omnirt.specs.problems import problem_text
from omnirt.specs.python_objects import PREFIX
from omnirt.terminal import Help, examples


def run(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code: 1 when there are problems."""
    args = _parser().parse_args(argv)
    with _stdout_kept():
        problems = _problems(args.file, allow_code=not args.no_code)
    if args.json:
        told = [_json(agent, error) for agent, error in problems]
        sys.stdout.write(json.dumps({"valid": not told, "problems": told}, indent=2) + "\n")
    else:
        for agent, error in problems:
            where = error.facts.get("file", agent)
            sys.stdout.write(_visible(f"{where}: {error.facts['path']}: {problem_text(error)}") + "\n")
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omnirt check",
        description="Tells all that would keep agents from being started, and those that they hand over to"
        " (by name: in the same folders). What they name in Python is imported, and nothing is called.",
        epilog=examples(
            "omnirt check agents/",
            "omnirt check agents/greeter.yaml --json",
            "omnirt check --no-code agents/push_to_talk.json",
            before="Exit code: 0 when all is well, 1 when there are problems.",
        ),
        formatter_class=Help,
    )
    parser.add_argument(
        "file", nargs="+", help="a .toml, .yaml or .json file, a folder, or python:package.module:name"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--no-code", action="store_true", help="refuse what would run code, and import nothing"
    )
    return parser


def _problems(names: Sequence[str], *, allow_code: bool) -> list[tuple[Agent, OmnirtError]]:
    agents: dict[Agent, Path | None] = {}  # with the folder that each stands in, each once
    for name in names:
        path = Path(name)
        if name.startswith(PREFIX):
            agents[name] = None
        elif path.is_dir():
            agents.update((file, path) for file in spec_files(path))
        else:
            agents[path] = path.parent
    others = list(dict.fromkeys(folder for folder in agents.values() if folder is not None))
    # One for each folder, as each remembers the files that it has read.
    libraries = {
        folder: AgentLibrary([*([folder] if folder else []), *others], allow_code=allow_code)
        for folder in agents.values()
    }
    return [
        (agent, error) for agent, folder in agents.items() for error in problems_of(agent, libraries[folder])
    ]


def _json(agent: Agent, error: OmnirtError) -> dict[str, object]:
    file = str(error.facts.get("file", agent))
    problem = {"file": file, "path": error.facts["path"], "message": problem_text(error)}
    return problem | {name: error.facts[name] for name in ("line",) if name in error.facts}


def _visible(text: str) -> str:
    """`text` on one line, with nothing in it that steers a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def _stdout_kept() -> Iterator[None]:
    """Sends to stderr what imported modules print: stdout is for the problems."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
