"""The history as hosts and people see it: over the wire, after a crash, by two daemons, and by command."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import signal
import subprocess
import sys
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.host import Host, error_of, says
from tests.support.terminal import read
from tests.unit.storage.archives import store

pytestmark = pytest.mark.anyio
OMNIRT = (sys.executable, "-m", "omnirt")
WAIT_S = 30
WRITES = {"rules": [{"do": [{"text": "It is sunny."}]}]}
REMEMBERS = {"rules": [{"do": [{"text": "So far: {conversation}"}]}]}


async def omnirt(*args: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    process = await asyncio.create_subprocess_exec(
        *OMNIRT,
        *args,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), WAIT_S)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def told(*args: str) -> Any:
    """What a command says with --json."""
    code, out, err = await omnirt(*args, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def ids(listing: dict[str, Any]) -> list[str]:
    return [session["sessionId"] for session in listing["sessions"]]


async def test_a_live_session_is_in_the_history_and_an_ended_one_stays(host: Host) -> None:
    talk = await host.start("live", script=says("heard"))
    await talk.ask("sendText", text="Where is Lisbon?")
    await talk.ask("wait")
    page = await host.ask("history.get", sessionId=talk.id)
    assert [item["role"] for item in page["items"]] == ["user", "assistant"]
    assert {item["runId"] for item in page["items"]} == {talk.started["runId"]}
    assert page["items"][1]["generatedText"] == "I heard you."
    assert "endedAt" not in page["session"]
    assert ids(await host.ask("history.list", query="lisbon")) == [talk.id]
    assert (await host.refused("history.delete", sessionId=talk.id))["kind"] == "session_state"
    stopped = await talk.ask("stop")
    page = await host.ask("history.get", sessionId=talk.id)
    assert (page["session"]["reason"], page["session"]["durationMs"]) == ("stopped", stopped["durationMs"])
    assert [file["path"] for file in page["audio"]] == [file["path"] for file in stopped["files"]]
    gone = await host.ask("history.delete", sessionId=talk.id)
    assert gone["deletedFiles"] == len(stopped["files"]) == 1
    assert not Path(stopped["files"][0]["path"]).exists()
    assert (await host.refused("history.get", sessionId=talk.id))["kind"] == "not_found"
    assert (await talk.ask("stop")) == stopped, "what the daemon told, it tells again"


async def test_audio_is_read_while_it_grows_and_exported(host: Host, tmp_path: Path) -> None:
    talk = await host.start("reads", script=says("story"))
    talk.tell("sendText", text="A story, please")
    first = await talk.event("audio")
    read_now = await host.ask("audio.read", sessionId=talk.id, itemId=first["itemId"])
    assert read_now["totalMs"] > 0
    await talk.ask("wait")
    whole = b"".join(base64.b64decode(event["audio"]) for event in talk.of("audio"))
    final = await host.ask("audio.read", sessionId=talk.id, itemId=first["itemId"])
    assert (base64.b64decode(final["audio"]), final["format"]) == (whole, "pcm16")
    assert whole.startswith(base64.b64decode(read_now["audio"]))
    path = tmp_path / "item.wav"
    result = await host.ask("audio.export", sessionId=talk.id, itemId=first["itemId"], path=str(path))
    assert result == {"path": str(path), "durationMs": final["totalMs"], "channels": 1}
    with wave.open(str(path)) as file:
        assert file.readframes(file.getnframes()) == whole
    refused = await host.refused("audio.export", sessionId=talk.id, path=str(path))
    assert (refused["kind"], refused["path"]) == ("invalid_params", "$.path")
    assert (await host.refused("audio.export", sessionId=talk.id, path="x.wav"))["path"] == "$.path"
    await talk.ask("stop")


@pytest.mark.parametrize(
    ("method", "params", "path"),
    [
        ("history.list", {"limit": 0}, "$.limit"),
        ("history.list", {"limit": 2**31}, "$.limit"),
        ("history.list", {"cursor": "nonsense"}, "$.cursor"),
        ("history.list", {"query": "x" * 1001}, "$.query"),
        ("history.get", {"sessionId": "s", "limit": 1.5}, "$.limit"),
        ("history.get", {}, "$.sessionId"),
        ("audio.read", {"sessionId": "s", "itemId": "i", "offsetMs": -1}, "$.offsetMs"),
    ],
)
async def test_params_that_do_not_fit_are_told(
    method: str, params: dict[str, Any], path: str, host: Host
) -> None:
    refused = await host.refused(method, **params)
    assert (refused["kind"], refused["path"]) == ("invalid_params", path)


@pytest.mark.parametrize("session_id", ["../../x", "nul\0", "x" * 300, "con", ".", "", "💥"])
async def test_hostile_ids_find_nothing(session_id: str, host: Host, tmp_path: Path) -> None:
    for method, more in {
        "history.get": {},
        "history.delete": {},
        "audio.read": {"itemId": session_id},
        "audio.export": {"path": str(tmp_path / "x.wav")},
    }.items():
        assert (await host.refused(method, sessionId=session_id, **more))["kind"] == "not_found"
    assert list(tmp_path.iterdir()) == []


async def test_a_talk_goes_on_after_its_daemon_was_killed(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as host:
        talk = await host.start("s1", script=WRITES)
        await talk.ask("sendText", text="How is the weather?")
        await talk.ask("wait")
        await host.ask("history.list")  # what was told before is on disk
        host.daemon.signal(signal.SIGKILL)
        assert await host.daemon.wait_exit() == -signal.SIGKILL
        await asyncio.wait_for(host._pump, WAIT_S)
    async with Host.spawn(tmp_path) as host:
        talk = await host.start("s1", script=REMEMBERS, resume=True)
        assert talk.started["resumed"] is True
        await talk.ask("sendText", text="And now?")
        [response] = (await talk.ask("wait"))["responses"]
        assert response["text"] == "So far: How is the weather? / It is sunny. / And now?"
        assert len(talk.of("responseStart")) == 1, "nothing is answered but the new text"
        assert talk.of("itemAdded")[0]["item"]["content"][0]["text"] == "And now?"
        await talk.ask("stop")
        page = await host.ask("history.get", sessionId="s1")
        assert len({item["runId"] for item in page["items"]}) == 2
        assert [item.get("generatedText") or item["content"][0]["text"] for item in page["items"]] == [
            "How is the weather?",
            "It is sunny.",
            "And now?",
            response["text"],
        ]
        fresh = await host.start("s2", resume=True)
        assert fresh.started["resumed"] is False
        again = await host.start("s1", script=REMEMBERS)
        assert again.started["resumed"] is False


async def test_two_daemons_record_into_one_data_directory(tmp_path: Path) -> None:
    async with Host.spawn(tmp_path) as one, Host.spawn(tmp_path) as two:
        mine, theirs = await asyncio.gather(
            one.start("mine", script=says("story"), record="both"),
            two.start("theirs", script=says("story"), record="both"),
        )
        await asyncio.gather(*(talk.ask("sendText", text="A story") for talk in (mine, theirs)))
        await asyncio.gather(*(talk.event("audio") for talk in (mine, theirs)))
        assert (await one.refused("history.delete", sessionId="theirs"))["kind"] == "session_state"
        for resume in (False, True):
            _, request_id = one.begin("theirs", resume=resume)
            assert error_of(await one.reply(request_id))["kind"] == "session_exists"
        await asyncio.gather(*(talk.ask("wait") for talk in (mine, theirs)))
        ended = await asyncio.gather(*(talk.ask("stop") for talk in (mine, theirs)))
        for host in (one, two):
            assert sorted(ids(await host.ask("history.list"))) == ["mine", "theirs"]
        for session_id, result in zip(("mine", "theirs"), ended, strict=True):
            page = await one.ask("history.get", sessionId=session_id)
            assert [file["path"] for file in page["audio"]] == [file["path"] for file in result["files"]]
        assert (await one.ask("history.delete", sessionId="theirs"))["deletedFiles"] == 1
        assert (await two.refused("history.get", sessionId="theirs"))["kind"] == "not_found"
    code, out, _ = await omnirt("storage", "verify", "--data-dir", str(tmp_path))
    assert (code, "in order" in out) == (0, True)


async def test_retention_is_applied_soon_after_the_start(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "config.toml"
    for session_id, days in (("old", 40), ("young", 1)):
        over = (datetime.now(UTC) - timedelta(days=days)).isoformat().replace("+00:00", "Z")
        await store(data, session_id, "Hello", "Hi", started_at=over, ended_at=over)
    config.write_text("retention_days = 30\n")
    async with Host.spawn(data, "--config", str(config)) as host:
        async with asyncio.timeout(WAIT_S):
            while ids(await host.ask("history.list")) != ["young"]:
                await asyncio.sleep(0.05)
    assert [path.parent.name for path in data.glob("audio/*/*/*/*.wav")] == ["young"]


async def test_the_commands_work_beside_a_daemon(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    async with Host.spawn(tmp_path / "data") as host:
        talk = await host.start("s1", script=says("story"))
        talk.tell("sendText", text="A story, please")
        await talk.event("audio")
        await talk.ask("interrupt", playedMs=0)
        assert ids(await told("history", "list", "--data-dir", data, "--query", "stor*")) == ["s1"]
        code, out, err = await omnirt("history", "delete", "s1", "--data-dir", data)
        assert (code, out) == (1, "")
        assert "live" in err
        code, out, _ = await omnirt("history", "list", "--data-dir", data)
        assert out.split("\t")[0] == "s1"
        assert out.rstrip().endswith("live")
        await talk.ask("stop")
    code, out, _ = await omnirt("history", "show", "s1", "--data-dir", data)
    assert code == 0
    assert "you: A story, please" in out
    assert "greeter: [unheard: " in out
    shown = await told("history", "show", "s1", "--data-dir", data)
    assert [item["role"] for item in shown["items"]] == ["user", "assistant"]
    wav = tmp_path / "talk.wav"
    item = ("--item", shown["audio"][0]["itemId"])
    exported = await told("history", "export", "s1", str(wav), "--data-dir", data, "--overwrite", *item)
    assert exported["channels"] == 1
    code, _, err = await omnirt("history", "export", "s1", str(wav), "--data-dir", data)
    assert (code, "overwrite" in err) == (1, True)
    dry = await told("history", "prune", "--max-bytes", "1", "--dry-run", "--data-dir", data)
    assert (dry["sessions"], dry["deletedFiles"]) == (["s1"], 0)
    gone = await told("history", "delete", "s1", "--data-dir", data)
    assert gone == {
        "deleted": [{"sessionId": "s1", "deletedRows": 6, "deletedFiles": 1}],
        "failed": [],
    }
    code, _, err = await omnirt("history", "show", "s1", "--data-dir", data)
    assert (code, "No session" in err) == (1, True)


async def test_several_are_deleted_and_told_even_when_one_can_not_be(tmp_path: Path) -> None:
    for session_id in ("s1", "s2", "s3"):
        await store(tmp_path, session_id, "Hello", "Hi")
    data = ("--data-dir", str(tmp_path))
    gone = await told("history", "delete", "s1", "s2", *data)
    assert [row["sessionId"] for row in gone["deleted"]] == ["s1", "s2"]
    assert [row["deletedFiles"] for row in gone["deleted"]] == [1, 1]
    code, out, err = await omnirt("history", "delete", "nobody", "s3", "s1", "--json", *data)
    assert (code, err.count("No session")) == (1, 2)
    assert [row["sessionId"] for row in json.loads(out)["deleted"]] == ["s3"]
    [failed, _] = json.loads(out)["failed"]
    assert (failed["sessionId"], failed["kind"]) == ("nobody", "not_found")
    assert failed["message"] in err
    assert ids(await told("history", "list", *data)) == []


async def test_what_goes_wrong_is_json_too_where_that_is_asked_for(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    data = ("--data-dir", str(tmp_path), "--json")
    for args in (("show", "nobody"), ("export", "nobody", str(tmp_path / "out.wav"))):
        code, out, err = await omnirt("history", *args, *data)
        error = json.loads(out)["error"]
        assert (code, error["kind"]) == (1, "not_found")
        assert error["message"] in err


@pytest.mark.parametrize("args", [("history", "list"), ("history", "delete", "s1"), ("storage", "verify")])
async def test_a_named_folder_that_is_none_is_told(args: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for name, words, kind in (("none", "no folder", "not_found"), ("file", "is no folder", "storage_failed")):
        code, out, err = await omnirt(*args, "--json", "--data-dir", str(tmp_path / name))
        assert (code, words in err, str(tmp_path / name) in err) == (1, True, True)
        assert json.loads(out)["error"]["kind"] == kind


async def test_where_nothing_is_stored_yet_verify_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("OMNIRT_DATA_DIR", raising=False)
    code, out, err = await omnirt("storage", "verify")
    assert (code, "nothing is stored yet" in out, err) == (0, True, "")


@pytest.mark.parametrize(
    "args",
    [
        ["history"],
        ["history", "lst"],
        ["history", "show"],
        ["history", "list", "--limit", "0"],
        ["history", "list", "--limit", "99999999999999999999"],
        ["history", "prune", "--days", "-1"],
        ["history", "prune", "--days", "nan"],
        ["storage"],
        ["storage", "check"],
    ],
)
async def test_wrong_arguments_are_code_2(args: list[str]) -> None:
    code, out, err = await omnirt(*args)
    assert (code, out) == (2, "")
    assert err


async def test_verify_says_by_its_code_whether_all_is_in_order(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello", "Hi")
    [recording] = tmp_path.glob("audio/*/*/*/*.wav")
    recording.unlink()
    data = ("--data-dir", str(tmp_path))
    code, out, _ = await omnirt("storage", "verify", *data)
    assert (code, "--repair" in out) == (1, True)
    code, out, _ = await omnirt("storage", "verify", "--json", *data)
    document = json.loads(out)
    assert (code, document["ok"]) == (1, False)
    assert [finding["kind"] for finding in document["findings"]] == ["missingFile"]
    code, out, _ = await omnirt("storage", "verify", "--repair", *data)
    assert (code, "repaired" in out) == (0, True)
    code, out, _ = await omnirt("storage", "verify", *data)
    assert (code, "in order" in out) == (0, True)


async def test_at_a_terminal_there_is_a_table_and_nothing_that_commands_it(tmp_path: Path) -> None:
    await store(tmp_path, "s1", "Hello \x1b]0;gotcha\x07 there \u202e", "Hi")
    master, slave = pty.openpty()
    command = (*OMNIRT, "history", "show", "s1", "--data-dir", str(tmp_path))
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run(command, stdout=slave, stderr=slave, timeout=WAIT_S, check=True, env=env)
    os.close(slave)
    shown = read(master)
    assert b"\x1b[" in shown, "colours"
    assert b"gotcha" in shown
    assert b"\x1b]" not in shown
    assert b"\x07" not in shown
    assert "\u202e" not in shown.decode()
