"""A conversation in the words of the chat API: its items as messages, its tools, what a response wants."""

from __future__ import annotations

from collections.abc import Sequence

from omnirt.loopback.items import Item, Part
from omnirt.loopback.parts import Context, Turn
from omnirt.loopback.wire import ItemInput, Json, ResponseParams

_NOTHING_SAID = "(The user has said nothing.)"  # many models answer only when a user comes last
_NO_OUTPUT = "(There is no output yet.)"


def chat_request(context: Context, turn: Turn, params: ResponseParams) -> Json:
    """What the chat service is asked, but for the model."""
    settings = context.settings
    instructions = settings.instructions if params.instructions is None else params.instructions
    items = context.items.all if params.input is None else []
    messages: list[Json] = [
        *_messages(items),
        *(_given(item) for item in params.input or []),
    ]
    if instructions:
        messages.insert(0, {"role": "system", "content": instructions})
    roles = [message.get("role") for message in messages]
    if turn.kind == "idle" or roles[-1:] == ["assistant"] or not {"user", "tool"} & set(roles):
        messages.append({"role": "user", "content": _NOTHING_SAID})
    request: Json = {"messages": messages}
    tools = settings.tools if params.tools is None else params.tools
    if functions := [_function(tool) for tool in tools if tool.get("type") == "function"]:
        choice = settings.tool_choice if params.tool_choice is None else params.tool_choice
        request |= {"tools": functions, "tool_choice": _choice(choice)}
    limit = settings.max_output_tokens if params.max_output_tokens is None else params.max_output_tokens
    if isinstance(limit, int):
        request["max_tokens"] = limit
    return request


def _messages(items: Sequence[Item]) -> list[Json]:
    outputs = {item.call_id: item.output for item in items if item.type == "function_call_output"}
    messages: list[Json] = []
    calls: list[Item] = []
    for item in items:
        if item.type == "function_call":
            calls.append(item)
            continue
        messages += _called(calls, outputs)
        calls = []
        if item.type == "message" and (content := _content(item)):
            messages.append({"role": item.role, "content": content})
    return messages + _called(calls, outputs)


def _called(calls: Sequence[Item], outputs: dict[str | None, str]) -> list[Json]:
    """Calls that were made together, and the output of each: services want every call answered."""
    if not calls:
        return []
    functions = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments or "{}"},
        }
        for call in calls
    ]
    answers: list[Json] = [
        {"role": "tool", "tool_call_id": call.call_id, "content": outputs.get(call.call_id, _NO_OUTPUT)}
        for call in calls
    ]
    return [{"role": "assistant", "content": None, "tool_calls": functions}, *answers]


def _content(item: Item) -> str | list[Json]:
    if any(part.type == "input_image" for part in item.content):
        return [shown for part in item.content if (shown := _part(part))]
    return item.text


def _part(part: Part) -> Json | None:
    if part.type == "input_image":
        return {"type": "image_url", "image_url": {"url": part.image_url, "detail": part.detail or "auto"}}
    words = part.text or part.transcript or part.known
    return {"type": "text", "text": words} if words else None


def _given(item: ItemInput) -> Json:
    texts = [part.text or part.transcript or "" for part in item.content or []]
    return {"role": item.role or "user", "content": " ".join(filter(None, texts)) or item.output or ""}


def _function(tool: Json) -> Json:
    members = {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name)}
    return {"type": "function", "function": members}


def _choice(choice: object) -> object:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice if isinstance(choice, str) else "auto"
