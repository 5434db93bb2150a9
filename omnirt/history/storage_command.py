"""`omnirt storage verify`: finds, and repairs, what does not fit together in the data directory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omnirt.errors import OmnirtError
from omnirt.history import view
from omnirt.history.arguments import data_dir_of, storage_parser
from omnirt.storage.findings import Finding
from omnirt.storage.paths import database_path
from omnirt.storage.verify import verify
from omnirt.terminal import fail, write_json, write_rows


def run(argv: Sequence[str]) -> int:
    """Runs the command; 0 when all is in order, 1 when something is not, 2 for wrong arguments."""
    args = storage_parser().parse_args(argv)
    data_dir: Path | None = None
    findings: list[Finding] = []
    problem: OmnirtError | None = None
    try:
        data_dir = data_dir_of(args)
        with view.progress("Looking") as advance:
            for finding in verify(data_dir, repair=args.repair, progress=advance):
                findings.append(finding)
    except OmnirtError as error:
        problem = error
    ok = problem is None and all(finding.repaired for finding in findings)
    if args.json:
        document: dict[str, object] = {"ok": ok, "findings": findings}
        if problem is not None:
            document["error"] = {"kind": problem.kind, "message": problem.message}
        write_json(document)
    elif data_dir is not None:
        _tell(data_dir, findings, ok=ok, repair=args.repair)
    if problem is not None:
        return fail("omnirt storage", problem.kind, problem.message, as_json=False)
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
    if ok and not data_dir.exists():
        sys.stdout.write(f"{data_dir}: nothing is stored yet.\n")
    elif ok:
        sys.stdout.write(f"{data_dir}: all is in order.\n")
    elif not repair and findings:
        sys.stdout.write("`omnirt storage verify --repair` puts in order what can be.\n")
