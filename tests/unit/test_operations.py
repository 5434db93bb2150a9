"""docs/OPERATIONS.md tells the truth: limits, variables, figures, logs and faults are those of the code."""

from __future__ import annotations

import ast
import json
import logging
import re
from pathlib import Path

import msgspec
import pytest

from omnirt import log_files, logs
from omnirt.daemon import process
from omnirt.protocol import framing, jsonrpc, lifecycle, pending, session_methods
from omnirt.protocol.types import Queues
from omnirt.providers import closes
from omnirt.providers.dialing import OPEN_TIMEOUT_S
from omnirt.providers.settings import ReconnectSettings
from omnirt.rpc import boundary, connection, lanes
from omnirt.sessions import (
    approvals,
    engine,
    inbox,
    items,
    life,
    limits,
    link,
    losses,
    overdue,
    quiet_model,
    reconnect,
    registry,
    resume,
    tool_outputs,
    tool_turns,
    turns,
)
from omnirt.settings import OPTIONS, ServeSettings
from omnirt.specs import parts, threads
from omnirt.storage import writer
from tests.e2e.faults import page
from tests.e2e.faults.rows import Elsewhere
from tests.support.documents import ROOT

TEXT = page.PAGE.read_text(encoding="utf-8")


def section(heading: str) -> str:
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of a section's tables by their first cell."""
    lines = [line for line in section(heading).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {first: rest for first, *rest in cells if rest[0] != "default" and first != "code"}


def mib(size: int) -> str:
    assert size % 2**20 == 0
    return f"{size >> 20} MiB"


def s(seconds: float) -> str:
    return f"{seconds:g} s"


LIMITS = {
    "one message (`--max-message-bytes`)": mib(ServeSettings().max_message_bytes),
    "headers of one message": f"{framing.MAX_HEADER_BYTES >> 10} KiB",
    "elements of a batch": f"{jsonrpc.MAX_BATCH}",
    "nesting of JSON": f"{jsonrpc.MAX_NESTING}",
    "requests in flight": f"{connection.MAX_IN_FLIGHT}",
    "calls to the host in flight": f"{pending.MAX_PENDING_CALLS}",
    "replies that the host has not read": mib(connection.PAUSE_BYTES),
    "one result": mib(boundary.MAX_RESULT_BYTES),
    "notifications that the host has not read": mib(lanes.DEFAULT_LIMIT_BYTES),
    "the same, of what is no audio": mib(lanes.HARD_FACTOR * lanes.DEFAULT_LIMIT_BYTES),
    "live sessions": f"{registry.MAX_SESSIONS}",
    "host audio that waits in a session": s(inbox.INPUT_QUEUE_MS / 1000),
    "inputs that wait in a session": f"{inbox.MAX_ENTRIES}",
    "texts and images that wait in a session": mib(inbox.MAX_TEXT_BYTES),
    "connecting, and each answer of the provider at the start": s(link.HANDSHAKE_S),
    "the settings, for a compatible server": s(link.COMPATIBLE_UPDATE_S),
    "one frame of the provider": mib(quiet_model.MAX_FRAME_BYTES),
    "events that wait for the provider": f"{engine.MAX_UPWARD}",
    "an answer to a request for a response": s(turns.CREATE_TIMEOUT_S),
    "an answer to a cancel": s(turns.CANCEL_TIMEOUT_S),
    "silence in the midst of a response": s(overdue.SILENCE_S),
    "a ping of the provider's connection": f"{s(quiet_model.PING_INTERVAL_S)}, and "
    f"{s(quiet_model.PING_INTERVAL_S)} for its answer",
    "a tool (`timeout_s`)": s(parts.TOOL_TIMEOUT_S),
    "a question for approval": s(approvals.APPROVAL_S),
    "arguments of a call of a tool": mib(items.MAX_ARGUMENTS_CHARS),
    "an output of a tool": f"{tool_outputs.MAX_OUTPUT_CHARS} characters",
    "responses in a row whose calls of tools all failed": f"{tool_turns.MAX_FAILED_TURNS}",
    "responses in a row that called tools": f"{tool_turns.MAX_TOOL_TURNS}",
    "items of a session in memory": f"{items.MAX_ITEMS}",
    "items of a talk that a new connection is told": f"{resume.MAX_ITEMS}, and {resume.MAX_CHARS} characters",
    "audio that waits for the disk": mib(writer.MAX_QUEUE_BYTES),
    "Python tools and other code of specs at once": f"{threads.MAX_THREADS} threads",
    "closing a connection": s(link.CLOSE_S),
    "the end of a session, for a host that does not read": s(life.FLUSH_S),
    "`session.wait` (`timeoutMs`)": s(session_methods.WAIT_TIMEOUT_MS / 1000),
    "requests after the end of stdin (`--drain-timeout`)": s(ServeSettings().drain_timeout),
}


def test_the_limits_are_those_of_the_code() -> None:
    told = rows("Limits")
    del told["limit"]
    assert {limit: cells[0] for limit, cells in told.items()} == LIMITS
    assert OPEN_TIMEOUT_S == link.HANDSHAKE_S
    assert f"by {s(limits.WARN_S)}" in section("Limits")
    assert limits.WARN_TOKENS == 0.9, "nine tenths"


def test_the_policy_of_reconnecting_is_that_of_the_code() -> None:
    policy, text = ReconnectSettings(), " ".join(section("Reconnecting").split())
    table = rows("Reconnecting").items()
    told = {name.strip("`"): cells[0] for name, cells in table if name.startswith("`")}
    assert told == {name: str(getattr(policy, name)) for name in policy.__struct_fields__}
    assert f"holds {s(reconnect.STABLE_S)} begins" in text
    assert f"after {reconnect.FIRST_DELAY_S * 1000:g} ms" in text
    assert (reconnect.MAX_FLAPS, f"within {s(reconnect.STABLE_S)}" in text) == (3, True)
    assert f"its last {s(reconnect.AHEAD_S)}" in text
    assert f"{s(reconnect.LATEST_S)} before it" in text
    assert f"up to {s(losses.EXPLAINS_S)} before it closed" in text


def test_what_a_close_refuses_is_told() -> None:
    told = {code: cells[0] for code, cells in rows("Reconnecting").items() if not code.startswith("`")}
    codes = ", ".join(map(str, sorted(closes.REFUSING_CODES)))
    passing = ", ".join(map(str, sorted(closes.PASSING_CODES)))
    assert list(told) == ["close code", "any", f"any but {passing}", codes]
    for name in re.findall(r"`(\w+)`", told["any"]):
        assert closes.of_close(1000, f"error.{name}: so it is") is not None, name
    for phrase in re.findall(r'"([^"]+)"', told[f"any but {passing}"]):
        assert closes.of_close(1000, phrase) is not None, phrase
    for word in re.findall(r'"([^"]+)"', told[codes]):
        assert (closes.of_close(4403, word), closes.of_close(1011, word)) == ("key", None), word


def members(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def test_all_that_server_stats_answers_is_told() -> None:
    told = set(re.findall(r"\w+", section("server.stats")))
    structs = (lifecycle.ServerStatsResult, lifecycle.StorageBacklog, lifecycle.LiveSession, Queues)
    for struct in structs:
        assert members(struct) <= told, struct.__name__


def test_every_option_has_its_variable_and_words() -> None:
    told = rows("Environment")
    del told["variable"]
    assert {name.strip("`") for name in told} == {f"OMNIRT_{name.upper()}" for name in [*OPTIONS, "no_code"]}
    for name, option in OPTIONS.items():
        cell = told[f"`OMNIRT_{name.upper()}`"][0].replace("\\|", "|")
        assert cell == f"`--{name.replace('_', '-')} {option.metavar}`: {option.help}"


def test_the_signals_are_those_that_are_handled() -> None:
    assert [number.name for number in process._SIGNALS] == ["SIGTERM", "SIGINT", "SIGHUP"]
    assert "SIGTERM, SIGINT, SIGHUP" in section("Signals and ends")


def test_the_members_of_a_line_of_the_log_are_told(caplog: pytest.LogCaptureFixture) -> None:
    record = logging.LogRecord("omnirt.x", logging.ERROR, "x.py", 1, "it broke", (), None)
    record.log_id, record.session_id, record.repeats, record.exc_text = "abcd", "s1", 3, "Traceback"
    line = json.loads(logs.JsonFormatter().format(record))
    told = {name.strip("`") for name in rows("Logs")} - {"member"}
    assert set(line) == told
    text = " ".join(section("Logs").split())
    assert f"at {mib(log_files.MAX_BYTES)} it becomes" in text
    assert log_files.KEPT == 2, "two such older files"
    assert f"{logs.MAX_REPEATS} warnings or errors a minute" in text
    assert logs.REPEATS_S == 60


def test_the_faults_are_the_rows_of_the_matrix() -> None:
    """Where it fails: `python -m tests.e2e.faults.page`."""
    assert page.parts()[1].rstrip() == page.tables().rstrip()


def test_no_two_faults_have_one_name() -> None:
    names = [row.name for rows in page.SECTIONS.values() for row in rows]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "row",
    [row for rows in page.SECTIONS.values() for row in rows if isinstance(row, Elsewhere)],
    ids=lambda row: row.name,
)
def test_the_test_of_a_fault_exists(row: Elsewhere) -> None:
    path, _, name = row.test.partition("::")
    tree = ast.parse(Path(ROOT / path).read_text(encoding="utf-8"))
    assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
