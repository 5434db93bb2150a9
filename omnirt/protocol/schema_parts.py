"""The building blocks of the schemas: structs as components, whole JSON-RPC messages, document headers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from omnirt.errors import KindInfo
from omnirt.protocol.types import PROTOCOL_VERSION, Event

Schema: TypeAlias = dict[str, Any]  # JSON: what is inside is checked by its meta-schema in the tests

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID: Schema = {"type": ["integer", "string", "null"]}
JSONRPC: Schema = {"type": "string", "const": "2.0"}
# Members of `error.data` by kind, besides `kind` and `retryable`; errors may carry more.
FACTS = {"invalid_params": ("path",), "agent_invalid": ("path", "file"), "internal": ("logId",)}

# One entry of a docstring's `Args:`, its continuation lines indented deeper than its name.
_ARG = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def components_of(structs: Iterable[type[Struct]], template: str) -> dict[str, Schema]:
    """The JSON Schemas of the structs and of all they refer to, by name."""
    unique = list(dict.fromkeys(structs))
    _, components = msgspec.json.schema_components(unique, ref_template=template)
    stamped = {s.__name__ for s in unique if issubclass(s, Event)}
    return {name: _as_on_the_wire(components[name], name in stamped) for name in sorted(components)}


def _as_on_the_wire(schema: Schema, stamped: bool) -> Schema:
    """Mends what the structs can't say: `seq` is always there, and plain JSON Schema has no discriminator."""
    clean: Schema = _plain(schema)
    _describe_from_args(clean)
    if stamped:
        clean["properties"]["seq"] = {"type": "integer", "minimum": 1}
        clean["required"] = [*clean["required"], "seq"]
    return clean


def _plain(value: Any) -> Any:
    """Without the OpenAPI keyword `discriminator`, which strict validators refuse, and with typed enums."""
    match value:
        case dict():
            plain = {key: _plain(v) for key, v in value.items() if key != "discriminator"}
            if isinstance(value.get("enum"), list) and all(isinstance(v, str) for v in value["enum"]):
                plain = {"type": "string", **plain}
            return plain
        case list():
            return [_plain(v) for v in value]
        case _:
            return value


def _describe_from_args(schema: Schema) -> None:
    """Moves the `Args:` of a struct's docstring to the members that they tell of."""
    # Python 3.13 takes the indentation off docstrings by itself, earlier ones don't.
    description, _, args = inspect.cleandoc(schema.get("description", "")).partition("\n\nArgs:\n")
    if description:
        schema["description"] = " ".join(description.split())
    for name, text in _ARG.findall(args):
        schema["properties"][name]["description"] = " ".join(text.split())


def describe_members(params: Schema) -> list[Schema]:
    """The members of a params struct as OpenRPC content descriptors, the required ones first."""
    required = set(params.get("required", ()))
    members: dict[str, Schema] = params.get("properties", {})
    ordered = sorted(members, key=lambda name: name not in required)
    return [{"name": name, "required": name in required, "schema": members[name]} for name in ordered]


def describe_result(result: type[Struct]) -> Schema:
    """The result of a method as an OpenRPC content descriptor."""
    return {"name": "result", "schema": {"$ref": f"#/components/schemas/{result.__name__}"}}


def message(name: str, params: type[Struct], *, request: bool, notification: bool) -> Schema:
    """A whole JSON-RPC message, in the forms in which it may be sent."""
    needs_params = any(field.required for field in msgspec.structs.fields(params))
    return {
        "title": f"{name}.message",
        "type": "object",
        "properties": {
            "jsonrpc": JSONRPC,
            **({"id": ID} if request else {}),
            "method": {"type": "string", "const": name},
            "params": {"$ref": f"#/$defs/{params.__name__}"},
        },
        "required": [
            "jsonrpc",
            *([] if notification else ["id"]),
            "method",
            *(["params"] if needs_params else []),
        ],
        **({} if request else {"not": {"properties": {"id": {}}, "required": ["id"]}}),
    }


def reply(name: str, result: type[Struct]) -> Schema:
    """A whole reply that carries a result."""
    return {
        "title": f"{name}.reply",
        "type": "object",
        "properties": {"jsonrpc": JSONRPC, "id": ID, "result": {"$ref": f"#/$defs/{result.__name__}"}},
        "required": ["jsonrpc", "id", "result"],
    }


def error_reply(kind: str, info: KindInfo) -> Schema:
    """A whole reply that carries an error of this kind."""
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "integer", "const": info.code},
            "message": {"type": "string", "description": "For people; hosts branch on data.kind"},
            "data": error_data(kind),
        },
        "required": ["code", "message", "data"],
    }
    return {
        "title": kind,
        "description": info.doc,
        "type": "object",
        "properties": {"jsonrpc": JSONRPC, "id": ID, "error": error},
        "required": ["jsonrpc", "id", "error"],
    }


def error_data(kind: str) -> Schema:
    """The `data` of an error: its kind, and the facts that hosts may rely on."""
    facts = {name: {"type": "string"} for name in FACTS.get(kind, ())}
    return {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "const": kind},
            "retryable": {"type": "boolean"},
            **facts,
        },
        "required": ["kind", "retryable"],
    }


def json_document(name: str, title: str, messages: Schema, defs: Mapping[str, Schema]) -> Schema:
    """A JSON Schema that any one of the messages fits, with each of them and all they need under `$defs`."""
    return {
        **header(name),
        "title": title,
        "oneOf": [{"$ref": f"#/$defs/{_pointer(key)}"} for key in messages],
        "$defs": {**messages, **defs},
    }


def header(name: str) -> Schema:
    """The first members of a JSON Schema document; the `$id` names it without claiming an address."""
    return {"$schema": JSON_SCHEMA_DIALECT, "$id": f"urn:omnirt:protocol:{PROTOCOL_VERSION}:{name}"}


def _pointer(key: str) -> str:
    """`key` as one step of a JSON pointer inside a URI fragment: `$/cancelRequest` has a slash."""
    return key.replace("~", "~0").replace("/", "~1")


def first_line(struct: type) -> str:
    """What a struct's docstring says first."""
    return (struct.__doc__ or "").strip().splitlines()[0]
