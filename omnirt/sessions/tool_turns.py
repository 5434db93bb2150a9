"""How often the model is asked again for its tools alone: some call them without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omnirt.sessions.conversation import Conversation

MAX_FAILED_TURNS = 20
"""In a row, each of them with calls that all failed."""
MAX_TOOL_TURNS = 100
"""In a row, of any calls."""


class ToolTurns:
    """Responses in a row that called tools and were answered, since the user or the host said something."""

    def __init__(self) -> None:
        self._turns = self._failed_turns = self._calls = self._failed = 0
        self._told = False

    def restart(self) -> None:
        """The user or the host said something."""
        self._turns = self._failed_turns = 0
        self._told = False

    def failed(self) -> None:
        """A call failed."""
        self._failed += 1

    def output_sent(self, talk: Conversation, tool_call_id: str, now: float, *, respond: bool) -> None:
        """The output of a call went upstream: the last one of a response asks for the next, within bounds."""
        turns, spent = talk.turns, self._spent()
        self._calls += 1
        waiting = len(turns.asks)
        turns.tool_answered(tool_call_id, now, respond=respond and not spent)
        if len(turns.asks) > waiting:
            self._turns += 1
            self._failed_turns = self._failed_turns + 1 if self._failed >= self._calls else 0
            self._calls = self._failed = 0
        elif spent and respond and not self._told:
            self._told = True
            message = f"{spent} It is asked again at the next input, or by session.respond."
            talk.error(now, "provider_error", message)

    def _spent(self) -> str:
        if self._failed_turns >= MAX_FAILED_TURNS:
            return f"The model called tools in {MAX_FAILED_TURNS} responses in a row, and every call failed."
        if self._turns >= MAX_TOOL_TURNS:
            return f"The model called tools in {MAX_TOOL_TURNS} responses in a row and said nothing else."
        return ""
