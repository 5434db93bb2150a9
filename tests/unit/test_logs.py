"""Log lines: text or JSON, on stderr and in a file, quiet libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
