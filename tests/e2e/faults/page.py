"""The tables of faults in docs/OPERATIONS.md; `python -m tests.e2e.faults.page` writes them there."""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.faults import connections, elsewhere, provider
from tests.e2e.faults.rows import Elsewhere, Row
from tests.support.documents import ROOT

PAGE = ROOT / "docs" / "OPERATIONS.md"
SECTIONS: dict[str, Sequence[Row | Elsewhere]] = {
    "When a session starts": provider.START,
    "What cannot be understood": provider.NONSENSE,
    "Errors that the provider reports": provider.ERRORS,
    "A provider that says nothing": [*provider.SILENCE, *elsewhere.SILENCE],
    "The connection to the provider": [*connections.ROWS, *elsewhere.CONNECTIONS],
    "The host": elsewhere.HOST,
    "Tools": elsewhere.TOOLS,
    "The system": elsewhere.SYSTEM,
}


def parts() -> tuple[str, str, str]:
    """The page before its tables of faults, the tables, and what comes after."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition("\n## Faults\n")
    words, _, told = rest.partition("\n### ")
    tables, end, tail = told.partition("\n## ")
    return f"{head}\n## Faults\n{words}\n", f"### {tables}", f"{end}{tail}"


def tables() -> str:
    """The tables as the rows have them."""
    shown = []
    for heading, rows in SECTIONS.items():
        lines = [f"| {row.fault} | {row.expect} |" for row in rows]
        shown.append(
            "\n".join([f"### {heading}", "", "| fault | what the host sees |", "|---|---|", *lines, ""])
        )
    return "\n".join(shown)


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(before + tables() + after, encoding="utf-8")
