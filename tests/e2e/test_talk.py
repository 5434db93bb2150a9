"""`omnirt talk` as a person has it: over a pipe, in a terminal, by voice, and where there is no sound."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from omnirt.talk.view import STATES
from tests.support import terminal
from tests.support.pulse import pulse
from tests.support.speech import silence, utterance

LIMIT_S = 90
NO_KEYS = {"OPENAI_API_KEY": "", "AZURE_OPENAI_API_KEY": "", "NO_COLOR": "1"}
APPROVED = """
name = "cashier"
instructions = "Be brief."
[[tools]]
run = "python:tests.support.python_tools:weather"
needs_approval = true
"""
SKY: dict[str, Any] = {
    "rules": [
        {"on": "text", "match": "sky", "do": [{"call": {"tool": "weather", "arguments": {"city": "Rome"}}}]},
        {"on": "tool_output", "do": [{"text": "I see: {tool_output}"}]},
        {"on": "text", "do": [{"text": "You said: {text}"}]},
    ]
}


def talk(folder: Path, *flags: str, typed: str = "", env: dict[str, str] | None = None) -> Any:
    command = [sys.executable, "-m", "omnirt", "talk", "--data-dir", str(folder / "data"), *flags]
    done = subprocess.run(
        command,
        input=typed,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, **NO_KEYS, **(env or {})},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_json_is_every_notification_on_a_line(tmp_path: Path) -> None:
    done = talk(tmp_path, "--text", "--provider", "simulator", "--json", typed="Hello\n")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    methods = [event["method"] for event in events]
    assert (methods[0], methods[-1]) == ("realtime.state", "realtime.closed")
    assert "realtime.textDone" in methods
    assert events[-1]["params"]["reason"] == "stopped"


def test_without_sound_the_talk_is_in_text_unless_a_device_was_named(tmp_path: Path) -> None:
    nowhere = {"PULSE_SERVER": "unix:/dev/null", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = talk(tmp_path, "--provider", "simulator", typed="Hello\nAnd again", env=nowhere)
    assert done.returncode == 0
    assert "as with --text" in done.stdout
    lines = [line.split(maxsplit=2)[1:] for line in done.stdout.splitlines()]
    assert ["you", "Hello"] in lines
    assert ["you", "And again"] in lines
    assert ["agent", "Hello there, it is good to hear you."] in lines
    assert lines[-1][0] == "host"
    assert "tokens" in lines[-1][1]
    done = talk(tmp_path, "--provider", "simulator", "--input", "kazoo", env=nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("omnirt talk: ")


def test_at_the_end_of_a_pipe_nobody_allows_a_tool(tmp_path: Path) -> None:
    (tmp_path / "cashier.toml").write_text(APPROVED)
    flags = [str(tmp_path / "cashier.toml"), "--text", *config(tmp_path, SKY)]
    done = talk(tmp_path, *flags, typed="sky\n")
    assert done.returncode == 0, done.stderr
    assert "weather(city: Rome): no, for the input has ended" in done.stdout
    assert "did not run: Nobody is there who could allow it." in done.stdout


def test_a_program_answers_a_question_with_a_line_which_only_a_line_feed_ends(tmp_path: Path) -> None:
    (tmp_path / "cashier.toml").write_text(APPROVED)
    flags = [str(tmp_path / "cashier.toml"), "--text", *config(tmp_path, SKY)]
    command = [sys.executable, "-m", "omnirt", "talk", "--data-dir", str(tmp_path / "data"), *flags]
    env = {**os.environ, **NO_KEYS, "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=env
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("sky\n")
        process.stdin.flush()
        assert any("allow?" in line for line in process.stdout)
        process.stdin.write("yes\n")
        process.stdin.flush()
        assert any("I see: " in line for line in process.stdout)
        process.stdin.write("one\u2028two\fthree\x85four\r\n")
        process.stdin.close()
        shown = process.stdout.read()
    assert "did not run" not in shown
    assert "You said: one two three four" in shown


def test_an_agent_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    done = talk(tmp_path, "nobody", "--text", "--provider", "simulator")
    assert done.returncode == 1
    assert "nobody" in done.stderr


class Screen:
    """`omnirt talk` in a terminal, and all that it has shown."""

    def __init__(self, fd: int, process: subprocess.Popen[bytes]) -> None:
        self.fd = fd
        self.process = process
        self.shown = b""

    def until(self, text: str) -> None:
        limit = time.monotonic() + LIMIT_S
        while text.encode() not in self.shown:
            assert time.monotonic() < limit, f"{text!r} is not in {self.shown[-2000:]!r}"
            piece = terminal.read(self.fd)
            assert piece, f"it ended without {text!r}: {self.shown[-2000:]!r}"
            self.shown += piece

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def end(self) -> int:
        self.type("\x03")
        while piece := terminal.read(self.fd):
            self.shown += piece
        return self.process.wait(LIMIT_S)


@contextmanager
def screen(folder: Path, *flags: str, env: dict[str, str] | None = None) -> Iterator[Screen]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "omnirt", "talk", "--data-dir", str(folder / "data"), *flags]
    size = {"COLUMNS": "200", "TERM": "xterm", "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, **NO_KEYS, **size, **(env or {})},
    )
    os.close(theirs)
    try:
        yield Screen(ours, process)
    finally:
        process.kill()
        process.wait(LIMIT_S)
        os.close(ours)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_before_the_connection_ends_it_without_a_word(
    number: signal.Signals, tmp_path: Path
) -> None:
    with screen(tmp_path, "--text", "--provider", "simulator") as it:
        pid = it.process.pid
        limit = time.monotonic() + LIMIT_S
        while not Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8"):
            assert time.monotonic() < limit, "no daemon was spawned"
        os.killpg(pid, number)  # as Ctrl-C in a terminal: to all of its group
        while piece := terminal.read(it.fd):
            it.shown += piece
        assert it.process.wait(LIMIT_S) == 130
    assert b"omnirt" not in it.shown, it.shown


def config(folder: Path, script: dict[str, Any]) -> tuple[str, ...]:
    """Flags for a simulator with this script."""
    (folder / "script.json").write_text(json.dumps(script))
    (folder / "config.toml").write_text(
        f'provider = "simulator"\n[simulator]\nscript = "{folder}/script.json"\n'
    )
    return "--config", str(folder / "config.toml")


def test_in_a_terminal_keys_write_interrupt_approve_and_end(tmp_path: Path) -> None:
    (tmp_path / "cashier.toml").write_text(APPROVED)
    with screen(tmp_path, str(tmp_path / "cashier.toml"), "--text", *config(tmp_path, SKY)) as it:
        it.until("cashier on simulator")
        it.type("Helllo\x7f\x7fo\r")
        it.until("You said: Hello")
        it.type("sky\r")
        it.until("allow?")
        it.type("y")
        it.until("I see: ")
        assert it.end() == 0
        assert b"ended after" in it.shown
        assert STATES["listening"][0].encode() in it.shown


def test_by_voice_in_a_terminal(tmp_path: Path) -> None:
    with pulse(tmp_path) as sound, sound.listening() as ear:
        script = {"rules": [{"on": "audio", "do": [{"say": "story"}]}]}
        with screen(tmp_path, *config(tmp_path, script), env=sound.env) as it:
            it.until("loudspeaker default")
            sound.say(utterance("weather") + silence(900))
            it.until("weather")
            it.until("speaking")
            while ear.loud_ms() < 500:
                time.sleep(0.01)
            it.type(" ")
            it.until("falls silent")
            it.until("you heard")
            assert it.end() == 0


def test_devices_are_listed(tmp_path: Path) -> None:
    with pulse(tmp_path) as sound:
        done = talk(tmp_path, "--list-devices", env=sound.env)
        as_json = talk(tmp_path, "--list-devices", "--json", env=sound.env)
    assert done.returncode == 0
    assert "pulse" in done.stdout
    found = {device["name"]: device for device in json.loads(as_json.stdout)["devices"]}
    assert found["pulse"]["input"] is found["pulse"]["output"] is True
    nowhere = {"PULSE_SERVER": "unix:/dev/null", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    none = talk(tmp_path, "--list-devices", "--json", env={**sound.env, **nowhere})
    if not json.loads(none.stdout)["devices"]:  # a machine may have others
        assert "no audio device" in none.stderr


def test_with_no_key_this_machine_answers(tmp_path: Path) -> None:
    done = talk(tmp_path, "--text", typed="Hello\n")
    assert done.returncode == 0, done.stderr
    assert "this machine answers" in done.stdout or "a simulator answers" in done.stdout
    assert " agent " in done.stdout
