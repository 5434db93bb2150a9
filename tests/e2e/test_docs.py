"""The examples of README.md and docs/ work as they are shown, with a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.support import documents, exchanges
from tests.support.documents import ROOT, Block

LIMIT_S = 60
"""Bounds a hang; an example takes seconds, most of them importing the voice SDK."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Finds `omnirt` as an installed user would, and keeps its data out of the way."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMNIRT_DATA_DIR": str(tmp_path / "data"),
    }


@pytest.mark.parametrize("block", documents.blocks("text", "exchange"), ids=lambda block: block.where)
def test_an_exchange_happens_as_it_is_shown(block: Block, tmp_path: Path) -> None:
    assert exchanges.play(block.text, tmp_path) == 0


@pytest.mark.parametrize("block", documents.blocks("sh", "piped"), ids=lambda block: block.where)
def test_the_piped_example_is_answered_and_leaves_a_recording(
    block: Block, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        ["bash", "-c", block.text], env=environment, capture_output=True, check=True, timeout=LIMIT_S
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [m["id"] for m in messages if "id" in m] == [1, 2, 3, 4]
    notifications = [m for m in messages if "method" in m]
    assert [n["params"]["seq"] for n in notifications] == list(range(1, len(notifications) + 1))
    assert [n["method"] for n in notifications].count("realtime.closed") == 1
    file = next(f for f in messages[-1]["result"]["files"] if f["side"] == "assistant")
    with wave.open(file["path"]) as recording:
        assert recording.getnframes() > 0


def test_the_python_host_of_the_readme_prints_what_was_said(
    environment: dict[str, str], tmp_path: Path
) -> None:
    [block] = [b for b in documents.blocks("python") if b.where.startswith("README.md")]
    script = tmp_path / "host.py"
    script.write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    said, recorded = done.stdout.splitlines()
    assert said.startswith("assistant said: ")
    assert Path(recorded.removeprefix("recorded: ")).is_file()


@pytest.mark.parametrize(
    "block",
    [b for b in documents.blocks("python") if b.where.startswith("docs/")],
    ids=lambda block: block.where,
)
def test_the_python_of_a_page_runs_and_prints_something(
    block: Block, environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block.text],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout


def test_the_python_of_the_schemas_page_checks_a_message(environment: dict[str, str]) -> None:
    [block] = documents.blocks("python", "schemas")
    done = subprocess.run(
        [sys.executable, "-c", block.text],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert done.stdout == "True\n"
