"""Tools in Python: functions, or FunctionTools of the Agents SDK, that a spec names."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from omnirt.errors import OmnirtError
from omnirt.specs.parts import Tool
from omnirt.specs.problems import Place
from omnirt.specs.python_objects import load_object
from omnirt.specs.threads import BusyError, ExitError
from omnirt.specs.tool_loop import ToolLoop
from omnirt.specs.tools import InvokeIn, ToolDefinition, ToolFailedError

if TYPE_CHECKING:
    from agents import FunctionTool
    from agents.tool_context import ToolContext

T = TypeVar("T")

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""The provider's rule for names of functions."""


class PythonTools:
    """Makes the Python tools of agents, and runs them on a loop of their own.

    Attributes:
        loop: Where they run, and Python guardrails too.
    """

    def __init__(self) -> None:
        self.loop = ToolLoop()

    def define(self, tool: Tool, place: Place) -> ToolDefinition | None:
        """The tool that a spec names; None when it is a FunctionTool that is switched off.

        Blocks while it imports, so not for the event loop.

        Raises:
            OmnirtError: `agent_invalid`: it is not there, or is no tool for a voice session.
        """
        found = _sdk_tool(load_object(tool.run, place.at("run")), tool, place.at("run"))
        if found.is_enabled is False:
            return None
        if not _NAME.fullmatch(found.name):
            raise place.problem("Its name is not 1 to 64 of A-Z a-z 0-9 _ -; give it a `name`")
        limit = found.timeout_seconds
        schema = tool.parameters or found.params_json_schema
        return ToolDefinition(
            name=found.name,
            description=found.description,
            shown=schema,
            checked=schema,
            timeout_s=tool.timeout_s if limit is None else min(limit, tool.timeout_s),
            source=tool.run,
            invoke=self._invoker(found),
            needs_approval=tool.needs_approval or self._approval(found),
        )

    def close(self) -> None:
        """Cancel what runs."""
        self.loop.close()

    def _invoker(self, tool: FunctionTool) -> InvokeIn:
        async def invoke(context: ToolContext[Any], arguments: dict[str, Any]) -> Any:
            text = json.dumps(arguments)
            return await self._run(lambda: tool.on_invoke_tool(context, text))

        return invoke

    def _approval(
        self, tool: FunctionTool
    ) -> bool | Callable[[ToolContext[Any], dict[str, Any]], Awaitable[bool]]:
        needs = tool.needs_approval
        if not callable(needs):
            return needs

        async def decide(context: ToolContext[Any], arguments: dict[str, Any]) -> bool:
            return bool(await self._run(lambda: needs(context, arguments, context.tool_call_id)))

        return decide

    async def _run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run code of a tool; what it raises is the tool's error."""
        try:
            return await self.loop.run(call)
        except BusyError as error:
            raise OmnirtError("overloaded", f"{error}.") from None
        except ExitError as error:
            raise ToolFailedError(f"It raised {error}.", str(error)) from None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _tool_error(error) from None  # the tool's own: nobody called us off
        except Exception as error:  # noqa: BLE001 - whatever the code raises, TimeoutError too
            raise _tool_error(error) from None


def _tool_error(error: BaseException) -> ToolFailedError:
    name = type(error).__name__
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - its text is code of the tool's too
        said = ""
    return ToolFailedError(said or f"It raised {name}.", name)


def _sdk_tool(found: object, tool: Tool, place: Place) -> FunctionTool:
    """The object as a FunctionTool that raises its own errors, under the names that the spec gives."""
    from agents import FunctionTool, function_tool
    from agents.tool import set_function_tool_failure_error_function

    if isinstance(found, FunctionTool):
        if found.tool_input_guardrails or found.tool_output_guardrails or callable(found.is_enabled):
            raise place.problem(
                "A FunctionTool with guardrails, or with a function in `is_enabled`, does not run here"
            )
        own = copy.copy(found)
        own.name = tool.name or own.name
        own.description = tool.description or own.description
        # Else an error becomes a text that says nothing, and nobody can tell it from an output.
        return set_function_tool_failure_error_function(own, None)
    if not callable(found):
        kind = type(found).__name__
        raise place.problem(f"It is a {kind}, and neither a function nor a FunctionTool")
    try:
        return function_tool(
            found,
            name_override=tool.name,
            description_override=tool.description,
            failure_error_function=None,
            strict_mode=False,
        )
    except Exception as error:  # noqa: BLE001 - a signature can be anything
        raise place.problem(f"Its signature makes no tool ({type(error).__name__}: {error})") from None
