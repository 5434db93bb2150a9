"""The demo's verdict: it says what did not happen, and only then is the exit code not 0."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from omnirt.demo.conversation import Result
from omnirt.demo.events import Facts, Timeline
from omnirt.demo.verdict import missing, play_command, verdict
from omnirt.demo.view import Entry
from omnirt.protocol.events import RealtimeAudioInterrupted
from omnirt.protocol.methods import SessionStopResult
from omnirt.protocol.types import AudioFileInfo, Usage


class Entries:
    """A view that keeps what it is shown."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def show(self, entry: Entry) -> None:
        self.entries.append(entry)

    def meter(self, you: float, agent: float, saying: str) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def good(tmp_path: Path) -> Result:
    path = tmp_path / "answer one.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, 24_000, 0, "NONE", ""))
        wav.writeframes(bytes(4800))
    cut = RealtimeAudioInterrupted(
        session_id="s",
        run_id="r",
        at_ms=0,
        item_id="i",
        content_index=0,
        was_playing=True,
        heard_ms=2500,
        generated_ms=4000,
    )
    facts = Facts(
        said_by_user=["a", "b"],
        tools_called=["get_weather"],
        tools_ended=["completed"],
        interrupted=cut,
        answers=3,
        closed=["stopped"],
    )
    files = [AudioFileInfo(path=str(path), side="assistant", duration_ms=100)]
    stopped = SessionStopResult(reason="stopped", duration_ms=1, usage=Usage(), files=files)
    return Result(facts, stopped, received_ms=9000, chunk_ms=[1.0], interrupt_ms=5.0)


def test_a_conversation_that_happened_is_0_and_names_its_files(good: Result) -> None:
    view = Entries()
    assert verdict(Timeline(view), good, 0) == 0
    events = {entry.event: entry.text for entry in view.entries}
    assert "answer one.wav" in events["file"]
    assert "answer one.wav" in events["play"]
    assert events["summary"].startswith("all of it happened: 9.0 s")


def silent(result: Result) -> None:
    result.received_ms = 0


def uncut(result: Result) -> None:
    result.facts.interrupted = None


def cut_at_the_end(result: Result) -> None:
    assert result.facts.interrupted is not None
    result.facts.interrupted.heard_ms = 4000


def stale(result: Result) -> None:
    result.facts.stale_audio = 1


def toolless(result: Result) -> None:
    result.facts.tools_ended = ["timedOut"]


def empty_file(result: Result) -> None:
    Path(result.stopped.files[0].path).write_bytes(b"RIFF")


@pytest.mark.parametrize("spoil", [silent, uncut, cut_at_the_end, stale, toolless, empty_file])
def test_what_did_not_happen_is_told_and_makes_it_fail(good: Result, spoil: Callable[[Result], None]) -> None:
    spoil(good)
    view = Entries()
    assert verdict(Timeline(view), good, 0) == 1
    assert len([entry for entry in view.entries if entry.event == "missing"]) == 1


def test_a_daemon_that_fails_at_the_end_makes_it_fail(good: Result) -> None:
    assert missing(good, 1) == ["the daemon ended with exit code 1"]


def test_the_play_command_quotes_and_needs_a_player(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/bin/aplay" if name == "aplay" else None)
    assert play_command("/a b.wav") == "aplay -q '/a b.wav'"
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert play_command("/a b.wav") == "open '/a b.wav' with any audio player"
