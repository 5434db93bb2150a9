"""Shows what the doctor found: a table on a terminal, lines in a pipe, JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TextIO

from omnirt.doctor.findings import Check, Findings
from omnirt.terminal import MIN_WIDTH, can_move

if TYPE_CHECKING:
    from rich.table import Table

_MARKS: Final = {"ok": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}


def show(findings: Findings, out: TextIO, *, as_json: bool) -> None:
    """Writes all of it."""
    if as_json:
        out.write(json.dumps(findings.document(), indent=2) + "\n")
    elif not out.isatty() or not _tables(findings, out):
        _lines(findings, out)


def _lines(findings: Findings, out: TextIO) -> None:
    for name, version in findings.versions.items():
        out.write(f"version  {name} {version}\n")
    for setting in findings.settings:
        out.write(f"setting  {setting.name} = {setting.value} ({setting.source})\n")
    for name, value in _endpoint(findings).items():
        out.write(f"endpoint {name} = {value}\n")
    for check in findings.checks:
        out.write(f"{check.status:<8} {check.name}: {_detail(check)}\n")
    out.write(f"{_verdict(findings)}\n")


def _tables(findings: Findings, out: TextIO) -> bool:
    """Writes tables if this terminal has room for them."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=out, highlight=False)
    if not can_move(console) or console.width < MIN_WIDTH:
        return False
    console.print(escape(", ".join(f"{name} {version}" for name, version in findings.versions.items())))
    if findings.settings:
        table = _table("setting", "value", "from")
        for setting in findings.settings:
            table.add_row(*map(escape, (setting.name, setting.value, setting.source)))
        console.print(table)
    if findings.endpoint is not None:
        table = _table("endpoint", "")
        for name, value in _endpoint(findings).items():
            table.add_row(escape(name), escape(value))
        console.print(table)
    table = _table("check", "", "")
    for check in findings.checks:
        mark = f"[{_MARKS[check.status]}]{check.status}[/]"
        table.add_row(escape(check.name), mark, escape(_detail(check)))
    console.print(table)
    console.print(_verdict(findings))
    return True


def _table(*heads: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(*heads, box=box.SIMPLE_HEAD, title_justify="left")


def _endpoint(findings: Findings) -> dict[str, str]:
    facts = findings.endpoint or {}
    return {name: str(value) for name, value in facts.items() if value not in (None, "", {}, [])}


def _detail(check: Check) -> str:
    return check.detail if check.ms is None else f"{check.detail} ({check.ms:g} ms)"


def _verdict(findings: Findings) -> str:
    failed = [check.name for check in findings.checks if check.status == "fail"]
    return f"Not well: {', '.join(failed)}." if failed else "All is well."
