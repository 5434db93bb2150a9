"""`omnirt doctor` as its user runs it: what it finds, what it shows of it, and whether all is well."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.internet import KEY, Internet, internet
from tests.support.terminal import read

pytestmark = pytest.mark.anyio
OMNIRT = (sys.executable, "-m", "omnirt", "doctor")
WAIT_S = 30
STEPS = ["handshake", "session", "settings", "update", "text"]
CANARIES = ("canary", KEY)


async def doctor(world: Internet | None, *args: str, **env: str) -> tuple[int, str]:
    """Its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *OMNIRT,
        *args,
        env={**os.environ, **(world.env if world else {}), **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), WAIT_S)
    assert err == b""
    assert process.returncode is not None
    said = out.decode()
    assert not [canary for canary in CANARIES if canary in said]
    return process.returncode, said


async def report(world: Internet | None, *args: str, **env: str) -> tuple[int, dict[str, Any]]:
    """The same for programs."""
    code, said = await doctor(world, "--json", *args, **env)
    document: dict[str, Any] = json.loads(said)
    assert document["ok"] is (code == 0)
    return code, document


def checks(document: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in document["checks"]}


async def test_with_the_simulator_all_is_well_without_a_network(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('provider = "simulator"\n[simulator]\nspeed = 20\n')
    data = tmp_path / "data"
    code, document = await report(None, "--config", str(config), "--data-dir", str(data))
    assert code == 0
    assert {name: checks(document)[name] for name in STEPS} == dict.fromkeys(STEPS, "ok")
    timed = {check["name"] for check in document["checks"] if check["ms"] is not None}
    assert timed == set(STEPS)
    assert {"omnirt", "python", "openai-agents", "websockets", "sqlite"} <= set(document["versions"])
    assert document["endpoint"]["provider"] == "simulator"
    assert not data.exists(), "it looks, and leaves nothing"


async def test_what_it_finds_is_masked_and_says_where_it_comes_from(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        'openai_base_url = "https://user:url-canary@compatible.test/v1?token=query-canary&tenant=t"\n'
        'openai_realtime_model = "m"\napi_key = "sk-file-canary"\nopenai_realtime_deployment = ""\n'
        '[openai_headers]\nX-Auth-Token = "header-canary"\nX-Tenant = "t1"\n'
    )
    config.chmod(0o644)
    variables = {
        "OPENAI_API_KEY": "sk-env-canary",
        "HEADERS": "Cookie: cookie-canary",
        "OPENAI_REALTIME_DEPLOYMENT": "hidden",
        "HTTPS_PROXY": "http://user:proxy-canary@127.0.0.1:1",
        "https_proxy": "http://user:proxy-canary@127.0.0.1:1",
    }
    args = ("--offline", "--config", str(config), "--data-dir", str(tmp_path))
    code, document = await report(None, *args, **variables)
    assert code == 0
    found = {setting["name"]: (setting["source"], setting["value"]) for setting in document["settings"]}
    assert found["api_key"] == ("configuration file", "***")
    assert "openai_api_key" not in found, "its variable is not the one that counts"
    assert found["openai_base_url"][1] == "https://***@compatible.test/v1?token=***&tenant=t"
    assert found["openai_headers"] == ("configuration file", "X-Auth-Token: ***, X-Tenant: t1")
    assert found["headers"] == ("HEADERS", "Cookie: ***")
    assert "hidden" in found["openai_realtime_deployment"][1]
    assert document["endpoint"]["url"].startswith("wss://compatible.test/v1/realtime?token=***&tenant=t")
    assert document["endpoint"]["model"] == "m"
    assert document["endpoint"]["proxy"] == "http://***@127.0.0.1:1"
    states = checks(document)
    assert (states["configuration"], states["connection"]) == ("warn", "skipped")
    assert (states["data folder"], states["free disk"]) == ("ok", "ok")
    _, said = await doctor(None, *args, **variables)
    assert "setting  api_key = *** (configuration file)" in said
    assert said.endswith("All is well.\n")


async def test_a_real_connection_tells_what_the_server_answers(tmp_path: Path) -> None:
    async with internet(tmp_path) as world:
        azure = {"AZURE_OPENAI_ENDPOINT": "res.openai.azure.com", "AZURE_OPENAI_API_KEY": KEY}
        azure["AZURE_OPENAI_API_VERSION"] = "2025-04-01-preview"
        code, document = await report(world, "--data-dir", str(tmp_path / "data"), **azure)
        assert code == 0
        assert {name: checks(document)[name] for name in STEPS} == dict.fromkeys(STEPS, "ok")
        [warning] = [check for check in document["checks"] if check["status"] == "warn"]
        assert "/openai/v1/realtime?model=gpt-realtime" in warning["detail"]
        assert document["endpoint"]["headers"] == {"api-key": "***"}
        assert world.front.heads[-1].all("api-key") == [KEY]


@pytest.mark.parametrize(
    ("fault", "states", "says"),
    [
        ({"faults": [{"refuse": 401}]}, {"handshake": "fail"}, "refuses the key"),
        (
            {"rules": [{"do": [{"fail": "quota"}]}]},
            {"update": "ok", "text": "fail"},
            "no quota left",
        ),
        (
            {"faults": [{"at": {"type": "session.update"}, "drop": 1011}]},
            {"session": "ok", "settings": "fail"},
            "closed the connection (code 1011)",
        ),
    ],
)
async def test_what_goes_wrong_is_told_and_the_exit_code_is_1(
    tmp_path: Path, fault: dict[str, Any], states: dict[str, str], says: str
) -> None:
    key = "sk-wrong-canary"
    async with internet(tmp_path, {key: fault}) as world:
        code, document = await report(world, "--data-dir", str(tmp_path / "data"), OPENAI_API_KEY=key)
    assert code == 1
    assert states.items() <= checks(document).items()
    [failed] = [check for check in document["checks"] if check["status"] == "fail"]
    assert says in failed["detail"]


async def test_a_compatible_server_need_not_confirm_settings(tmp_path: Path) -> None:
    key = "sk-silent-canary"
    script = {"faults": [{"at": {"type": "session.update"}, "no_session_updated": True}]}
    async with internet(tmp_path, {key: script}) as world:
        url = "https://compatible.test/v1"
        variables = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": url}
        code, document = await report(world, "--data-dir", str(tmp_path / "data"), **variables)
    assert code == 0
    assert checks(document)["settings"] == "warn"
    assert checks(document)["text"] == "ok"


async def test_no_key_a_wrong_file_and_a_bad_folder_are_not_well(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "AZURE_OPENAI_ENDPOINT": "", "OMNIRT_CONFIG": ""}
    code, said = await doctor(None, "--offline", "--data-dir", str(tmp_path), **env)
    assert code == 1
    assert "fail     endpoint: No key for the provider `openai`" in said
    wrong = tmp_path / "config.toml"
    wrong.write_text('openai_api_key = "sk-canary"\nopnai_base_url = "x"\n')
    code, said = await doctor(None, "--offline", "--data-dir", str(wrong / "data"), OMNIRT_CONFIG=str(wrong))
    assert code == 1
    assert "did you mean `openai_base_url`" in said
    assert "it is no folder" in said
    assert said.endswith("Not well: configuration, data folder.\n")


def test_at_a_terminal_it_draws_tables(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('provider = "simulator"\nopenai_api_key = "sk-canary"\n')
    config.chmod(0o600)
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    args = [*OMNIRT, "--offline", "--config", str(config), "--data-dir", str(tmp_path)]
    with subprocess.Popen(args, env=env, stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        seen = b""
        while data := read(leader):
            seen += data
        assert process.wait(WAIT_S) == 0
    os.close(leader)
    assert "─" in seen.decode()
    assert b"openai_api_key" in seen
    assert b"All is well." in seen
    assert b"canary" not in seen
