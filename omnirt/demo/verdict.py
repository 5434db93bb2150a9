"""Whether the conversation really happened, and what it left for the ear."""

from __future__ import annotations

import shlex
import shutil
import statistics
import wave
from pathlib import Path

from omnirt.demo.conversation import Result
from omnirt.demo.events import Timeline
from omnirt.protocol.types import AudioFileInfo

PLAYERS = (
    ("afplay", ()),
    ("paplay", ()),
    ("aplay", ("-q",)),
    ("play", ("-q",)),
    ("ffplay", ("-autoexit", "-nodisp", "-loglevel", "error")),
)
"""Command line players, first those that come with a system."""


def verdict(timeline: Timeline, result: Result, exit_code: int | None) -> int:
    """Tells what was left and how it went; 0 when nothing is missing."""
    files = result.stopped.files
    if files:
        timeline.add("host", "folder", f"left in {Path(files[0].path).parent}/")
    for file in files:
        path = Path(file.path)
        seconds = file.duration_ms / 1000
        timeline.add(
            "host", "file", f"  {path.name} ({seconds:.1f} s)", path=file.path, durationMs=file.duration_ms
        )
    if files:
        longest = max(files, key=lambda file: file.duration_ms)
        timeline.add("host", "play", f"hear one: {play_command(longest.path)}")
    problems = missing(result, exit_code)
    for problem in problems:
        timeline.add("host", "missing", problem)
    chunk_ms = statistics.median(result.chunk_ms) if result.chunk_ms else 0.0
    timeline.add(
        "host",
        "summary",
        f"{'the conversation did not really happen' if problems else 'all of it happened'}: "
        f"{result.received_ms / 1000:.1f} s of speech received, {len(result.chunk_ms)} chunks sent "
        f"(median reply {chunk_ms:.1f} ms), interrupt answered in {result.interrupt_ms:.1f} ms",
        ok=not problems,
        receivedMs=result.received_ms,
        chunks=len(result.chunk_ms),
        chunkMedianMs=round(chunk_ms, 2),
        interruptMs=round(result.interrupt_ms, 2),
        exitCode=exit_code,
    )
    return 1 if problems else 0


def missing(result: Result, exit_code: int | None) -> list[str]:
    """What should have happened and did not."""
    facts = result.facts
    cut = facts.interrupted
    checks = {
        "no audio came": result.received_ms > 0,
        "the user's two questions were not transcribed": sum(map(bool, facts.said_by_user)) >= 2,
        "fewer than three answers were spoken": facts.answers >= 3,
        "the tool was not called": facts.tools_called == ["get_weather"],
        "the tool call did not complete": facts.tools_ended == ["completed"],
        "no answer was interrupted in its middle": cut is not None and 0 < cut.heard_ms < cut.generated_ms,
        "audio of the interrupted answer came after the interruption": facts.stale_audio == 0,
        "realtime.closed did not come exactly once": facts.closed == ["stopped"],
        "there were errors": not facts.errors,
        "no playable files were left": bool(result.stopped.files)
        and all(map(playable, result.stopped.files)),
        f"the daemon ended with exit code {exit_code}": exit_code == 0,
    }
    return [problem for problem, good in checks.items() if not good]


def playable(file: AudioFileInfo) -> bool:
    """Whether this is a WAV file with sound in it."""
    try:
        with wave.open(file.path, "rb") as wav:
            return wav.getnframes() > 0
    except (OSError, EOFError, wave.Error):
        return False


def play_command(path: str) -> str:
    """A command that plays the file with what is installed here."""
    for name, flags in PLAYERS:
        if shutil.which(name):
            return shlex.join([name, *flags, path])
    return f"open {shlex.quote(path)} with any audio player"
