"""Finds the fenced blocks and tables of the project's Markdown pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block: where it stands, its language, the word after that, and its text."""

    where: str
    language: str
    tag: str
    text: str


def blocks(language: str, tag: str = "") -> list[Block]:
    """The blocks of this kind on all pages."""
    return [b for page in PAGES for b in _blocks_of(page) if (b.language, b.tag) == (language, tag)]


def all_blocks() -> list[Block]:
    """Every block of every page."""
    return [b for page in PAGES for b in _blocks_of(page)]


def rows(page: Path) -> dict[str, str]:
    """The rows of all tables of a page by each name in backticks in their first cell."""
    found: dict[str, str] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            first = re.split(r"(?<!\\)\|", line)[1]
            found.update(dict.fromkeys(re.findall(r"`([^`]+)`", first), line))
    return found


def _blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, _, tag = match["info"].strip().partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(f"{page.relative_to(ROOT).as_posix()}:{line}", language, tag, match["text"]))
    return found
