"""Records a transcript from a real run: plays the host's lines, and generalises what the daemon says."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from omnirt.tapes.lines import FRAMINGS, MODES, VERSION, DaemonLine, HostLine, Stall, Tape
from omnirt.tapes.patterns import REST, WILDCARD, Json, Names, fill, fits
from tests.support.expectations import Expected, Mismatch, stream_of
from tests.support.raw_daemon import Daemon

WAIT_S = 30.0

VARYING: dict[str, str] = {
    "startedAt": "<time>",
    "audio": "<base64>",
    "delta": "<str>",
    "path": "<wav>",
    "file": "<path>",
    "version": "<str>",
    "logId": "<str>",
    "queues": "<object>",
    "usage": "<object>",
    "latency": "<object>",
    "limits": "<object>",
    "message": "<str>",
    "methods": "<list>",
    "notifications": "<list>",
    "calls": "<list>",
    "providers": "<list>",
    "eventId": "<str>",
    "event_id": "<str>",
}
"""Members whose value differs from run to run or from version to version, or is for people."""

COUNTS = frozenset({"seq", "pid", "rssBytes", "queuedBytes", "text", "audio", "image", "cached", "count"})
"""Numbers that differ, besides those whose name ends with Ms or Tokens."""

LONG_TEXT = 400

NAMED: dict[str, str] = {
    "runId": "run",
    "itemId": "item",
    "responseId": "response",
    "toolCallId": "call",
}
"""Members that refer to the same thing wherever they have the same value."""

REPEATED = ("realtime.audio", "realtime.transcriptDelta", "realtime.textDelta")


class Generaliser:
    """Turns messages into patterns; the same id becomes the same name everywhere."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def pattern(self, value: Json, member: str = "") -> Json:
        """A pattern which this value fits, and which the same exchange fits tomorrow."""
        if member in NAMED and isinstance(value, str):
            count = sum(name.startswith(NAMED[member]) for name in self._names.values()) + 1
            return f"<str:{self._names.setdefault(value, f'{NAMED[member]}{count}')}>"
        if member in VARYING and fits(VARYING[member], value, {}):
            return VARYING[member]
        if (member.endswith(("Ms", "Tokens")) or member in COUNTS) and type(value) is int:
            return "<int>"
        if isinstance(value, str) and len(value) > LONG_TEXT:
            return "<str>"
        if isinstance(value, list):
            return [self.pattern(element) for element in value]
        if isinstance(value, dict) and "openrpc" in value:
            return {"openrpc": "<str>", REST: True}  # schemas/openrpc.json has tests of its own
        if isinstance(value, dict) and member == "event":
            return {"type": value["type"], REST: True}  # the provider's, not ours
        if isinstance(value, dict):
            return {name: self.pattern(inner, name) for name, inner in value.items()}
        return value

    def name_of(self, value: Json) -> str | None:
        """The name given to an id, if any."""
        return self._names.get(str(value))


async def record(transcript: Tape) -> list[dict[str, Json]]:
    """The lines of a new transcript with the host's lines of this one.

    Raises:
        Mismatch: What a daemon line of the draft waits for does not come.
    """
    lines: list[dict[str, Json]] = [{"tape": VERSION}]
    lines += [{"comment": comment} for comment in transcript.comments]
    args: list[Json] = [*transcript.args]
    ignored: list[Json] = [*sorted(transcript.ignore)]
    lines += [{"args": args}] if args else []
    lines += [{"ignore": ignored}] if ignored else []
    lines += [{"anywhere": pattern} for pattern in transcript.anywhere]
    modes: list[Json] = [*transcript.play]
    framings: list[Json] = [*transcript.framings]
    lines += [{"play": modes}] if transcript.play != MODES else []
    lines += [{"framings": framings}] if transcript.framings != FRAMINGS else []
    lines += [{"exit": transcript.exit_code}] if transcript.exit_code else []
    with tempfile.TemporaryDirectory(prefix="omnirt-record-") as folder:
        daemon = await Daemon.spawn(
            [str(fill(arg, {}, transcript.folder)) for arg in args], "lines", Path(folder)
        )
        try:
            async with asyncio.timeout(120):
                return lines + await Recorder(transcript, daemon).run()
        except (Mismatch, TimeoutError) as error:
            raise Mismatch(f"{error}\nstderr: {daemon.log()}") from None
        finally:
            await daemon.kill()


class Recorder:
    """One recording."""

    def __init__(self, transcript: Tape, daemon: Daemon) -> None:
        self._transcript = transcript
        self._daemon = daemon
        self._names: Names = {}
        self._generaliser = Generaliser()
        self._lines: list[dict[str, Json]] = []
        self._received: list[Json] = []
        self._changed = asyncio.Event()
        self._ended = False

    async def run(self) -> list[dict[str, Json]]:
        """Plays the host's lines and waits where the draft has daemon lines."""
        reader = asyncio.create_task(self._read())
        for line in self._transcript.lines:
            if isinstance(line, DaemonLine):
                await self._wait_for(Expected(line.number, line.patterns))
                continue
            if isinstance(line, Stall):
                self._lines.append({"stall": line.stored_bytes})
                await self._daemon.stall(line.stored_bytes)
                continue
            await self._send(line)
        self._daemon.end()
        await reader
        await self._daemon.wait()
        renamed = {name: self._generaliser.name_of(value) for name, value in self._names.items()}
        for written in self._lines:
            if written.get("dir") == "host" and "msg" in written:
                written["msg"] = _rename(written["msg"], renamed)
        return self._lines

    async def _send(self, line: HostLine) -> None:
        if line.raw is not None:
            raw = line.raw.decode()
            self._lines.append({"dir": "host", "raw": raw})
            await self._daemon.send(self._daemon.frame(raw))
            return
        self._lines.append({"dir": "host", "msg": line.message})
        message = fill(line.message, self._names, self._transcript.folder)
        await self._daemon.send(self._daemon.frame(json.dumps(message)))

    async def _read(self) -> None:
        async for message in self._daemon.messages():
            self._received.append(message)
            self._write(message)
            self._changed.set()
        self._ended = True
        self._changed.set()

    def _write(self, message: Json) -> None:
        pattern = self._generaliser.pattern(message)
        if isinstance(message, dict) and message.get("method") in self._transcript.ignore:
            return
        if any(fits(anywhere, message, {}) for anywhere in self._transcript.anywhere):
            return
        if not _is_repeated(message):
            self._lines.append({"dir": "daemon", "msg": pattern})
            return
        group = next((line for line in reversed(self._lines) if _same_stream(line, message)), None)
        if group is None or "any_order" not in group:
            group = {"dir": "daemon", "any_order": []}
            self._lines.append(group)
        parts = group["any_order"]
        assert isinstance(parts, list)
        if {"<some>": pattern} not in parts:
            parts.append({"<some>": pattern})

    async def _wait_for(self, line: Expected) -> None:
        for part in line.parts:
            if part.least == 0:
                continue
            async with asyncio.timeout(WAIT_S):
                await self._until_came(_loosen(part.pattern), line.number)

    async def _until_came(self, pattern: Json, number: int) -> None:
        checked = 0
        while True:
            for message in self._received[checked:]:
                checked += 1
                if fits(pattern, message, self._names):
                    return
            if self._ended:
                raise Mismatch(f"line {number}: {pattern} did not come")
            self._changed.clear()
            await self._changed.wait()


def _is_repeated(message: Json) -> bool:
    """Whether there may be more or fewer of these on another day: pieces of audio and text."""
    match message:
        case {"method": "realtime.raw", "params": {"event": {"type": str(kind)}}}:
            return kind.endswith(".delta")
        case {"method": method}:
            return method in REPEATED
        case _:
            return False


def _same_stream(line: dict[str, Json], message: Json) -> bool:
    if line.get("dir") != "daemon":
        return False
    parts = line.get("any_order", [line.get("msg")])
    assert isinstance(parts, list)
    first = parts[0]
    pattern = first["<some>"] if isinstance(first, dict) and "<some>" in first else first
    return stream_of(pattern, {}) == stream_of(message, {})


def _loosen(pattern: Json) -> Json:
    """What a draft's line waits for: these members, whatever else there is."""
    if isinstance(pattern, dict):
        return {REST: True, **{name: _loosen(member) for name, member in pattern.items()}}
    return pattern


def _rename(value: Json, renamed: dict[str, str | None]) -> Json:
    """A host's line with the names of the draft replaced by those of the recording."""
    if isinstance(value, str) and (found := WILDCARD.fullmatch(value)):
        name = renamed.get(found["name"])
        return f"<str:{name}>" if name else value
    if isinstance(value, list):
        return [_rename(element, renamed) for element in value]
    if isinstance(value, dict):
        return {member: _rename(inner, renamed) for member, inner in value.items()}
    return value
