"""The tables METHODS, CALLS, EVENTS and KINDS as documents for hosts: OpenRPC and JSON Schema (2020-12)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from omnirt import __version__
from omnirt.errors import KINDS
from omnirt.protocol.calls import CALLS
from omnirt.protocol.events import EVENTS
from omnirt.protocol.methods import METHODS, MethodSpec
from omnirt.protocol.schema_parts import (
    Schema,
    components_of,
    describe_members,
    describe_result,
    error_data,
    error_reply,
    first_line,
    header,
    json_document,
    message,
    reply,
)
from omnirt.protocol.types import PROTOCOL_VERSION

OPENRPC_VERSION = "1.3.2"
TITLE = "omnirt"

# Which kinds a reply may carry, besides those of every request. Grouped by what the method touches.
_EVERY = ("invalid_params", "internal", "shutting_down", "overloaded")
_SESSION = ("session_not_found", "session_state")
_START = (
    "session_exists",
    "session_state",
    "session_limit",
    "agent_not_found",
    "agent_invalid",
    "endpoint_unresolved",
    "auth_failed",
    "provider_unreachable",
    "provider_error",
    "storage_failed",
)
_KINDS_OF: dict[str, tuple[str, ...]] = {
    "initialize": ("invalid_request",),
    "session.start": _START,
    "session.sendAudio": (*_SESSION, "audio_invalid"),
    "session.update": (*_SESSION, "agent_not_found", "agent_invalid", "provider_error"),
    "session.wait": (*_SESSION, "timed_out"),
}


def openrpc() -> Schema:
    """The OpenRPC document: what `rpc.discover` answers and `schemas/openrpc.json` holds."""
    components = components_of(
        [t for m in METHODS.values() for t in (m.params, m.result)]
        + list(EVENTS.values())
        + [t for c in CALLS.values() for t in (c.params, c.result)],
        "#/components/schemas/{name}",
    )
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": TITLE,
            "version": __version__,
            "description": f"A realtime voice agent as a child process. Protocol version {PROTOCOL_VERSION}.",
            "license": {"name": "Apache-2.0"},
        },
        "methods": [_openrpc_method(name, spec, components) for name, spec in METHODS.items()],
        "components": {
            "schemas": components,
            "errors": {
                kind: {"code": info.code, "message": info.doc, "data": error_data(kind)}
                for kind, info in KINDS.items()
            },
        },
        "x-notifications": [
            {
                "name": name,
                "summary": first_line(event),
                "paramStructure": "by-name",
                "params": describe_members(components[event.__name__]),
                "x-source": event.SOURCE,
            }
            for name, event in EVENTS.items()
        ],
        "x-calls": [
            {
                "name": name,
                "summary": spec.doc,
                "paramStructure": "by-name",
                "params": describe_members(components[spec.params.__name__]),
                "result": describe_result(spec.result),
                "x-capability": spec.capability,
            }
            for name, spec in CALLS.items()
        ],
    }


def methods() -> Schema:
    """Requests and notifications of the host, `<method>.message`, and the replies, `<method>.reply`."""
    defs = components_of([t for m in METHODS.values() for t in (m.params, m.result)], "#/$defs/{name}")
    messages: Schema = {}
    replies: Schema = {}
    for name, spec in METHODS.items():
        messages[f"{name}.message"] = message(
            name, spec.params, request=spec.request, notification=spec.notification
        )
        if spec.request:
            replies[f"{name}.reply"] = reply(name, spec.result)
    return json_document("methods", "What a host sends", messages, {**replies, **defs})


def calls() -> Schema:
    """Requests of the daemon, `<call>.message`, and what the host answers, `<call>.reply`."""
    defs = components_of([t for c in CALLS.values() for t in (c.params, c.result)], "#/$defs/{name}")
    messages = {
        f"{name}.message": message(name, spec.params, request=True, notification=False)
        for name, spec in CALLS.items()
    }
    replies = {f"{name}.reply": reply(name, spec.result) for name, spec in CALLS.items()}
    return json_document("calls", "What the daemon asks of a host", messages, {**replies, **defs})


def notifications() -> Schema:
    """Notifications of the daemon, `<name>.message`."""
    defs = components_of(EVENTS.values(), "#/$defs/{name}")
    messages = {
        f"{name}.message": message(name, event, request=False, notification=True)
        for name, event in EVENTS.items()
    }
    return json_document("notifications", "What the daemon tells a host", messages, defs)


def errors() -> Schema:
    """Error replies, one for each kind."""
    replies = {kind: error_reply(kind, info) for kind, info in KINDS.items()}
    return json_document("errors", "Error replies of the daemon", replies, {})


def documents() -> dict[str, Schema]:
    """Every document of the wire by its file name."""
    return {
        "openrpc.json": openrpc(),
        "methods.json": methods(),
        "calls.json": calls(),
        "notifications.json": notifications(),
        "errors.json": errors(),
    }


def render(document: Schema) -> str:
    """A document as its file holds it: members in the order of the tables, two spaces, one last newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def struct_document(name: str, title: str, struct: type[Struct]) -> Schema:
    """A document for one struct that is no message, such as the agent spec."""
    defs = components_of([struct], "#/$defs/{name}")
    return {**header(name), "title": title, "$ref": f"#/$defs/{struct.__name__}", "$defs": defs}


def _openrpc_method(name: str, spec: MethodSpec, components: Mapping[str, Schema]) -> Schema:
    method: Schema = {
        "name": name,
        "summary": spec.doc,
        "paramStructure": "by-name",
        "params": describe_members(components[spec.params.__name__]),
        # OpenRPC knows a notification by its missing result; most of ours may be sent both ways.
        **({"result": describe_result(spec.result)} if spec.request else {}),
        "x-notification": spec.notification,
        "x-ordered": spec.ordered,
        "x-cancellable": spec.cancellable,
    }
    if spec.request:
        method["errors"] = [{"$ref": f"#/components/errors/{kind}"} for kind in _kinds_of(name, spec)]
    return method


def _kinds_of(name: str, spec: MethodSpec) -> list[str]:
    default = _SESSION if name.startswith("session.") and name != "session.list" else ()
    cancelled = ("cancelled",) if spec.cancellable else ()
    return [*_EVERY, *cancelled, *_KINDS_OF.get(name, default)]
