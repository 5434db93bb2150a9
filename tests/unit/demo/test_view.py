"""What the demo prints: on a terminal, into a pipe, without Unicode, and as JSON lines."""

from __future__ import annotations

import io
import json

import pytest

from omnirt.demo.view import Entry, JsonView, TextView, make_view

ENTRY = Entry(1234, "agent", "transcript", "“Hello”", 56.7, [0.0, 1.0], {"itemId": "i"})


class Out(io.TextIOWrapper):
    """An output that remembers, of any encoding, and a terminal or not."""

    def __init__(self, encoding: str = "utf-8", terminal: bool = False) -> None:
        self.bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return self.terminal

    def getvalue(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


def test_piped_output_has_no_escape_codes_and_no_meter() -> None:
    out = Out()
    view = TextView(out)
    view.meter(1.0, 1.0, "Hel")
    view.show(ENTRY)
    view.close()
    text = out.getvalue()
    assert "\x1b" not in text
    assert text.splitlines()[0] == "   1.23s  agent      57 ms  “Hello”"
    assert text.splitlines()[1].strip() == "█"


def test_a_terminal_gets_a_meter_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Out(terminal=True)
    view = TextView(out)
    view.meter(1.0, 0.5, "Once")
    assert "Once" in out.getvalue()
    view.show(ENTRY)
    view.close()
    assert out.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))


def test_a_dumb_terminal_gets_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Out(terminal=True)
    view = TextView(out)
    view.meter(1.0, 1.0, "x")
    view.show(ENTRY)
    assert "\x1b" not in out.getvalue()


def test_an_output_without_unicode_gets_ascii() -> None:
    out = Out(encoding="ascii")
    TextView(out).show(ENTRY)
    assert out.getvalue().isascii()


def test_json_lines_have_the_figures() -> None:
    out = Out()
    view = make_view(True, out)
    assert isinstance(view, JsonView)
    view.meter(1.0, 1.0, "x")
    view.show(ENTRY)
    view.close()
    assert json.loads(out.getvalue()) == {
        "atMs": 1234, "who": "agent", "event": "transcript", "text": "“Hello”",
        "latencyMs": 56.7, "itemId": "i",
    }  # fmt: skip
