"""`omnirt history`: lists, shows, exports and deletes what is stored of conversations."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import UNSET

from omnirt.errors import OmnirtError
from omnirt.history import view
from omnirt.history.arguments import data_dir_of, history_parser
from omnirt.history.timeline import write_timeline
from omnirt.protocol.stored_methods import (
    MAX_GET_LIMIT,
    MAX_LIST_LIMIT,
    AudioExportParams,
    HistoryGetParams,
    HistoryGetResult,
    HistoryListParams,
    StoredSession,
)
from omnirt.providers.config import load_config
from omnirt.storage.deleting import delete_session, still_there
from omnirt.storage.export import export_audio
from omnirt.storage.history import get_session, list_sessions
from omnirt.storage.paths import default_config_dir
from omnirt.storage.patience import Patience
from omnirt.storage.retention import Policy, Pruned, prune
from omnirt.terminal import clean, fail, write_json, write_rows


def run(argv: Sequence[str]) -> int:
    """Runs the command; 0 when it is done, 1 when it can't be, 2 for wrong arguments."""
    args = history_parser().parse_args(argv)
    try:
        return ACTS[args.command](args, data_dir_of(args))
    except OmnirtError as error:
        return fail("omnirt history", error.kind, error.message, as_json=args.json)
    except KeyboardInterrupt:
        sys.stderr.write("omnirt history: interrupted\n")
        return 130


def _list(args: argparse.Namespace, data_dir: Path) -> int:
    sessions: list[StoredSession] = []
    cursor: str | None = None
    while True:
        left = MAX_LIST_LIMIT if args.all else args.limit - len(sessions)
        params = HistoryListParams(
            project_slug=args.project,
            agent_slug=args.agent,
            query=args.query,
            limit=min(left, MAX_LIST_LIMIT),
            cursor=cursor,
        )
        page = list_sessions(data_dir, params, Patience())
        sessions += page.sessions
        if page.next_cursor is UNSET or (not args.all and len(sessions) >= args.limit):
            break
        cursor = page.next_cursor
    if args.json:
        write_json({"sessions": sessions})
        return 0
    rows = [
        (s.session_id, s.agent, s.project_slug, view.when(s.started_at), view.length(s.duration_ms), _end(s))
        for s in sessions
    ]
    write_rows(("Session", "Agent", "Project", "Began", "Length", "End"), rows)
    return 0


def _end(session: StoredSession) -> str:
    return "live" if session.ended_at is UNSET else str(session.reason or "ended")


def _show(args: argparse.Namespace, data_dir: Path) -> int:
    whole: HistoryGetResult | None = None
    cursor: str | None = None
    while True:
        params = HistoryGetParams(session_id=args.session, limit=MAX_GET_LIMIT, cursor=cursor)
        page = get_session(data_dir, params, Patience())
        if whole is None:
            whole = page
        else:
            whole.items += page.items
            whole.audio += page.audio
        if page.next_cursor is UNSET:
            break
        cursor = page.next_cursor
    whole.next_cursor = UNSET
    if args.json:
        write_json(whole)
    else:
        write_timeline(whole)
    return 0


def _export(args: argparse.Namespace, data_dir: Path) -> int:
    params = AudioExportParams(
        session_id=args.session,
        path=str(args.file.absolute()),
        item_id=args.item,
        overwrite=args.overwrite,
        run_id=args.run,
    )
    if os.path.lexists(params.path) and not args.overwrite:
        raise OmnirtError("invalid_params", f"{params.path} is there already; say --overwrite to replace it.")
    with view.progress("Exporting") as advance:
        result = export_audio(data_dir, params, Patience(), advance)
    if args.json:
        write_json(result)
    else:
        sides = "left you, right the agent" if result.channels == 2 else "mono"
        sys.stdout.write(f"{result.path}: {view.length(result.duration_ms)}, {sides}\n")
    return 0


def _tape(args: argparse.Namespace, data_dir: Path) -> int:
    from omnirt.history.tape import tape_of

    for line in tape_of(data_dir, args.session, args.run, args.audio):
        sys.stdout.buffer.write(line)
    return 0


def _delete(args: argparse.Namespace, data_dir: Path) -> int:
    """Deletes those that can be; one that can't keeps none of the others."""
    deleted: list[dict[str, object]] = []
    failed: list[dict[str, object]] = []
    try:
        for session_id in args.session:
            try:
                result = delete_session(data_dir, session_id, Patience())
            except OmnirtError as error:
                failed.append({"sessionId": session_id, "kind": error.kind, "message": error.message})
                sys.stderr.write(f"omnirt history: {clean(session_id)}: {clean(error.message)}\n")
                continue
            rows, files = result.deleted_rows, result.deleted_files
            deleted.append({"sessionId": session_id, "deletedRows": rows, "deletedFiles": files})
            if not args.json:
                sys.stdout.write(f"{clean(session_id)}: {files} files deleted\n")
    finally:
        if args.json:
            write_json({"deleted": deleted, "failed": failed})  # also what was done before an interrupt
    return 1 if failed else 0


def _prune(args: argparse.Namespace, data_dir: Path) -> int:
    policy = Policy(args.days, args.max_bytes)
    if policy.keeps_all:
        config = load_config(args.config, default_config_dir())
        policy = Policy(config.retention_days, config.max_bytes)
    with view.progress("Deleting") as advance:
        pruned = prune(data_dir, policy, Patience(), dry_run=args.dry_run, progress=advance)
    problem = still_there(data_dir, pruned.left) if pruned.left else None
    if args.json:
        document: dict[str, object] = {
            "sessions": pruned.sessions,
            "deletedRows": pruned.rows,
            "deletedFiles": pruned.files,
            "bytes": pruned.bytes,
            "dryRun": args.dry_run,
        }
        if problem is not None:
            document["error"] = {"kind": "storage_failed", "message": problem}
        write_json(document)
    else:
        _tell_pruned(pruned, policy, dry_run=args.dry_run)
    return 0 if problem is None else fail("omnirt history", "storage_failed", problem, as_json=False)


def _tell_pruned(pruned: Pruned, policy: Policy, *, dry_run: bool) -> None:
    sys.stdout.writelines(f"{clean(session_id)}\n" for session_id in pruned.sessions)
    if policy.keeps_all:
        sys.stderr.write(
            "omnirt history: everything is kept; say --days or --max-bytes, or put retention_days or "
            "max_bytes into the configuration file.\n"
        )
    else:
        done = "would be" if dry_run else "were"
        megabytes = pruned.bytes / 1e6
        sys.stderr.write(f"{len(pruned.sessions)} sessions {done} deleted, {megabytes:.1f} MB of audio.\n")


ACTS: dict[str, Callable[[argparse.Namespace, Path], int]] = {
    "list": _list,
    "show": _show,
    "export": _export,
    "tape": _tape,
    "delete": _delete,
    "prune": _prune,
}
