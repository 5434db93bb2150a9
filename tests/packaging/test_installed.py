"""What was built works as users have it: installed into a fresh environment, away from the checkout."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from omnirt import __version__
from tests.packaging.pythons import SUPPORTED, make_environment, pythons, run
from tests.packaging.test_archives import WHEEL
from tests.support import documents
from tests.support.documents import ROOT

VERSIONS = [
    pytest.param(version, marks=pytest.mark.xdist_group(version), id=version) for version in SUPPORTED
]
pytestmark = [pytest.mark.package, pytest.mark.parametrize("commands", VERSIONS, indirect=True)]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes an environment of a Python, once; gives its folder of commands."""

    @functools.cache
    def make(python: Path) -> Path:
        return make_environment(python, tmp_path_factory.mktemp("installed") / "venv", WHEEL)

    return make


@pytest.fixture
def commands(request: pytest.FixtureRequest, environment: Callable[[Path], Path]) -> Path:
    """The folder of commands of an environment of this version."""
    python = pythons().get(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param} here")
    return environment(python)


def test_it_is_the_installed_package_that_runs(commands: Path, tmp_path: Path) -> None:
    assert run(commands / "omnirt", "--version", cwd=tmp_path) == f"omnirt {__version__}\n"
    code = "import omnirt, omnirt.client; print(omnirt.__file__)"
    assert run(commands / "python", "-c", code, cwd=tmp_path).startswith(str(commands.parent))


def test_its_schemas_are_those_of_the_checkout(commands: Path, tmp_path: Path) -> None:
    schema = run(commands / "omnirt", "schema", cwd=tmp_path)
    assert schema == (ROOT / "schemas" / "openrpc.json").read_text(encoding="utf-8")


def test_the_piped_example_is_answered(commands: Path, tmp_path: Path) -> None:
    [block] = documents.blocks("sh", "piped")
    places = {"PATH": f"{commands}:/usr/bin:/bin", "OMNIRT_DATA_DIR": str(tmp_path)}
    out = run("bash", "-c", block.text, cwd=tmp_path, **places)
    messages = [json.loads(line) for line in out.splitlines()]
    assert [message["id"] for message in messages if "result" in message] == [1, 2, 3, 4]


def test_it_holds_a_conversation_offline(commands: Path, tmp_path: Path) -> None:
    demo = run(commands / "omnirt", "demo", "--fast", "--json", "--data-dir", "left", cwd=tmp_path)
    *_, summary = [json.loads(line) for line in demo.splitlines()]
    assert (summary["event"], summary["ok"]) == ("summary", True)
    assert list((tmp_path / "left").rglob("*.wav"))
