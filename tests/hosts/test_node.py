"""Hosts in Node on the real daemon: the types, the examples, and vscode-jsonrpc itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import wave
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from omnirt.protocol.methods import HistoryGetParams, HistoryGetResult, HistoryListParams, StoredItem
from omnirt.storage.archive import Archive
from tests.support import documents
from tests.support.node_hosts import (
    MODULES,
    ROOT,
    WAIT_S,
    Listener,
    compile_types,
    environment,
    kill_the_daemon_of,
    make_workshop,
    running,
)
from tests.support.programs import find_program

pytestmark = pytest.mark.xdist_group("node")  # one of them compiles the examples for all

JS = MODULES.parent
PER_MS = 48
WELCOME = "You are welcome."
SCRIPT = {
    "rules": [
        {"match": "weather", "do": [{"call": {"tool": "get_weather", "arguments": {"city": "Oslo"}}}]},
        {"on": "tool_output", "match": "sunny in Oslo", "do": [{"say": WELCOME}]},
    ]
}
SIMULATOR = {"provider": "simulator", "simulator": {"speed": 5, "script": SCRIPT}}
GUIDE = {"name": "guide", "tools": [{"name": "get_weather", "run": "host", "needs_approval": True}]}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the examples, compiled."""
    return make_workshop(tmp_path_factory.mktemp("workshop"))


def test_right_uses_of_the_types_compile_and_wrong_ones_do_not(workshop: Path) -> None:
    done = compile_types(JS)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_typescript_of_the_page_compiles(workshop: Path, tmp_path: Path) -> None:
    [block] = documents.blocks("ts", "typed")
    (tmp_path / "omnirt.d.ts").write_text((ROOT / "schemas" / "omnirt.d.ts").read_text(encoding="utf-8"))
    (tmp_path / "host.ts").write_text(block.text, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(MODULES)
    options = {"strict": True, "noEmit": True, "module": "nodenext", "types": ["node"]}
    options["allowImportingTsExtensions"] = True
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    done = compile_types(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_played_is_what_was_heard(workshop: Path, tmp_path: Path) -> None:
    played, microphone = Listener(tmp_path / "played"), tmp_path / "microphone"
    os.mkfifo(microphone)
    speak = os.fdopen(os.open(microphone, os.O_RDWR), "wb")  # whoever listens to it need not be there yet
    flags = ["--agent", json.dumps(GUIDE), "--settings", json.dumps(SIMULATOR)]
    flags += ["--out", str(played.path), "--mic", f"cat '{microphone}'"]
    with speak, running(workshop / "talk.mjs", *flags, env=environment(tmp_path)) as host:
        host.type("Tell me a story")
        played.until(1200 * PER_MS)
        host.type("")  # interrupts
        host.until("[cut after ")
        host.type("How is the weather?")
        assert host.until("May ") == 'May get_weather({"city":"Oslo"}) run? [y/n]'
        host.type("y")
        host.until(f"assistant: {WELCOME}")
        before = len(played.heard)
        host.type("Tell me a story")
        played.until(before + 2000 * PER_MS)
        speak.write(recording("stop"))  # the user speaks up, and the provider hears it
        speak.close()
        host.until("[cut after ")
        assert host.end() == 0
    items = assistant_items(tmp_path / "data")
    by_hand, welcome, by_voice, *_ = (item for item, _ in items)
    assert (by_hand.interrupted, welcome.heard_text, by_voice.interrupted) == (True, WELCOME, True)
    sound = played.all()
    for item, generated in items:
        consumed = common(sound, generated)
        assert item.heard_ms is not UNSET
        if item is by_voice:  # the provider noticed between two reports
            assert 0 < item.heard_ms <= consumed // PER_MS < len(generated) // PER_MS
        else:
            assert item.heard_ms == consumed // PER_MS
        sound = sound[consumed:]
    assert sound == b"", "and nothing else was played"
    for cut in (by_hand, by_voice):
        assert isinstance(cut.heard_text, str)
        assert isinstance(cut.generated_text, str)
        assert cut.generated_text.startswith(cut.heard_text)
        assert 0 < len(cut.heard_text) < len(cut.generated_text)


def recording(name: str) -> bytes:
    """An example's audio, and silence after it."""
    with wave.open(str(ROOT / "examples" / "audio" / f"{name}.wav")) as file:
        spoken: bytes = file.readframes(file.getnframes())
    return spoken + bytes(1000 * PER_MS)


def assistant_items(data_dir: Path) -> list[tuple[StoredItem, bytes]]:
    """What the agent said in the only session there is, with all audio that was generated of it."""
    session = stored(data_dir)
    paths = {file.item_id: file.path for file in session.audio}
    found = []
    for item in session.items:
        if item.role != "assistant" or item.item_id not in paths:
            continue  # or it had not begun to speak when the talk ended
        with wave.open(paths[item.item_id]) as file:
            found.append((item, file.readframes(file.getnframes())))
    return found


def stored(data_dir: Path) -> HistoryGetResult:
    """The only session there is."""

    async def read() -> HistoryGetResult:
        archive = Archive(data_dir)
        [session] = (await archive.list(HistoryListParams())).sessions
        return await archive.get(HistoryGetParams(session_id=session.session_id))

    return asyncio.run(asyncio.wait_for(read(), WAIT_S))


def common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def test_an_extension_asks_before_a_tool_runs(workshop: Path, tmp_path: Path) -> None:
    script = workshop / "build" / "voice.js"
    with running(script, "How is the weather?", json.dumps(SIMULATOR), env=environment(tmp_path)) as host:
        assert host.until("May ") == 'May get_weather({"city":"Oslo"}) run? [Yes/Always]'
        host.type("Yes")
        host.until(f"assistant: {WELCOME}")
        assert host.end() == 0


TWICE = {
    "rules": [
        {"match": "two", "do": [{"call": [{"tool": "now", "arguments": {"n": n}} for n in (1, 2)]}]},
        {"on": "tool_output", "do": [{"say": WELCOME}]},
    ]
}


def test_questions_are_asked_one_at_a_time_and_each_has_its_own_answer(
    workshop: Path, tmp_path: Path
) -> None:
    clock = {"name": "clock", "tools": [{"name": "now", "run": "host", "needs_approval": True}]}
    settings = {"provider": "simulator", "simulator": {"speed": 20, "script": TWICE}}
    flags = ["--agent", json.dumps(clock), "--settings", json.dumps(settings)]
    with running(workshop / "talk.mjs", *flags, env=environment(tmp_path)) as host:
        host.type("two")
        first = host.until("May ")
        assert host.seen.count(first) == 1
        host.type("n")
        second = host.until("May ")
        assert {first, second} == {f'May now({{"n":{n}}}) run? [y/n]' for n in (1, 2)}
        host.type("y")
        host.until(f"assistant: {WELCOME}")
        host.type("two")
        host.until("May ")
        assert host.end() == 0, "who types no more answers no"
        assert [line for line in host.seen if line.startswith("[")] == []
    was_refused = ["not approved" in told for told in outputs(stored(tmp_path / "data").items)]
    assert was_refused == ['"n":1' in first, '"n":1' in second, True, True]


def outputs(items: list[StoredItem]) -> list[str]:
    """What the model was told of the calls, in the order of those."""
    told = {item.tool_call_id: str(item.output) for item in items if item.type == "functionCallOutput"}
    return [told[item.tool_call_id] for item in items if item.type == "functionCall"]


@pytest.mark.parametrize("script", ["talk.mjs", "build/voice.js"])
def test_settings_that_are_no_json_are_told_in_a_sentence(
    script: str, workshop: Path, tmp_path: Path
) -> None:
    flags = ["--settings", "{oops"] if script == "talk.mjs" else ["Hello", "{oops"]
    with running(workshop / script, *flags, env=environment(tmp_path)) as host:
        assert host.end() == 2
    [line] = host.seen
    assert "settings" in line
    assert "no JSON" in line


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("talk.mjs", "The daemon ended: SIGKILL."),
        ("build/voice.js", "omnirt ended: SIGKILL. Its talks are stored."),
    ],
)
def test_a_host_tells_that_its_daemon_died(script: str, said: str, workshop: Path, tmp_path: Path) -> None:
    code, lines = kill_the_daemon_of(workshop / script, tmp_path=tmp_path)
    assert code == 1
    assert said in lines


def test_what_vscode_jsonrpc_sends_is_understood(workshop: Path, tmp_path: Path) -> None:
    seen = run_node(JS / "wire.mjs", tmp_path)
    empty: dict[str, Any] = {}
    assert seen["plain"][:2] == [{"jsonrpc": "2.0", "id": same, "result": empty} for same in (0, "")]
    assert [(reply["id"], "result" in reply) for reply in seen["plain"][2]] == [(0, True), (0, True)]
    assert seen["withoutParams"] == seen["shutdown"] == empty
    # The library sends [null], and params are by name: docs/NODE.md says what to write instead.
    assert seen["nullAsOnlyParam"] == {"code": -32602, "kind": "invalid_params"}
    assert seen["unknown"] == {"code": -32601, "kind": "method_not_found"}
    assert seen["cancelled"] == {"code": -32800, "kind": "cancelled"}
    assert seen["waited"]["responses"][0]["status"] == "completed"
    assert seen["text"] == "one\u2028two\u2029three\u0085four"
    assert {"realtime.state", "realtime.audio", "realtime.responseEnd"} <= set(seen["notifications"])
    assert (seen["errors"], seen["exitCode"]) == ([], 0)


def run_node(script: Path, tmp_path: Path) -> dict[str, Any]:
    """What a script prints as JSON."""
    done = subprocess.run(
        [find_program("node"), str(script)],
        env=environment(tmp_path),
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_the_node_host_of_the_pages_prints_what_was_said(tmp_path: Path) -> None:
    [text] = {
        block.text for block in documents.blocks("js", "host")
    }  # the same in README.md and docs/NODE.md
    script = tmp_path / "host.mjs"
    script.write_text(text, encoding="utf-8")
    with running(script, env=environment(tmp_path)) as host:
        assert host.until("assistant said: ") != "assistant said: "
        recorded = host.until("recorded: ").removeprefix("recorded: ")
        assert Path(recorded).is_file()
        assert host.end() == 0
