"""Scripts: how they are read, what they may say, and what is wrong with those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.loopback.brain import ScriptedBrain, small_talk
from omnirt.loopback.parts import Turn
from omnirt.loopback.reading import check_sayings, load_script, parse_script
from omnirt.loopback.script import Action, Script, fill
from omnirt.loopback.speech import Phrasebook
from tests.unit.loopback.helpers import EXAMPLES, Talk


def plan(rules: str, turn: Turn) -> list[Action]:
    return ScriptedBrain(load_script(rules), small_talk(), lambda _: False).actions(turn)


def test_yaml_text_files_and_objects_are_the_same_script(tmp_path: Path) -> None:
    text = "rules:\n  - on: text\n    match: no\n    do: [{say: done}]\n"
    file = tmp_path / "script.yaml"
    file.write_text(text)
    rules = {"rules": [{"on": "text", "match": "no", "do": [{"say": "done"}]}]}
    assert load_script(text) == load_script(file) == load_script(str(file)) == load_script(rules)


def test_json_is_yaml(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text('{"latency_ms": 5, "hears": ["x", {"fail": "y"}]}')
    assert load_script(file).latency_ms == 5


@pytest.mark.parametrize(
    ("script", "path"),
    [
        ({"rule": []}, "$"),
        ({"rules": [{"do": [{"say": "done"}]}, {"on": "txt", "do": [{"say": "done"}]}]}, "$.rules[1].on"),
        ({"rules": [{"do": [{"say": "done"}, {"say": 7}]}]}, "$.rules[0].do[1].say"),
        ({"rules": [{"do": [{"say": "done", "text": "x"}]}]}, "$.rules[0].do[0]"),
        ({"rules": [{"do": [{}]}]}, "$.rules[0].do[0]"),
        ({"rules": [{"on": "text"}]}, "$.rules[0]"),
        ({"rules": [{"match": "/(/", "do": [{"say": "done"}]}]}, "$.rules[0]"),
        ({"rules": [{"do": [{"wait_ms": -1}]}]}, "$.rules[0].do[0].wait_ms"),
        ({"faults": [{"drop": 1005}]}, "$.faults[0]"),
        ({"faults": [{"drop": {"code": 99}}]}, "$.faults[0].drop.code"),
        ({"faults": [{"refuse": 200}]}, "$.faults[0].refuse"),
        ({"faults": [{"refuse": 401, "at": {"after_ms": 1}}]}, "$.faults[0]"),
        ({"faults": [{}]}, "$.faults[0]"),
        ({"connections": [{"faults": [{"silent": True, "hang": True}]}]}, "$.connections[0].faults[0]"),
        ([], "$"),
    ],
)
def test_a_wrong_script_says_where(script: dict[str, object], path: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        load_script(script)
    assert caught.value.kind == "invalid_params"
    assert caught.value.facts["path"] == path


@pytest.mark.parametrize("content", [b"rules: [", b"\xff\xfe\x00", None])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "script.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(OmnirtError) as caught:
        load_script(file)
    assert caught.value.facts["file"] == str(file)


@pytest.mark.parametrize("say", ["nobody recorded this", "It is {tool_output}."])
def test_without_a_synthesiser_only_recordings_can_be_said(say: str) -> None:
    script = parse_script({"rules": [{"do": [{"say": "done"}, {"say": say}]}]})
    with pytest.raises(OmnirtError) as caught:
        check_sayings(script, synthesiser=None)
    assert caught.value.facts["path"] == "$.rules[0].do[1].say"
    assert "espeak-ng" in caught.value.message
    assert "In Lisbon it is" in caught.value.message


def test_small_talk_and_the_examples_need_no_synthesiser() -> None:
    check_sayings(small_talk(), synthesiser=None)
    examples = sorted((EXAMPLES / "scripts").glob("*.yaml"))
    assert examples
    for example in examples:
        script = parse_script(example)
        if "espeak" not in example.read_text().partition("\n")[0]:
            check_sayings(script, synthesiser=None)


def test_a_recordings_name_and_sentences_in_a_row_are_shipped_speech() -> None:
    book = Phrasebook()
    assert book.names("weather") == ["weather"]
    assert book.names("let me look that up") == ["lookup"]
    assert book.names("Of course. I see. Please go on. That is done!") == ["of_course", "go_on", "done"]
    assert book.names("Of course. Not.") is None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{text}", "hi {tool}"),
        ("{tool} said {tool_output}", 'clock said {"now": {"h": 7}}'),
        ("{tool_output.now.h} o'clock", "7 o'clock"),
        ("{tool_output.never}{tool_output.now.h.deep}", ""),
        ("{unknown} {", "{unknown} {"),
    ],
)
def test_placeholders(template: str, text: str) -> None:
    values = {"text": "hi {tool}", "tool": "clock", "tool_output": '{"now": {"h": 7}}'}
    assert fill(template, values) == text


@pytest.mark.parametrize(
    ("rule", "turn", "fits"),
    [
        ("on: text", Turn("text", "x", 1), True),
        ("on: text", Turn("audio", "x", 1), False),
        ("on: user", Turn("audio", "x", 1), True),
        ("on: user", Turn("tool_output", "x"), False),
        ("on: any", Turn("tool_output", "x"), True),
        ("on: any", Turn("start"), True),
        ("match: WEATH", Turn("text", "the weather", 1), True),
        ("match: /^w.*r$/", Turn("text", "Weather", 1), True),
        ("match: /^w.*r$/", Turn("text", "the weather", 1), False),
        ("turn: 2", Turn("text", "x", 1), False),
        ("{on: tool_output, tool: a}", Turn("tool_output", "x", tools=("b",)), False),
        ("{on: tool_output, tool: a}", Turn("tool_output", "x", tools=("b", "a")), True),
        ("{on: tool_output, match: nope}", Turn("tool_output", "nope", tools=("a",)), True),
    ],
)
def test_rules_fit_turns(rule: str, turn: Turn, fits: bool) -> None:
    rule = rule.strip("{}").replace(", ", "\n    ")
    actions = plan(f"rules:\n  - {rule}\n    do: [{{text: mine}}]\n", turn)
    assert (actions == [Action(text="mine")]) is fits


def test_the_first_rule_that_fits_wins_and_small_talk_is_last() -> None:
    talk = Talk(
        {"rules": [{"match": "a", "do": [{"say": "done"}]}, {"match": "b", "do": [{"say": "failed"}]}]}
    )
    assert talk.answer("ab") == "That is done."
    assert talk.answer("b") == "I am sorry, that did not work."
    assert talk.answer("c") == "I heard you."


def test_a_script_is_immutable() -> None:
    with pytest.raises(AttributeError):
        Script().name = "x"  # type: ignore[misc]  # that is what is tested
