"""The tables as TypeScript declarations, `schemas/omnirt.d.ts`: their JSON Schemas in other words."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from omnirt.errors import KINDS
from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.methods import METHODS
from omnirt.protocol.schema_parts import FACTS, Schema, components_of

HEAD = """\
// Types of the omnirt wire protocol, version 1, for hosts in TypeScript and in JavaScript with JSDoc.
// Made from the tables of the daemon by `omnirt schema typescript`; docs/PROTOCOL.md tells the rules.
//
// A member with `?` may be missing. In what a host sends it may be null as well, which means the same, except
// inside `agent`, `settings` and `realtime`, where null speaks. Later versions add members, notifications,
// calls and values: a host lets pass what it does not know, as `Open` reminds it, and answers unknown calls
// with -32601.

/** One of the known values, or one that a later version adds. */
export type Open<Known extends string> = Known | (string & {});

/** Bytes in base64: `Buffer.from(audio, "base64")`, `bytes.toString("base64")`. */
export type Base64 = string;
"""

TAIL = """\
/** `error.data`: branch on `kind`; the other facts depend on it. */
export interface ErrorData {
  kind: Open<ErrorKind>;
  /** Whether trying the same again may help. */
  retryable: boolean;
%s  [fact: string]: unknown;
}

/** The `kind` of an error. */
export type ErrorKind = keyof ErrorCodes;

/** The `error` of a reply; `message` is for people. */
export interface ReplyError {
  code: number;
  message: string;
  data: ErrorData;
}

/** The id of a request, which comes back as it was. */
export type RequestId = number | string | null;

/** Params of a request, by its name: `Params<"session.start">`. */
export type Params<Method extends keyof Methods> = Methods[Method]["params"];

/** The result of a request, by its name: `ResultOf<"session.start">`. */
export type ResultOf<Method extends keyof Methods> = Methods[Method]["result"];

/** The member `params` of a message; where nothing in it is needed it may be left out. */
export type WithParams<Of> = {} extends Of ? { params?: Of | null } : { params: Of };

/** A request of the host. */
export type RequestMessage = {
  [Method in keyof Methods]: { jsonrpc: "2.0"; id: RequestId; method: Method } & WithParams<Params<Method>>;
}[keyof Methods];

/** A notification of the host, which is never answered. */
export type HostNotificationMessage = {
  [Method in keyof HostNotifications]: { jsonrpc: "2.0"; id?: undefined; method: Method } & WithParams<
    HostNotifications[Method]
  >;
}[keyof HostNotifications];

/** The daemon's answer to a request. */
export type ReplyMessage =
  | { jsonrpc: "2.0"; id: RequestId; result: object; error?: undefined; method?: undefined }
  | { jsonrpc: "2.0"; id: RequestId; error: ReplyError; result?: undefined; method?: undefined };

/** A notification of the daemon; `method` says which params it has. */
export type NotificationMessage = {
  [Name in keyof Notifications]: {
    jsonrpc: "2.0";
    id?: undefined;
    method: Name;
    params: Notifications[Name];
  };
}[keyof Notifications];

/** A call of the daemon, which the host answers with its id. */
export type CallMessage = {
  [Name in keyof Calls]: { jsonrpc: "2.0"; id: string; method: Name; params: Calls[Name]["params"] };
}[keyof Calls];

/** A call has become moot: its answer would be ignored. */
export interface CancelMessage {
  jsonrpc: "2.0";
  id?: undefined;
  method: "$/cancelRequest";
  params: { id: string };
}

/** Whatever the daemon writes. */
export type DaemonMessage = ReplyMessage | NotificationMessage | CallMessage | CancelMessage;
"""


def typescript(inside: Mapping[str, type[Struct]]) -> str:
    """The declarations.

    Args:
        inside: What stands in members of params that the protocol leaves open, by their names (`agent`, …).
    """
    sent = [m.params for m in METHODS.values()] + [c.result for c in CALLS.values()]
    told = [m.result for m in METHODS.values()] + [c.params for c in CALLS.values()] + list(EVENTS.values())
    components = components_of([*sent, *told, *inside.values()], "{name}")
    for struct in sent:
        for name, member in components[struct.__name__].get("properties", {}).items():
            if name in inside:
                _open_up(member, inside[name].__name__)
    # Only what the daemon says can have values that this file does not know.
    growing = _reachable(told, components)
    shapes = [_declare(name, schema, name in growing) for name, schema in components.items()]
    facts = dict.fromkeys(name for names in FACTS.values() for name in names)
    return "\n".join([HEAD, *_tables(), *shapes, TAIL % "".join(f"  {name}?: string;\n" for name in facts)])


def _tables() -> Iterable[str]:
    """The interfaces that map names of the protocol to shapes."""
    pair = "{{ params: {}; result: {} }}".format
    yield _interface(
        "Requests of a host by name.",
        "Methods",
        [(n, pair(m.params.__name__, m.result.__name__), m.doc) for n, m in METHODS.items() if m.request],
    )
    yield _interface(
        "What a host may send without an id, to get no answer; what goes wrong is told in `realtime.error`.",
        "HostNotifications",
        [(name, m.params.__name__, m.doc) for name, m in METHODS.items() if m.notification],
    )
    yield _interface(
        "Notifications of the daemon by name.",
        "Notifications",
        [(name, event.__name__, " ".join((event.__doc__ or "").split())) for name, event in EVENTS.items()],
    )
    yield _interface(
        "What the daemon asks of a host, by name.",
        "Calls",
        [(name, pair(c.params.__name__, c.result.__name__), c.doc) for name, c in CALLS.items()],
    )
    yield _interface(
        "The code of each kind of error.",
        "ErrorCodes",
        [(kind, str(info.code), info.doc) for kind, info in KINDS.items()],
    )


def _interface(doc: str, name: str, members: Iterable[tuple[str, str, str]]) -> str:
    body = "".join(f"{_comment(told, '  ')}  {json.dumps(key)}: {of};\n" for key, of, told in members)
    return f"{_comment(doc)}export interface {name} {{\n{body}}}\n"


def _declare(name: str, schema: Schema, growing: bool) -> str:
    """One struct as an interface; without members it is any object."""
    doc = _comment(schema.get("description", ""))
    members: Schema = schema.get("properties", {})
    if not members:
        return f"{doc}export type {name} = {{ [member: string]: unknown }};\n"
    required = set(schema.get("required", ()))
    body = ""
    for key, member in members.items():
        of = "Open<ErrorKind>" if key == "kind" and growing else _type(member, growing)
        body += f"{_comment(_told(member), '  ')}  {key}{'' if key in required else '?'}: {of};\n"
    return f"{doc}export interface {name} {{\n{body}}}\n"


def _type(schema: Schema, growing: bool) -> str:
    """The type of a value: the few forms of JSON Schema that structs make."""
    match schema:
        case {"$ref": str(name)}:
            return name
        case {"anyOf": list(options)}:
            return " | ".join(dict.fromkeys(_type(option, growing) for option in options))
        case {"const": value}:
            return json.dumps(value)
        case {"enum": list(values)}:
            literals = " | ".join(json.dumps(value) for value in values)
            return f"Open<{literals}>" if growing else literals
        case {"type": "array", "items": item}:
            return f"Array<{_type(item, growing)}>"
        case {"type": "object", "additionalProperties": dict(value)}:
            return f"{{ [name: string]: {_type(value, growing)} }}"
        case {"contentEncoding": "base64"}:
            return "Base64"
        case {"type": str(kind)}:
            plain = {"integer": "number", "object": "{ [name: string]: unknown }", "array": "unknown[]"}
            return plain.get(kind, kind)
        case _:
            return "unknown"


def _open_up(member: Schema, name: str) -> None:
    """Puts the struct `name` in the place of "any object"."""
    for option in [member, *member.get("anyOf", ())]:
        if option.get("type") == "object":
            option.clear()
            option["$ref"] = name


def _reachable(roots: Iterable[type[Struct]], components: Mapping[str, Schema]) -> set[str]:
    """The names of the structs and of all that they refer to."""
    found: set[str] = set()
    waiting = [root.__name__ for root in roots]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += _references(components[name])
    return found


def _references(value: Any) -> list[str]:  # Any: any part of a JSON document
    match value:
        case {"$ref": str(name)}:
            return [name]
        case dict():
            return [name for part in value.values() for name in _references(part)]
        case list():
            return [name for part in value for name in _references(part)]
        case _:
            return []


def _told(member: Schema) -> str:
    """What a member is for, and what holds without it."""
    parts = [member, *member.get("anyOf", ())]
    told = next((part["description"] for part in parts if "description" in part), "")
    default = member.get("default")
    return told if default in (None, "", [], {}) else f"{told} Default: {json.dumps(default)}.".lstrip()


def _comment(text: str, indent: str = "") -> str:
    lines = textwrap.wrap(text.replace("*/", "* /"), 110)
    if len(lines) < 2:
        return f"{indent}/** {lines[0]} */\n" if lines else ""
    return "".join(f"{indent}{line}\n" for line in ["/**", *(f" * {line}" for line in lines), " */"])
