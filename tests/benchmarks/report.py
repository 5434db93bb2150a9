"""docs/BENCHMARKS.md: the sections that were measured are replaced, all else on the page stays as it is."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "BENCHMARKS.md"
PACKAGES = ("openai-agents", "websockets", "msgspec", "jsonrpcserver", "anyio")


def machine() -> str:
    """What it was measured on, with what, in what state."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[1]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, {versions}; commit {_commit()}; "
        f"load before the run {load:.1f}."
    )


def write(measured: dict[str, str], state: str, page: Path = PAGE) -> None:
    """Put each table under its heading, with the state of the machine."""
    head, *sections = page.read_text(encoding="utf-8").split("\n## ")
    bodies = {heading: body for heading, _, body in (section.partition("\n") for section in sections)}
    for heading, table in measured.items():
        words = bodies[heading].partition("|")[0].partition("Measured on ")[0].strip()
        bodies[heading] = "\n".join(
            ["", *([words, ""] if words else []), table, "", f"Measured on {state}", ""]
        )
    told = [f"{heading}\n{body.rstrip()}\n" for heading, body in bodies.items()]
    page.write_text("\n## ".join([head.rstrip() + "\n", *told]), encoding="utf-8")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PAGE.parent)
    return found.stdout.strip() or "unknown"
