"""An agent that a program makes: `python:hotel.agents:night_desk`."""

from __future__ import annotations

from omnirt.specs import AgentSpec, Tool


def night_desk() -> AgentSpec:
    """Is called when a session starts."""
    return AgentSpec(
        name="night_desk",
        instructions="You keep watch at night.",
        tools=[Tool(name="open_door", run="host", needs_approval=True)],
    )
