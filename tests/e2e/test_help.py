"""Every help has examples, and pages have lines for a shell: what can be run here is run, as it stands."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from omnirt.cli import COMMANDS
from omnirt.history.command import ACTS
from tests.support import documents
from tests.support.documents import ROOT
from tests.unit.storage.archives import store

pytestmark = pytest.mark.anyio
LIMIT_S = 60
OMNIRT = (sys.executable, "-m", "omnirt")
BELOW = {"history": tuple(ACTS), "storage": ("verify",)}
HELPS = [(), *((name,) for name in COMMANDS), *((name, sub) for name, subs in BELOW.items() for sub in subs)]
SHELL = [line for block in documents.blocks("sh") for line in block.text.splitlines() if "omnirt " in line]
"""The lines of pages that run omnirt and belong to no test of their own."""
PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}'

NOT_HERE = {
    "omnirt demo": "the same as with --fast, in real time",
    "omnirt demo --fast --json --data-dir data": "the same as omnirt demo --fast",
    "omnirt talk": "needs a microphone",
    "omnirt talk --provider local": "the same",
    "omnirt talk concierge --agents agents/": "the same",
    "omnirt talk agents/concierge.yaml --text": "connects to the provider of the key",
    "echo 'What can you do?' | omnirt talk --text --json": "the same",
    "omnirt doctor": "the same",
    "omnirt doctor --config config.toml": "the same",
    "omnirt auth set openai": "asks for a key at a terminal",
    "omnirt simulate --port 8765 --token secret --script script.yaml --json": "the port may be taken",
    "omnirt simulate --port 8080 --script examples/scripts/weather.yaml --token sesame": "the same",
    "omnirt history prune --max-bytes 5000000000": "the same as with --days",
}
UNTIL_ENDED = (
    "omnirt simulate",
    "omnirt serve --data-dir data --agents agents/ --log-level info",
)
"""These begin what goes on until somebody ends it."""


@functools.cache
def help_of(*command: str) -> str:
    argv = [*OMNIRT, *command, "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout


def options(*command: str) -> str:
    """What a help says before its examples."""
    return help_of(*command).partition("\nexamples:\n")[0]


def told(*command: str) -> list[str]:
    """The examples of a help."""
    lines = help_of(*command).partition("\nexamples:\n")[2].splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.strip()]


@pytest.fixture(scope="module")
async def template(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the examples name, and a data directory with the sessions that they name."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "agents").symlink_to(ROOT / "examples" / "agents")
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "script.yaml").symlink_to(ROOT / "examples" / "scripts" / "weather.yaml")
    for name in ("requests.jsonl", "host.jsonl"):
        (folder / name).write_text(f"{PING}\n")
    (folder / "talk.jsonl").write_text(f'{{"tape":1}}\n{{"dir":"host","msg":{PING}}}\n')
    for session_id in ("s1", "s2", "s3"):
        await store(folder / "stored", session_id, "How is the weather in Lisbon?", "Sunny.")
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Path:
    """The folder as it was: some examples delete what others show."""
    return Path(shutil.copytree(template, tmp_path / "place", symlinks=True))


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """What was run: some lines stand in two places."""
    return set()


@pytest.fixture
def env(place: Path) -> dict[str, str]:
    """A user with a key and a keyring, who finds `omnirt` on PATH."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "examples" / "code"),
        "OMNIRT_DATA_DIR": str(place / "stored"),
        "OPENAI_API_KEY": "sk-example-of-a-key",
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "XDG_DATA_HOME": str(place / "keys"),
    }


def run(line: str, place: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=place, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_a_help_has_examples_that_work(
    command: tuple[str, ...], place: Path, env: dict[str, str], ran: set[str]
) -> None:
    lines = told(*command)
    assert lines, "it ends with examples"
    for line in lines:
        assert "omnirt " + " ".join(command[:1]) in line
        if line not in {*NOT_HERE, *UNTIL_ENDED, *ran}:
            ran.add(line)
            run(line, place, env)


@pytest.mark.parametrize("line", SHELL, ids=str)
def test_a_line_for_a_shell_on_a_page_works(
    line: str, place: Path, env: dict[str, str], ran: set[str]
) -> None:
    if line not in {*NOT_HERE, *ran}:
        run(line, place, env)


@pytest.mark.parametrize("line", UNTIL_ENDED)
def test_what_goes_on_until_it_is_ended_begins(line: str, place: Path, env: dict[str, str]) -> None:
    with subprocess.Popen(
        ["bash", "-c", f"exec {line}"], cwd=place, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(f"{PING}\n".encode())
        program.stdin.flush()
        assert program.stdout.readline()
        program.send_signal(signal.SIGINT)
        program.stdin.close()
        assert program.wait(LIMIT_S) == 0


def test_the_synopsis_of_the_protocol_page_has_every_command_and_flag() -> None:
    page = (ROOT / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")
    synopsis = page.partition("\n## Command line\n")[2].partition("\n## ")[0]
    flags = {flag for command in HELPS for flag in re.findall(r"--[a-z][a-z-]+", options(*command))}
    assert {flag for flag in flags if flag not in synopsis} <= {"--help"}
    assert [name for name in COMMANDS if f"omnirt {name}" not in synopsis] == []


def test_what_is_left_out_here_is_still_an_example() -> None:
    everything = {line for command in HELPS for line in told(*command)}
    assert {*NOT_HERE, *UNTIL_ENDED} <= {*everything, *SHELL}
