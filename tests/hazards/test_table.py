"""Every hazard is shown bare and through omnirt, and stands in the table with the files that wrap it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "omnirt"
TABLE = (HERE / "README.md").read_text(encoding="utf-8")


def hazards() -> dict[str, list[str]]:
    """The names of the tests of each hazard."""
    found: dict[str, list[str]] = {}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                tests = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
                found[node.name] = [test.name for test in tests if test.name.startswith("test_")]
    return found


@pytest.mark.parametrize(("hazard", "tests"), hazards().items(), ids=hazards())
def test_a_hazard_is_shown_bare_and_through_omnirt(hazard: str, tests: list[str]) -> None:
    assert {name.split("_")[1] for name in tests} == {"bare", "omnirt"}, hazard


def test_the_table_has_every_hazard_once() -> None:
    assert sorted(re.findall(r"`(Test\w+)`", TABLE)) == sorted(hazards())


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(\w+/\w+\.py)`", TABLE))))
def test_a_file_of_the_table_is_there(file: str) -> None:
    assert (SOURCE / file).is_file() or (HERE.parent / file).is_file()


@pytest.mark.parametrize(("file", "name"), re.findall(r"`(\w+/\w+\.py)` \(`(\w+)`\)", TABLE))
def test_a_name_of_the_table_is_there(file: str, name: str) -> None:
    assert re.search(rf"\b{name}\b", (SOURCE / file).read_text(encoding="utf-8"))
