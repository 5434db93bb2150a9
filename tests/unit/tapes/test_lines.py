"""Reading tapes, and what writing one makes of a message."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from omnirt.tapes.audio import Shelf
from omnirt.tapes.lines import DaemonLine, HostLine, Stall, read_tape
from omnirt.tapes.patterns import Json, TapeError, fill
from omnirt.tapes.writing import TapeFile, broken_line, header_line, message_line

HEADER = '{"tape": 1}\n'
AUDIO = base64.b64encode(bytes(range(200))).decode()


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "t.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_kind_of_line_is_read(tmp_path: Path) -> None:
    lines: list[Json] = [
        {"dir": "host", "atMs": 1, "msg": {"id": 1}},
        {"dir": "host", "raw": "{"},
        {"dir": "host", "raw64": "/w=="},
        {"dir": "host", "broken": "message_too_large"},
        {"dir": "daemon", "atMs": 2, "msg": 1},
        {"dir": "daemon", "any_order": [1, 2]},
        {"stall": 3},
        {"dir": "host", "end": True},
    ]
    settings: list[Json] = [{"comment": "x"}, {"dir": "host", "anywhere": "<any>"}, {"ignore": ["a"]}]
    settings += [{"anywhere": 1}, {"play": ["whole"]}, {"framings": ["lines"]}, {"args": ["-x"]}, {"exit": 1}]
    tape = read_tape(write(tmp_path, HEADER + "".join(json.dumps(x) + "\n" for x in [*lines, *settings])))
    assert tape.lines == [
        HostLine(2, 1, {"id": 1}),
        HostLine(3, raw=b"{"),
        HostLine(4, raw=b"\xff"),
        HostLine(5, broken="message_too_large"),
        DaemonLine(6, 2, [1]),
        DaemonLine(7, 0, [1, 2]),
        Stall(8, 3),
        HostLine(9, ends=True),
    ]
    assert (tape.comments, tape.let_pass, tape.ignore, tape.anywhere) == (["x"], ["<any>"], {"a"}, [1])
    assert (tape.play, tape.framings, tape.args, tape.exit_code) == (("whole",), ("lines",), ["-x"], 1)
    assert not tape.cut


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    whole = HEADER.encode() + b'{"dir": "daemon", "msg": "\xe2\x80\xa8"}\n'
    tape = read_tape(write(tmp_path, whole + b'{"dir": "daemon", "ms'))
    assert (tape.cut, len(tape.lines)) == (True, 1)
    with pytest.raises(TapeError, match=r"t\.jsonl:3: this is no JSON"):
        read_tape(write(tmp_path, whole + b'{"dir"\n{}\n'))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ('{"dir": "host", "msg": 1}\n', "no tape"),
        ('{"tape": 99}\n', "later version"),
        (f'{HEADER}{{"dir": "nowhere"}}\n', "t.jsonl:2: no line of a tape"),
        (f"{HEADER}[]\n", "no line"),
        ('{"tape": 0}\n', "is no tape"),
        ('{"tape": true}\n', "is no tape"),
        (f'{HEADER}{{"dir": "host", "atMs": null, "msg": 1}}\n', ":2: atMs"),
        (f'{HEADER}{{"dir": "host", "atMs": "x", "msg": 1}}\n', ":2: atMs"),
        (f'{HEADER}{{"dir": "host", "atMs": 1e300, "msg": 1}}\n', ":2: atMs"),
    ],
)
def test_what_is_no_tape_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(TapeError, match=problem):
        read_tape(write(tmp_path, text))


@pytest.mark.parametrize("mode", ["files", "inline", "none"])
def test_what_was_written_is_read_as_it_was(tmp_path: Path, mode: str) -> None:
    message: Json = {
        "params": {"audio": AUDIO, "text": "<any>", "<rest>": ["<<str>", 2**60, None, "\u2028"]},
        "event": {"type": "response.output_audio.delta", "delta": AUDIO},
        "other": {"audio": "no base64!", "delta": "AAAA"},
    }
    path = tmp_path / "t.jsonl"
    file = TapeFile(path, mode)  # type: ignore[arg-type] # one of the modes
    keep = file.shelf.keep
    file.write(header_line("lines", "now") + message_line("host", 3, message, keep))
    file.write(message_line("daemon", 4, message, keep) + broken_line(5, "parse_error", 2))
    file.close()
    host, daemon, raw = read_tape(path).lines
    assert isinstance(host, HostLine)
    assert isinstance(daemon, DaemonLine)
    assert raw == HostLine(4, 5, broken="parse_error")
    assert (AUDIO in path.read_text()) == (mode == "inline")
    assert (tmp_path / "t.jsonl.audio").exists() == (mode == "files")
    silence = base64.b64encode(bytes(200)).decode()
    for pattern in (host.message, daemon.patterns[0]):
        filled = json.dumps(fill(pattern, {}, tmp_path))
        assert json.loads(filled.replace(silence, AUDIO) if mode == "none" else filled) == message


def test_audio_is_on_disk_before_the_line_that_names_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "t.jsonl", "files")
    assert shelf.keep(b"abc") == "<audio:t.jsonl.audio#0+3>"
    assert shelf.keep(b"de") == "<audio:t.jsonl.audio#3+2>"
    shelf.flush()
    assert (tmp_path / "t.jsonl.audio").read_bytes() == b"abcde"
    assert (tmp_path / "t.jsonl.audio").stat().st_mode & 0o77 == 0
    shelf.close()
