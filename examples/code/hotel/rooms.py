"""Python tools: a plain function, and a FunctionTool of the Agents SDK."""

from __future__ import annotations

from agents import function_tool

FREE = {"2": ["201", "204"], "3": ["310"]}


def free_rooms(beds: int) -> list[str]:
    """The free rooms with so many beds.

    Args:
        beds: How many beds.
    """
    return FREE.get(str(beds), [])


@function_tool
async def price(room: str) -> str:
    """The price of a room for a night."""
    if not room.isdigit():
        raise ValueError(f"There is no room {room}.")
    return f"{40 + int(room) // 10} euros"
