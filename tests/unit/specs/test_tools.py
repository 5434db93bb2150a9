"""Arguments of host tools, checked against their schema and explained in words."""

from __future__ import annotations

from typing import Any

import pytest

from omnirt.specs.tools import check_arguments

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"$ref": "#/$defs/days"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"days": {"type": "integer", "minimum": 1}},
}


@pytest.mark.parametrize("text", ['{"city":"Lisbon"}', ' {"city": "Lisbon", "days": 3}\n'])
def test_arguments_that_fit_are_an_object(text: str) -> None:
    arguments, problem = check_arguments(SCHEMA, text)
    assert problem is None
    assert arguments is not None
    assert arguments["city"] == "Lisbon"


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert check_arguments({"type": "object"}, text) == ({}, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ('{"city": NaN}', "not valid JSON"),
        ("\ud800", "not valid JSON"),
        ("[" * 5000, "not valid JSON"),
        ("[]", "not a JSON object"),
        ('"Lisbon"', "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "'city' is a required property"),
        ('{"city": 3}', "$.city"),
        ('{"city": "x", "days": 0}', "$.days"),
        ('{"city": "x", "dayz": 1}', "dayz"),
    ],
)
def test_arguments_that_do_not_fit_are_explained_to_the_model(text: str, says: str) -> None:
    arguments, problem = check_arguments(SCHEMA, text)
    assert arguments is None
    assert problem is not None
    assert says in problem


def test_a_reference_is_never_fetched() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema"}}}
    assert check_arguments(schema, '{"a": 1}') == (None, "The tool's own schema of arguments is broken.")


def test_a_long_explanation_is_cut() -> None:
    _, problem = check_arguments(SCHEMA, '{"city": ["' + "x" * 10_000 + '"]}')
    assert problem is not None
    assert len(problem) < 500
