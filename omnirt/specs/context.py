"""The context of an agent's instructions: as the spec has it, or as its `build_context` makes it."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from omnirt.specs.documents import plain
from omnirt.specs.problems import Place
from omnirt.specs.python_objects import bounded, load_object
from omnirt.specs.spec import AgentSpec

CONTEXT_S: Final = 10.0
"""How long `build_context` may take: a look into a database, not a computation."""


def context_of(spec: AgentSpec, variables: Mapping[str, Any] | None, place: Place) -> dict[str, Any]:
    """The context for the variables of a session. May call what the spec names, so not for the event loop.

    Args:
        spec: The agent.
        variables: Of the session; they come before the spec's own.
        place: Of the spec.

    Raises:
        OmnirtError: `agent_invalid` at `build_context`: it can't be called, does not end in time, raises, or
            does not give a dict of what JSON has.
    """
    if spec.build_context is None:
        return spec.context or {}
    here = place.at("build_context")
    build = context_builder(spec.build_context, here)
    # A copy: what it does to them must not reach the session.
    given = copy.deepcopy({**spec.variables, **(variables or {})})
    made = bounded(lambda: _call(build, given), CONTEXT_S, f"`{spec.build_context}`", here)
    if not isinstance(made, Mapping):
        raise here.problem(f"`{spec.build_context}` gives a {type(made).__name__}, where a dict is wanted")
    try:
        context = plain(msgspec.to_builtins(dict(made), str_keys=True), here)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        raise here.problem(f"What `{spec.build_context}` gives holds more than JSON can") from None
    assert isinstance(context, dict), "a mapping stays one"
    return context


def context_builder(reference: str, place: Place) -> Callable[..., object]:
    """The callable that `build_context` names."""
    found = load_object(reference, place)
    if not callable(found):
        raise place.problem(f"`{reference}` is a {type(found).__name__} and can't be called")
    return found


def _call(build: Callable[..., object], variables: dict[str, Any]) -> object:
    made = build(variables)
    return asyncio.run(_awaited(made)) if inspect.isawaitable(made) else made


async def _awaited(made: Awaitable[object]) -> object:
    # By then nobody waits any more; this only ends it.
    async with asyncio.timeout(CONTEXT_S + 1):
        return await made
