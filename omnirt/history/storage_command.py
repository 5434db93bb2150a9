"""`omnirt storage verify`: finds, and repairs, what does not fit together in the data directory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.history import view
from omnirt.history.arguments import storage_parser
from omnirt.storage.findings import Finding
from omnirt.storage.paths import database_path, default_data_dir
from omnirt.storage.verify import verify
from omnirt.terminal import write_json, write_rows


def run(argv: Sequence[str]) -> int:
    """Runs the command; 0 when all is in order, 1 when something is not, 2 for wrong arguments."""
    args = storage_parser().parse_args(argv)
    data_dir = (args.data_dir or default_data_dir()).absolute()
    findings: list[Finding] = []
    problem = ""
    try:
        with view.progress("Looking") as advance:
            for finding in verify(data_dir, repair=args.repair, progress=advance):
                findings.append(finding)
    except OmnirtError as error:
        problem = error.message
    ok = not problem and all(finding.repaired for finding in findings)
    if args.json:
        write_json({"ok": ok, "findings": findings, **({"error": problem} if problem else {})})
    else:
        _tell(data_dir, findings, ok=ok, repair=args.repair)
    if problem:
        sys.stderr.write(f"omnirt storage: {problem}\n")
    return 0 if ok else 1


def _tell(data_dir: Path, findings: Sequence[Finding], *, ok: bool, repair: bool) -> None:
    if findings:
        rows = [
            ("repaired" if finding.repaired else "wrong", finding.message, finding.path or "")
            for finding in findings
        ]
        write_rows(("", "What", "File"), rows)
    for aside in sorted(data_dir.glob(f"{database_path(data_dir).name}.broken-*[!mlw]")):
        sys.stdout.write(f"A damaged database was set aside before: {aside}\n")
    if ok:
        sys.stdout.write(f"{data_dir}: all is in order.\n")
    elif not repair and findings:
        sys.stdout.write("`omnirt storage verify --repair` puts in order what can be.\n")
