"""Which Pythons this machine has, and environments in which what was built is installed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")
LIMIT_S = 300
"""Bounds a hang; an installation takes half a minute, most of it the network."""


@functools.cache
def pythons() -> dict[str, Path]:
    """One interpreter for each supported version that is here: on PATH, or of pyenv."""
    found: dict[str, Path] = {}
    on_path = [Path(place) for version in SUPPORTED if (place := shutil.which(f"python{version}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for python in [Path(sys.executable), *on_path, *sorted(pyenv.glob("versions/*/bin/python"))]:
        version = _version(python)
        if version in SUPPORTED:
            found.setdefault(version, python)
    return found


def _version(python: Path) -> str | None:
    """`3.12`, or None for what does not run: pyenv has stand-ins for versions that are not chosen."""
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What a command prints; it must succeed. It finds nothing of the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMNIRT_", "PYTHON"))}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def make_environment(python: Path, folder: Path, wheel: Path) -> Path:
    """A fresh environment with the wheel and what it needs; returns its folder of commands.

    pip is this environment's own, and nothing is compiled ahead: both would cost ten seconds for nothing.
    """
    run(python, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--python", commands / "python")
    run(*pip, "install", "--quiet", "--no-compile", wheel, cwd=folder.parent)
    run(*pip, "check", cwd=folder.parent)
    return commands
