"""The home of a user who installed an editor's plugin as docs/EDITORS.md says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import documents
from tests.support.documents import ROOT

AGENTS = ("billing.yaml", "reception.toml", "weather.yaml")
"""Besides the editor's own."""


def install(home: Path, editor: str) -> None:
    """Run the commands of the page, and add the agents that the tests talk with."""
    [commands] = documents.blocks("sh", editor)
    subprocess.run(["sh", "-ec", commands.text], cwd=ROOT, env=environment(home), check=True, timeout=30)
    for name in AGENTS:
        shutil.copy(ROOT / "examples" / "agents" / name, home / ".config" / "omnirt" / "agents")


def environment(home: Path) -> dict[str, str]:
    """Of a user who has nothing but this home, and `omnirt` on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    foreign = ("XDG_", "OMNIRT_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "HOME": str(home), "PATH": path}


def configuration(language: str) -> str:
    """What the page puts into the editor's own file."""
    [block] = documents.blocks(language)
    return block.text
