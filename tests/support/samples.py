"""Makes valid and invalid JSON samples from the project's own JSON Schemas."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

JSON = Any  # whatever json.loads gives

# One valid text for each pattern that the schemas use; a new pattern needs a line here.
_BY_PATTERN_START = {"^(?!": "session-1", "^(https?": "https://example.org/cat.png"}
_WRONG: dict[str, JSON] = {
    "string": 7,
    "integer": "seven",
    "number": "seven",
    "boolean": "true",
    "array": {},
    "object": "not an object",
}
_OF_TYPE: dict[str, JSON] = {"integer": 7, "array": [], "string": "seven"}


def valid(schema: dict[str, JSON], root: dict[str, JSON], *, full: bool) -> JSON:
    """A value that fits the schema: with every optional member, or with none."""
    schema = resolve(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return valid(schema[keyword][0], root, full=full)
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            required = schema.get("required", [])
            members = schema.get("properties", {})
            return {n: valid(s, root, full=full) for n, s in members.items() if full or n in required}
        case "array":
            count = schema.get("minItems", 1 if full else 0)
            return [valid(schema["items"], root, full=full)] * count
        case "string":
            return _text(schema)
        case "integer":
            return schema.get("minimum", 3)
        case "number":
            return 0.5
        case "boolean":
            return True
        case _:
            return {"any": ["value", None, 1]}


def invalid(schema: dict[str, JSON], root: dict[str, JSON]) -> Iterator[tuple[str, JSON]]:
    """Values that don't fit an object schema, each spoiled in one member, with what was done."""
    schema = resolve(schema, root)
    whole = valid(schema, root, full=True)
    for name in schema.get("required", []):
        yield f"without {name}", {k: v for k, v in whole.items() if k != name}
    if schema.get("additionalProperties") is False:
        yield "with an unknown member", {**whole, "recrod": True}
    for name, member in schema.get("properties", {}).items():
        for wrong in _misfits(resolve(member, root), root):
            yield f"with {name} = {wrong!r}", {**whole, name: wrong}


def resolve(schema: dict[str, JSON], root: dict[str, JSON]) -> dict[str, JSON]:
    """The schema that `$ref` names inside its own document, else the schema itself."""
    while "$ref" in schema:
        node: JSON = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        schema = node
    return schema


def _text(schema: dict[str, JSON]) -> str:
    if schema.get("contentEncoding") == "base64":
        return base64.b64encode(b"\0\1" * 4).decode()
    pattern = schema.get("pattern")
    if pattern is None:
        return "text"
    return next(text for start, text in _BY_PATTERN_START.items() if pattern.startswith(start))


def _misfits(member: dict[str, JSON], root: dict[str, JSON]) -> Iterator[JSON]:
    if "anyOf" in member:
        options = [resolve(option, root) for option in member["anyOf"]]
        types = {option.get("type") for option in options}
        yield next(wrong for kind, wrong in _OF_TYPE.items() if kind not in types)
        for option in options:
            yield from _out_of_bounds(option)
        return
    kind = member.get("type")
    if isinstance(kind, str):
        yield _WRONG[kind]
        if kind != "null":
            yield None
    yield from _out_of_bounds(member)


def _out_of_bounds(member: dict[str, JSON]) -> Iterator[JSON]:
    """Values of the right type that are none of the allowed ones."""
    if "enum" in member or "const" in member:
        yield "no such word"
    if "pattern" in member:
        yield "../x\n"
    if "minimum" in member:
        yield member["minimum"] - 1
    if "maximum" in member:
        yield member["maximum"] + 1
    if "minItems" in member:
        yield []
