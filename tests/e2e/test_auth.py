"""`omnirt auth` as its user runs it, and a daemon that finds the key; with a real keyring in a file."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.host import AGENT, Host
from tests.support.identity import TOKEN, token_service
from tests.support.internet import KEY, internet
from tests.support.terminal import read

OMNIRT = (sys.executable, "-m", "omnirt")
WAIT_S = 30


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A user with a keyring, and without keys elsewhere."""
    ring = {"PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring", "XDG_DATA_HOME": str(tmp_path)}
    return {**os.environ, **ring, "OPENAI_API_KEY": "", "AZURE_OPENAI_API_KEY": ""}


def auth(env: dict[str, str], *args: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*OMNIRT, "auth", *args],
        input=stdin,
        env=env,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    return done


def test_a_key_is_set_shown_masked_and_cleared(env: dict[str, str]) -> None:
    auth(env, "set", "openai", stdin=f"{KEY}\n")
    auth(env, "set", "https://Compatible.test:8443/v1", stdin="short-key")
    shown = auth(env, "status", "openai", "azure", "compatible.test:8443").stdout
    assert f"openai: ***{KEY[-4:]}\n" in shown
    assert "azure: no key\n" in shown
    assert "compatible.test:8443: ***\n" in shown
    assert "short-key" not in shown
    assert auth(env, "clear", "openai").stdout == "Forgot the key for openai.\n"
    assert auth(env, "clear", "openai").stdout == "There was no key for openai.\n"
    assert "openai: no key" in auth(env, "status").stdout
    stored = auth(env, "set", "openai", "--json", stdin=f"{KEY}\n").stdout
    assert json.loads(stored) == {"name": "openai", "stored": True}
    assert json.loads(auth(env, "clear", "openai", "--json").stdout) == {"name": "openai", "cleared": True}
    assert json.loads(auth(env, "clear", "openai", "--json").stdout) == {"name": "openai", "cleared": False}


def test_the_status_says_what_comes_before_the_keyring(env: dict[str, str]) -> None:
    env["OPENAI_API_KEY"] = KEY
    assert "openai: no key (the variable OPENAI_API_KEY comes first)" in auth(env, "status").stdout
    document = json.loads(auth(env, "status", "--json").stdout)
    assert document["keys"][0] == {"name": "openai", "key": None, "hiddenBy": "OPENAI_API_KEY"}


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (("set", "openai", KEY), ""),
        (("set", "openai", f"--key={KEY}"), ""),
        (("set", KEY), ""),
        ((KEY,), ""),
        (("set", "compatible"), KEY),
        (("set", "ftp://h.test"), KEY),
        (("set", "openai"), f"{KEY} two words\n"),
        (("set", "openai"), ""),
    ],
)
def test_what_is_no_name_or_no_key_is_refused_and_not_repeated(
    env: dict[str, str], args: tuple[str, ...], stdin: str
) -> None:
    assert auth(env, *args, stdin=stdin, code=2).stderr.startswith("omnirt auth: ")
    assert "openai: no key" in auth(env, "status").stdout


def test_without_a_keyring_it_says_what_else_there_is(env: dict[str, str]) -> None:
    env["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    for args in (("status",), ("set", "openai"), ("clear", "openai")):
        assert "OPENAI_API_KEY" in auth(env, *args, stdin=KEY, code=1).stderr


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [(f"{KEY}\n", 0, "Stored the key for openai."), ("\x04", 1, "nothing was stored")],
)
def test_at_a_terminal_the_key_is_asked_for_without_echo(
    env: dict[str, str], typed: str, code: int, says: str
) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*OMNIRT, "auth", "set", "openai"],
        env=env,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    ) as process:
        os.close(follower)
        seen = b""
        while b"not shown" not in seen:
            seen += os.read(leader, 1024)
        os.write(leader, typed.encode())
        while data := read(leader):
            seen += data
        assert process.wait(WAIT_S) == code
    os.close(leader)
    assert says.encode() in seen
    assert KEY.encode() not in seen
    assert (f"openai: ***{KEY[-4:]}" in auth(env, "status").stdout) is (code == 0)


@pytest.mark.anyio
async def test_a_daemon_finds_the_key_and_the_token(env: dict[str, str], tmp_path: Path) -> None:
    auth(env, "set", "openai", stdin=KEY)
    tokens: dict[str, object] = {TOKEN: {}}
    with token_service() as identity:
        async with internet(tmp_path, tokens) as world:
            daemon_env = {**env, **world.env, **identity.env}
            async with Host.spawn(tmp_path / "data", "--log-level", "debug", env=daemon_env) as host:
                await host.start(agent=dict(AGENT), settings={})
                assert world.front.heads[-1].all("Authorization") == [f"Bearer {KEY}"]
                hidden = await host.refused("session.start", agent=dict(AGENT), settings={"api_key": None})
                assert hidden["kind"] == "endpoint_unresolved"
                azure = {"azure_openai_endpoint": "res.openai.azure.com"}
                talk = await host.start(agent=dict(AGENT), settings=azure)
                assert talk.started["provider"] == "azure"
                assert world.front.heads[-1].all("Authorization") == [f"Bearer {TOKEN}"]
                assert world.front.heads[-1].all("api-key") == []
            said = host.daemon.stdout + host.daemon.stderr
            for secret in (KEY, TOKEN, "identity-header-canary"):
                assert secret.encode() not in said
