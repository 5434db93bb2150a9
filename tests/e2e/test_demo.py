"""`omnirt demo` as a user runs it: the conversation really happens, is told, and leaves its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any, NamedTuple

import pytest

LIMIT_S = 90


class Demo(NamedTuple):
    """One run of the demo."""

    returncode: int
    out: str
    data_dir: Path


def run_demo(data_dir: Path, *flags: str, env: dict[str, str] | None = None) -> Demo:
    command = [sys.executable, "-m", "omnirt", "demo", "--fast", "--data-dir", str(data_dir), *flags]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return Demo(done.returncode, done.stdout.decode(), data_dir)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    demo = run_demo(tmp_path_factory.mktemp("demo"), "--json")
    assert demo.returncode == 0, demo.out
    return [json.loads(line) for line in demo.out.splitlines()]


def of(entries: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["event"] == event]


def test_both_sides_are_heard(entries: list[dict[str, Any]]) -> None:
    said = {(entry["role"], entry["text"]) for entry in of(entries, "transcript")}
    assert ("user", "“What is the weather like in Lisbon today?”") in said
    assert ("assistant", "“In Lisbon it is twenty one degrees and sunny.”") in said
    assert of(entries, "summary")[0]["receivedMs"] > 5000


def test_the_demo_answers_the_tool_call_itself(entries: list[dict[str, Any]]) -> None:
    (call,) = of(entries, "toolCall")
    assert call["arguments"] == {"city": "Lisbon"}
    assert [end["status"] for end in of(entries, "toolEnd")] == ["completed"]


def test_one_answer_is_interrupted_in_its_middle(entries: list[dict[str, Any]]) -> None:
    (cut,) = of(entries, "interrupted")
    assert 2000 <= cut["heardMs"] < cut["generatedMs"]
    assert "cancelled" in {end["status"] for end in of(entries, "responseEnd")}


def test_the_timeline_has_latencies_and_rises(entries: list[dict[str, Any]]) -> None:
    times = [entry["atMs"] for entry in entries]
    assert times == sorted(times)
    assert all(entry["latencyMs"] >= 0 for entry in of(entries, "firstAudio"))


def test_the_files_are_there_afterwards_and_play(entries: list[dict[str, Any]]) -> None:
    files = of(entries, "file")
    assert len(files) >= 3
    for file in files:
        with wave.open(file["path"], "rb") as wav:
            assert abs(wav.getnframes() / 24 - file["durationMs"]) <= 1
    longest = max(files, key=lambda file: file["durationMs"])
    assert longest["path"] in of(entries, "play")[0]["text"]


def test_into_a_pipe_it_prints_plain_lines(tmp_path: Path) -> None:
    demo = run_demo(tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert demo.returncode == 0, demo.out
    assert "\x1b" not in demo.out
    assert "all of it happened" in demo.out


def test_a_data_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    assert run_demo(taken).returncode == 2


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "omnirt", "demo", "--fast", "--json", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        for event in (b"spawned", b"connected"):
            assert event in demo.stdout.readline()
        demo.stdout.close()  # so that the tool has nowhere to tell of itself, either
        assert demo.wait(LIMIT_S) == 1
        assert demo.stderr is not None
        assert demo.stderr.read() == b""
