"""Guardrails of a spec made ready: patterns that can't stall the daemon, or bring it down."""

from __future__ import annotations

from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs.guardrails import MAX_PATTERN, SEARCH_S, compile_pattern, make_guardrails, search_all
from omnirt.specs.problems import Place
from tests.support.specs import parse_spec


def made(**members: Any) -> Any:
    return make_guardrails(parse_spec({"name": "greeter", **members}), Place())


def test_none_without_any() -> None:
    assert made() is None


def test_patterns_are_searched_in_the_text_as_python_reads_them() -> None:
    rules = [
        {"name": "prices", "deny": ["free", r"\$\d+"]},
        {"name": "word", "deny": [r"(?i)\bcafé\b"]},
        {"name": "ahead", "deny": ["a(?=b)"]},
    ]
    guards = made(output_guardrails=rules)
    assert search_all(guards.checks, "It costs $5 at the CAFÉ.") == [True, True, False]


def test_a_search_without_end_is_called_off() -> None:
    guards = made(output_guardrails=[{"name": "slow", "deny": ["(a|aa)+$"]}])
    assert SEARCH_S < 1
    assert search_all(guards.checks, "a" * 60 + "b") == [None]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("[", "No regular expression: "),
        ("(?R)", "No regular expression: "),
        ("a" * (MAX_PATTERN + 1), f"at most {MAX_PATTERN} characters"),
        ("(?:(?:(ab|c){1000}){1000}){10}", "multiply to more than 1000"),
        ("(?:x{65536}){100}", "multiply to more than 1000"),
        ("a{100,}{100,200}{2}", "multiply to more than 1000"),
        ("(" * 900 + "a" + ")" * 900, "nested too deeply"),
        ("a{99999999999999999999}", "multiply to more than 1000"),
    ],
)
def test_a_pattern_that_is_wrong_or_costs_too_much_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        compile_pattern(pattern, Place().at("output_guardrails", 0, "deny", 1))
    assert caught.value.kind == "agent_invalid"
    assert why in caught.value.message
    assert caught.value.facts["path"] == "$.output_guardrails[0].deny[1]"


def test_a_spec_with_such_a_pattern_is_refused_with_its_place() -> None:
    with pytest.raises(OmnirtError) as caught:
        parse_spec({"name": "greeter", "output_guardrails": [{"name": "x", "deny": ["a", "("]}]})
    assert caught.value.facts["path"] == "$.output_guardrails[0].deny[1]"


@pytest.mark.parametrize("name", ["missing", "release"])
def test_a_python_guardrail_that_is_not_there_or_can_t_be_called_is_refused(name: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        made(output_guardrails=[f"python:tests.support.guards:{name}"])
    assert caught.value.facts["path"] == "$.output_guardrails[0]"
