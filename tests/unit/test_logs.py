"""Log lines: text or JSON, on stderr and in a file, quiet libraries."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from omnirt import logs
from omnirt.log_files import LogFile
from omnirt.sessions.faults import of_session

PROGRAM = """
import logging, sys
from pathlib import Path
from omnirt import logs
logs.configure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
logging.getLogger("omnirt.part").debug("hidden")
logging.getLogger("omnirt.part").info("seen %s", "caf\\u00e9 \\ud800")
logging.getLogger("websockets").info("library chatter with audio")
logging.getLogger("websockets").warning("library warning")
try:
    raise ValueError("the cause")
except ValueError:
    logging.getLogger("omnirt").exception("failed\\nbadly")
"""


def run(tmp_path: Path, log_format: str) -> tuple[str, str]:
    path = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "info", log_format, str(path)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
        timeout=30,
    )
    assert done.stdout == ""
    return done.stderr, path.read_text(encoding="utf-8")


def test_json_lines_are_one_object_each(tmp_path: Path) -> None:
    stderr, file = run(tmp_path, "json")
    lines = [json.loads(line) for line in stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("info", "omnirt.part"),
        ("warning", "websockets"),
        ("error", "omnirt"),
    ]
    assert lines[0]["message"].startswith("seen café")
    assert "the cause" in lines[2]["exception"]
    assert lines[0]["time"].endswith("Z")
    assert file == stderr


@pytest.mark.parametrize(
    "text", ["INFO omnirt.part: seen caf", "WARNING websockets: library warning", "the cause"]
)
def test_text_says_when_how_bad_and_where(tmp_path: Path, text: str) -> None:
    stderr, _ = run(tmp_path, "text")
    assert text in stderr
    assert "chatter" not in stderr
    assert "hidden" not in stderr


CRASH = """
import logging, sys, threading
from omnirt import logs
from omnirt.providers.redaction import SecretFilter
logs.configure("info", "text", None)
logging.getLogger().handlers[0].addFilter(SecretFilter(["crash-canary"]))
def fail(where):
    raise ValueError(f"crash-canary in {where}")
thread = threading.Thread(target=fail, args=["the thread"])
thread.start()
thread.join()
fail("the program")
"""


def test_a_crash_is_logged_as_all_else_is_without_its_secrets() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr.count("CRITICAL omnirt: a fault that nobody caught") == 2
    assert "ValueError: *** in the thread" in done.stderr
    assert "ValueError: *** in the program" in done.stderr
    assert "canary" not in done.stderr


class Lines(logging.Handler):
    """What would be written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.addFilter(logs.Repeats())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("omnirt.logs.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("formatter", [logs.TextFormatter(), logs.JsonFormatter()], ids=["text", "json"])
def test_a_fault_that_comes_again_and_again_is_counted_and_not_written(
    formatter: logging.Formatter, clock: list[float]
) -> None:
    handler = Lines(formatter)
    log = logging.Logger("omnirt.part")
    log.addHandler(handler)

    def fail(number: int) -> None:
        log.warning("it failed: %d", number)

    for number in range(1000):
        fail(number)
    log.warning("another fault")
    log.info("nothing bad")
    assert len(handler.lines) == logs.MAX_REPEATS + 2
    clock[0] += logs.REPEATS_S
    fail(1000)
    fail(1001)
    said = "(and 980 more before)" if isinstance(formatter, logs.TextFormatter) else '"repeats":980'
    assert said in handler.lines[-2]
    assert "980" not in handler.lines[-1]


@pytest.mark.parametrize("formatter", [logs.TextFormatter(), logs.JsonFormatter()], ids=["text", "json"])
def test_a_line_about_a_session_says_of_which(formatter: logging.Formatter) -> None:
    handler = Lines(formatter)
    log = logging.Logger("omnirt.part")
    log.addHandler(handler)
    of_session(log, "s1").info("closed: %s", "stopped")
    log.info("nothing of a session")
    told, other = handler.lines
    if isinstance(formatter, logs.TextFormatter):
        assert told.endswith(" INFO omnirt.part: closed: stopped (session s1)")
    else:
        line = json.loads(told)
        assert (line["message"], line["sessionId"]) == ("closed: stopped", "s1")
    assert "ession " not in other.replace("a session", "")
    assert "sessionId" not in other


def test_what_a_host_has_a_log_id_of_is_always_found_if_without_its_traceback(clock: list[float]) -> None:
    handler = Lines(logs.JsonFormatter())
    log = logging.Logger("omnirt.part")
    log.addHandler(handler)
    for number in range(100):
        try:
            raise ValueError("the cause")
        except ValueError:
            log.exception("failed", extra={"log_id": f"{number:08x}"})
    lines = [json.loads(line) for line in handler.lines]
    assert [int(line["logId"], 16) for line in lines] == list(range(100))
    assert ["exception" in line for line in lines] == [True] * logs.MAX_REPEATS + [False] * 80


def test_a_log_file_never_grows_beyond_its_bound_and_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = LogFile(path, max_bytes=1000)
    for number in range(200):
        handler.emit(logging.makeLogRecord({"msg": f"line {number} {'x' * 50}"}))
    handler.close()
    found = sorted(tmp_path.iterdir())
    assert [file.name for file in found] == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 1000 and file.stat().st_mode & 0o777 == 0o600 for file in found)
    assert "line 199" in path.read_text()


def test_a_log_file_that_cannot_be_renamed_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    handler = LogFile(path, max_bytes=1000)

    def refused(source: str, target: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.rename", refused)
    for number in range(200):
        handler.emit(logging.makeLogRecord({"msg": f"line {number} {'x' * 50}"}))
    handler.close()
    assert path.stat().st_size <= 1000
    assert path.read_text().endswith(f"line 199 {'x' * 50}\n")
