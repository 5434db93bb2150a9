"""The examples of docs/TESTING.md, as an author of a host would run them; and the schema of tapes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support import documents
from tests.support.documents import ROOT, Block

LIMIT_S = 120
PAGE = ROOT / "docs" / "TESTING.md"
TRANSCRIPTS = sorted((ROOT / "tests" / "transcripts").glob("*.jsonl"))


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user of an installed omnirt would."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMNIRT_", "OPENAI_"))}
    return subprocess.run(
        command,
        cwd=folder,
        env={**env, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def write_tests(folder: Path) -> str:
    """The page's tests, in files as the page says; returns their text."""
    [conftest], [tests] = documents.blocks("python", "conftest"), documents.blocks("python", "pytest")
    (folder / "conftest.py").write_text(conftest.text)
    (folder / "test_host.py").write_text(tests.text)
    return tests.text


PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    write_tests(tmp_path)
    done = run(PYTEST, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_host_that_is_wrong_fails_them_and_sees_what_crossed_the_wire(tmp_path: Path) -> None:
    text = write_tests(tmp_path).replace('f"sunny in {', 'f"rainy in {')
    ask = 'await session.send_text("How is the weather?")'
    (tmp_path / "test_host.py").write_text(
        text.replace(ask, f"{ask}; await session.wait(); await session.stop()")
    )
    done = run([*PYTEST, "-k", "weather"], tmp_path)
    assert done.returncode == 1, done.stdout
    assert (
        "RealtimeToolEnd(tool_name='get_weather', output='sunny in Lisbon') did not come before the end"
        in done.stdout
    )
    assert '"output":"rainy in Lisbon"' in done.stdout
    assert "omnirt: the end of" in done.stdout
    assert '"dir":"daemon"' in done.stdout


@pytest.mark.parametrize(
    "block",
    [*documents.blocks("sh", "testing"), *documents.blocks("sh", "tapes")],
    ids=lambda block: block.where,
)
def test_the_shell_of_the_page_works(block: Block, tmp_path: Path) -> None:
    done = run(["bash", "-euo", "pipefail", "-c", block.text], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    if block.tag == "tapes":
        assert "exit code 1" in done.stdout
        assert "$.params.text: expected 'Hello', got 'Hallo'" in done.stdout


def test_the_steps_of_the_workflow_can_be_run(tmp_path: Path) -> None:
    """All but the installation, in a project with the tests of the page and a tape."""
    [block] = documents.blocks("yaml", "workflow")
    steps = [step["run"] for step in yaml.safe_load(block.text)["jobs"]["host"]["steps"] if "run" in step]
    tests = tmp_path / "tests"
    tests.mkdir()
    write_tests(tests)
    ping = {"jsonrpc": "2.0", "id": 1, "method": "session.list"}
    reply = {"jsonrpc": "2.0", "id": 1, "result": {"sessions": []}}
    lines: list[dict[str, Any]] = [{"tape": 1}, {"dir": "host", "msg": ping}, {"dir": "daemon", "msg": reply}]
    (tests / "talk.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tests / "host.jsonl").write_text(json.dumps(ping) + "\n")
    assert steps[0].startswith("pip install 'omnirt-daemon[testing]'")
    only = "python -m pytest tests -k spawns -p no:cacheprovider"  # the other one has had its turn
    for step in steps[1:]:
        done = run(["bash", "-c", step.replace("python -m pytest tests", only)], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_line_of_a_tape_is_valid_by_the_schema_of_the_page() -> None:
    [block] = documents.blocks("json", "tape")
    validator = jsonschema.Draft202012Validator(json.loads(block.text))
    lines = [json.loads(text) for path in TRANSCRIPTS for text in path.read_text().splitlines()]
    assert [line for line in lines if not validator.is_valid(line)] == []
    wrong: list[Any] = [
        {},
        {"tape": 2},
        {"dir": "host"},
        {"dir": "x", "msg": 1},
        {"dir": "daemon", "end": True},
        [],
    ]
    assert [line for line in wrong if validator.is_valid(line)] == []


def test_the_page_tells_every_option_and_wildcard() -> None:
    from omnirt.tapes.patterns import KINDS

    text = PAGE.read_text(encoding="utf-8")
    shown = run([sys.executable, "-m", "omnirt", "replay", "--help"], ROOT).stdout
    options = {word.strip("[],") for word in shown.split() if word.startswith(("--", "[--"))} - {"--help"}
    assert {option for option in options if f"`{option}" not in text} == set()
    assert {kind for kind in KINDS if f"<{kind}>" not in text} == set()
