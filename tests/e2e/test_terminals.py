"""What commands show on terminals: wide, narrow, dumb, without colours, without Unicode; and to programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omnirt.protocol.types import Item
from omnirt.storage import AudioStorage, Heard
from tests.support.documents import ROOT
from tests.support.terminal import Shown, show
from tests.unit.storage.archives import begin, said, store, tone

pytestmark = pytest.mark.anyio
OMNIRT = (sys.executable, "-m", "omnirt")
STORY = "Once upon a time, a lighthouse keeper lived at the edge of the sea."
HEARD = "Once upon a time,"
ID = "a-talk-with-a-name-of-some-length-1"

TOOL: list[dict[str, Any]] = [
    {"type": "functionCall", "tool_name": "find", "arguments": {"about": "sea"}, "tool_call_id": "call_0"},
    {"type": "functionCallOutput", "output": "one found", "tool_call_id": "call_0"},
]


@pytest.fixture(scope="module")
async def data(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data directory with a talk in which a tool was used, an answer was cut, and both sides recorded."""
    folder = tmp_path_factory.mktemp("data")
    storage = AudioStorage(folder)
    recorder = await begin(storage, ID, record="both")
    recorder.host_audio(tone(300, 200), 100)
    recorder.item(said("user", "Tell me a story, “Señor”", "item_0", 300))
    for number, members in enumerate(TOOL, start=1):
        recorder.item(Item(item_id=f"item_{number}", status="completed", at_ms=900, **members))
    cut: dict[str, Any] = {"generated_text": STORY, "heard_text": HEARD, "heard_ms": 100, "interrupted": True}
    recorder.item(said("assistant", STORY, "item_3", 1000, **cut))
    recorder.audio("item_3", 0, tone(440, 400), 1000)
    recorder.audio_end("item_3", 0, Heard(100, 1000, interrupted=True))
    await recorder.finish("stopped", "2025-01-01T00:01:00.000Z", 60_000)
    await storage.close()
    await store(folder, "s2", "Hello", "Hi")
    return str(folder)


def history(data: str, *args: str, columns: int = 100, **variables: str) -> Shown:
    shown = show([*OMNIRT, *args, "--data-dir", data], columns=columns, **variables)
    assert shown.code == 0
    assert "Traceback" not in shown.raw
    return shown


async def test_a_talk_is_a_timeline_with_tools_cuts_and_recordings(data: str) -> None:
    lines = history(data, "history", "show", ID).lines
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert text.startswith(f"{ID} Greeter, 20")
    assert "0:00 you (recorded)\n0.2 s in " in text
    assert "0:00 you Tell me a story, “Señor”" in text
    assert 'tool find {"about":"sea"}' in text
    assert "tool gave one found" in text
    assert f"{HEARD} [unheard: a lighthouse keeper lived at the edge of the sea.]" in text.replace("\n", " ")
    assert "cut off: 0.1 s of 0.4 s were heard\n0.4 s in " in text
    assert "Recordings:" in text


@pytest.mark.parametrize("args", [("history", "show", ID), ("history", "list"), ("storage", "verify")])
async def test_on_a_narrow_terminal_nothing_is_wider_and_words_stay_whole(
    data: str, args: tuple[str, ...]
) -> None:
    shown = history(data, *args, columns=40)
    assert shown.code == 0
    if args[0] == "history":
        assert max(map(len, shown.lines)) <= 40
        assert ID in shown.text
    if args[1] == "show":
        assert "a lighthouse keeper lived at the edge of the sea.]" in shown.text


async def test_a_dumb_terminal_and_one_without_colours_tell_what_was_not_heard(data: str) -> None:
    dumb = history(data, "history", "show", ID, columns=40, TERM="dumb")
    assert "\x1b" not in dumb.raw
    assert "[unheard: a lighthouse" in dumb.text
    listed = history(data, "history", "list", columns=40, TERM="dumb")
    assert not [line for line in listed.lines if line.endswith(" ")]
    plain = history(data, "history", "show", ID, NO_COLOR="1")
    assert not [
        code for code in ("\x1b[3", "\x1b[1;3", "\x1b[9") if code in plain.raw.replace("\x1b[39m", "")
    ]
    assert "[unheard: a lighthouse" in plain.text


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
@pytest.mark.parametrize("args", [("history", "show", ID), ("history", "list"), ("storage", "verify")])
async def test_a_terminal_without_unicode_gets_ascii(
    data: str, args: tuple[str, ...], variables: dict[str, str]
) -> None:
    shown = history(data, *args, columns=100, **variables)
    assert shown.raw.isascii()
    if args[1] == "show":
        assert "Tell me a story, ?Se?or?" in shown.text


async def test_json_loses_nothing_where_there_is_no_unicode(data: str) -> None:
    done = subprocess.run(
        [*OMNIRT, "history", "show", ID, "--json", "--data-dir", data],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.isascii()
    assert json.loads(done.stdout)["items"][0]["content"][0]["text"] == "Tell me a story, “Señor”"


async def test_a_schema_is_the_same_where_there_is_no_unicode() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*OMNIRT, "schema"], env=env, capture_output=True, check=True, timeout=60)
    assert done.stdout.isascii()
    assert json.loads(done.stdout) == json.loads((ROOT / "schemas" / "openrpc.json").read_text("utf-8"))


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("schema", "--help"), ("nonsense",)])
async def test_what_is_said_of_commands_needs_no_unicode(args: tuple[str, ...]) -> None:
    shown = show([*OMNIRT, *args], columns=40, PYTHONIOENCODING="ascii", TERM="dumb")
    assert shown.code == (2 if args == ("nonsense",) else 0)
    assert shown.raw.isascii()
    assert "Traceback" not in shown.raw


async def test_the_doctor_draws_tables_where_there_is_room_and_writes_lines_elsewhere(tmp_path: Path) -> None:
    command = [*OMNIRT, "doctor", "--offline", "--data-dir", str(tmp_path)]
    wide = show(command, columns=120, OPENAI_API_KEY="sk-example")
    assert "\x1b[" in wide.raw
    for columns, term in ((40, "xterm"), (120, "dumb")):
        shown = show(command, columns=columns, OPENAI_API_KEY="sk-example", TERM=term)
        assert "\x1b" not in shown.raw
        assert "ok configuration:" in shown.text
        assert (shown.code, wide.code) == (0, 0)


async def test_the_demo_fits_a_narrow_terminal_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    demo = show([*OMNIRT, "demo", "--fast", "--data-dir", str(tmp_path)], columns=40)
    assert demo.code == 0, demo.text
    assert max(map(len, demo.lines)) <= 40
    assert "“In Lisbon it is twenty one degrees and sunny.”" in demo.text
    assert demo.raw.rindex("\x1b[?25h") > demo.raw.rindex("\x1b[?25l"), "the cursor is back"
