"""Schemas of tools' arguments: what is refused at load, and checks that end whatever a schema says."""

from __future__ import annotations

from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs.problems import Place
from omnirt.specs.schemas import check_parameters
from omnirt.specs.tools import check_arguments
from tests.support.specs import parse_spec

EVIL = "^(a|aa)+$"
LONG = "a" * 60 + "!"
UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def with_properties(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def doubling(levels: int) -> dict[str, Any]:
    """Each level asks the next one twice."""
    names = [f"l{number}" for number in range(levels)]
    below = [*names[1:], "end"]
    defs: dict[str, Any] = {
        name: {"allOf": [{"$ref": f"#/$defs/{next_}"}] * 2} for name, next_ in zip(names, below, strict=True)
    }
    return {"type": "object", "$ref": "#/$defs/l0", "$defs": {**defs, "end": {}}}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (with_properties(a={"type": "string", "pattern": EVIL}), f'{{"a": "{LONG}"}}'),
        ({"type": "object", "patternProperties": {EVIL: {}}}, f'{{"{LONG}": 1}}'),
        (
            {"type": "object", "patternProperties": {EVIL: {}}, "additionalProperties": False},
            f'{{"{LONG}": 1}}',
        ),
        (
            {"type": "object", "additionalProperties": False, "patternProperties": {EVIL: {}}},
            f'{{"{LONG}": 1}}',
        ),
        (doubling(40), "{}"),
    ],
)
def test_a_check_that_would_take_for_ever_ends(schema: dict[str, Any], text: str) -> None:
    check_parameters(schema, Place())
    arguments, problem = check_arguments(schema, text)
    assert arguments is None
    assert problem is not None
    assert "takes too long" in problem


def test_patterns_still_decide() -> None:
    schema = {
        **with_properties(id={"type": "string", "pattern": UUID}),
        "patternProperties": {"^x-": {"type": "integer"}},
        "additionalProperties": False,
    }
    check_parameters(schema, Place())
    good = '{"id": "01234567-89ab-cdef-0123-456789abcdef", "x-a": 1}'
    assert check_arguments(schema, good)[1] is None
    for bad, says in (('{"id": "1"}', "$.id"), ('{"x-a": "b"}', "x-a"), ('{"y": 1}', "'y' was unexpected")):
        problem = check_arguments(schema, bad)[1]
        assert problem is not None
        assert says in problem


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (with_properties(a={"pattern": "("}), "$.properties.a.pattern"),
        (with_properties(a={"pattern": "(a{1000}){1000}"}), "$.properties.a.pattern"),
        ({"type": "object", "patternProperties": {"(?R)": {}}}, "$.patternProperties"),
        (
            {"type": "object", "patternProperties": {"a": {}}, "unevaluatedProperties": False},
            "$.patternProperties",
        ),
        (with_properties(a={"$ref": "#/nope"}), "$.properties.a.$ref"),
        (with_properties(a={"items": {"$ref": "#/$defs/b"}}), "$.properties.a.items.$ref"),
        (with_properties(a={"$ref": "http://x.test/y"}), "$.properties.a.$ref"),
        ({"type": "object", "$ref": "#"}, "$.$ref"),
        ({"type": "object", "anyOf": [{"$ref": "#"}, {}]}, "$.anyOf.$ref"),
        ({"type": "object", "$id": "http://x.test/y", "not": {"$ref": "#"}}, "$.not.$ref"),
    ],
)
def test_what_can_never_work_is_refused_at_load(schema: dict[str, Any], path: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        check_parameters(schema, Place())
    assert (caught.value.kind, caught.value.facts["path"]) == ("agent_invalid", path)


@pytest.mark.parametrize(
    "schema",
    [
        with_properties(child={"$ref": "#"}),
        with_properties(pattern={"type": "string"}, patternProperties={"type": "string"}),
        with_properties(a={"enum": [{"pattern": "(", "$ref": "x"}], "default": {"$ref": "y"}}),
        {"type": "object", "$defs": {"here": {"$anchor": "h"}}, "properties": {"a": {"$ref": "#h"}}},
        {"type": "object", "$defs": {"o": {"$id": "o", "$defs": {"p": {}}, "items": {"$ref": "#/$defs/p"}}}},
    ],
)
def test_what_only_looks_like_it_is_not(schema: dict[str, Any]) -> None:
    check_parameters(schema, Place())
    assert check_arguments(schema, '{"child": {"child": {}}}')[1] is None


def test_it_is_part_of_reading_a_spec() -> None:
    tool = {"run": "host", "name": "t", "parameters": with_properties(a={"$ref": "#/nope"})}
    with pytest.raises(OmnirtError) as caught:
        parse_spec({"name": "a", "tools": [tool]})
    assert caught.value.facts["path"] == "$.tools[0].parameters.properties.a.$ref"
