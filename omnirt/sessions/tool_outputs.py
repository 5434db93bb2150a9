"""What a tool returns, as the JSON that the host is told and the text that the model is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from omnirt.sessions.reading import writable
from omnirt.specs.tools import ToolFailedError

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock

MAX_OUTPUT_CHARS: Final = 128 * 1024
"""What the model is told of one output at most: about all that its context holds."""


def bounded(output: Any) -> tuple[Any, str]:
    """An output as JSON, and as the model is told it; the same text in both when it is too long.

    Raises:
        ToolFailedError: It is no JSON.
    """
    plain = writable(output[: MAX_OUTPUT_CHARS + 1]) if isinstance(output, str) else _plain(output)
    told = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    if len(told) <= MAX_OUTPUT_CHARS:
        return plain, told
    cut = f"{told[:MAX_OUTPUT_CHARS]} … (cut here: the output was too long)"
    return cut, cut


def of_server(result: CallToolResult) -> Any:
    """What a tool of an MCP server gave: its texts, and a word on what a voice can't pass on.

    Raises:
        ToolFailedError: The tool's own error.
    """
    parts = [_text(part) for part in result.content]
    if result.is_error:
        raise ToolFailedError("\n".join(parts) or "The tool failed without a word.", "isError")
    return "\n".join(parts) if parts else result.structured_content


def _text(part: ContentBlock) -> str:
    match part.type:
        case "text":
            return part.text
        case "image" | "audio":
            return f"({part.type}, {part.mime_type}, which a voice cannot pass on)"
        case _:
            return part.model_dump_json(exclude_none=True)


def _plain(output: Any) -> Any:
    """What Python code may return, made of what JSON has: data classes, models, dates, sets, …"""
    try:
        plain = msgspec.to_builtins(output, enc_hook=_of_model, str_keys=True)
        json.dumps(plain, allow_nan=False)  # msgspec would make NaN and infinity null
        return msgspec.json.decode(msgspec.json.encode(plain))
    except Exception:  # noqa: BLE001 - a model's own code makes JSON of it, and raises what it likes
        name = type(output).__name__
        raise ToolFailedError(f"It returned what is no JSON (of type {name}).", name) from None


def _of_model(value: Any) -> Any:
    """A pydantic model, as tools of the Agents SDK return them."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError
    return dump(mode="json")
