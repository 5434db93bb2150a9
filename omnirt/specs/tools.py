"""Host tools: the schema of their arguments, checked at load and at each call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from omnirt.specs.problems import Place

_MAX_PROBLEM: Final = 300
_MAX_DEPTH: Final = 64


class ToolRequest(Struct, frozen=True, kw_only=True):
    """One use of a host tool by the model.

    Args:
        tool_call_id: The provider's id of the call.
        tool_name: The tool.
        arguments_json: What the model wrote, unchecked; see `check_arguments`.
        agent: Name of the agent that calls.
        timeout_s: How long the host has.
        parameters: JSON Schema of the arguments.
    """

    tool_call_id: str
    tool_name: str
    arguments_json: str
    agent: str
    timeout_s: float
    parameters: dict[str, Any]


RunTool: TypeAlias = Callable[[ToolRequest], Awaitable[str]]
"""Carries a tool call out and returns what the model is told. Never raises."""


def check_parameters(schema: dict[str, Any], here: Place) -> None:
    """Refuses parameters that are no JSON Schema of an object, or that refer outside of themselves.

    Raises:
        OmnirtError: `agent_invalid` at `parameters`.
    """
    if schema.get("type") != "object":
        raise here.at("type").problem('The parameters of a tool are an object: write `"type": "object"`')
    _refuse_outside_references(schema, here, 0)
    import jsonschema

    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        at = here.at(*(step for step in error.absolute_path))
        raise at.problem(f"No JSON Schema: {error.message[:_MAX_PROBLEM]}") from None


def check_arguments(schema: dict[str, Any], arguments_json: str) -> tuple[dict[str, Any] | None, str | None]:
    """The arguments of a call as an object, or what is wrong with them in words for the model.

    Args:
        schema: The tool's parameters, checked before.
        arguments_json: What the model wrote. Empty means no arguments, as models do write it.
    """
    try:
        arguments = msgspec.json.decode(arguments_json) if arguments_json.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None, "The arguments are not valid JSON."
    if not isinstance(arguments, dict):
        return None, "The arguments are not a JSON object."
    import jsonschema
    import referencing
    import referencing.exceptions

    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        # The empty registry keeps jsonschema from fetching what a `$ref` names.
        errors = validator(schema, registry=referencing.Registry()).iter_errors(arguments)
        worst = jsonschema.exceptions.best_match(errors)
    except (referencing.exceptions.Unresolvable, RecursionError):
        return None, "The tool's own schema of arguments is broken."
    if worst is None:
        return arguments, None
    return (
        None,
        f"The arguments do not fit the tool's schema at {worst.json_path}: {worst.message[:_MAX_PROBLEM]}",
    )


def _refuse_outside_references(value: object, place: Place, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise place.problem("Nested too deeply")
    if isinstance(value, list):
        for index, member in enumerate(value):
            _refuse_outside_references(member, place.at(index), depth + 1)
    if isinstance(value, dict):
        for name, member in value.items():
            if name in ("$ref", "$dynamicRef") and isinstance(member, str) and not member.startswith("#"):
                raise place.at(name).problem("Only references inside the schema itself (`#/…`) are followed")
            _refuse_outside_references(member, place.at(name), depth + 1)
