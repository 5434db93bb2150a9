"""docs/SIMULATOR.md describes every member of a script, and its examples are scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omnirt.loopback.reading import check_sayings, load_script
from omnirt.loopback.script import Action, Connection, Drop, Failure, Fault, Moment, Rule, Script, Unheard
from omnirt.loopback.speech import Phrasebook

PAGE = (Path(__file__).parents[3] / "docs" / "SIMULATOR.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_script_that_needs_no_synthesiser(example: str) -> None:
    check_sayings(load_script(example), synthesiser=None)


@pytest.mark.parametrize("part", [Script, Rule, Action, Fault, Moment, Drop, Failure, Unheard, Connection])
def test_every_member_is_described(part: type[Script]) -> None:
    for name in part.__struct_fields__:
        assert re.search(rf"\b{name}\b", PAGE), f"{part.__name__}.{name}"


def test_every_recording_is_listed() -> None:
    for name, text in Phrasebook().texts.items():
        assert f"| `{name}` | {text} |" in PAGE
