"""docs/ENDPOINTS.md tells the truth: each example makes the request shown below it, and its commands work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from omnirt.providers import connect_errors, credentials
from omnirt.providers.endpoint import resolve
from omnirt.providers.settings import ConnectionSettings
from tests.support import documents
from tests.support.documents import ROOT, Block

PAGE = (ROOT / "docs" / "ENDPOINTS.md").read_text(encoding="utf-8")
EXAMPLES = documents.blocks("toml", "endpoint")
REQUESTS = documents.blocks("text", "request")
WAIT_S = 60


@pytest.mark.parametrize(
    ("example", "request_"), [*zip(EXAMPLES, REQUESTS, strict=False)], ids=lambda b: b.where
)
def test_an_example_makes_the_request_below_it(example: Block, request_: Block) -> None:
    endpoint = resolve({}, tomllib.loads(example.text), {})
    first, *headers = request_.text.splitlines()
    assert first == f"GET {endpoint.url}"
    assert sorted(headers) == sorted(f"{name}: {value}" for name, value in endpoint.headers.items())


def test_each_example_but_the_simulators_has_its_request() -> None:
    assert len(EXAMPLES) == len(REQUESTS) + 1
    assert resolve({}, tomllib.loads(EXAMPLES[-1].text), {}).provider == "simulator"


@pytest.mark.parametrize("block", documents.blocks("sh", "run"), ids=lambda block: block.where)
def test_the_commands_of_the_page_work(block: Block, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "XDG_DATA_HOME": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", block.text],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "0123456789" not in done.stdout


def test_the_reasons_of_an_unreachable_provider_are_all_told() -> None:
    source = Path(connect_errors.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r'_unreachable\(\s*endpoint,\s*"(\w+)"', source)) | {"entra"}
    assert len(used) > 8
    assert '"provider_unreachable", message, reason="entra"' in Path(credentials.__file__).read_text(
        encoding="utf-8"
    )
    [row] = [line for line in PAGE.splitlines() if line.startswith("| `provider_unreachable`")]
    assert used == set(re.findall(r"`(\w+)`", row.split("|")[2]))


def test_every_setting_of_the_endpoint_is_on_the_page() -> None:
    elsewhere = {"simulator", "tracing", "reconnect", "local", "api_key"}
    assert set(ConnectionSettings.__struct_fields__) - elsewhere <= set(re.findall(r"\w+", PAGE))
