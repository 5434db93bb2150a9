"""What a scripted response does: the first rule that fits the turn, in the script or in the small talk."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from omnirt.loopback.parts import Context, Turn
from omnirt.loopback.reading import parse_script
from omnirt.loopback.script import Action, Rule, Script, fill
from omnirt.loopback.wire import ResponseParams

_SMALL_TALK = Path(__file__).parent / "smalltalk.yaml"
_USER = ("text", "audio")
_ALL = ("text", "audio", "start", "tool_output", "idle")
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")


@cache
def small_talk() -> Script:
    """The default script, read once: it never changes."""
    return parse_script(_SMALL_TALK)


class ScriptedBrain:
    """Chooses actions; counts how often each rule was used, for `cycle`."""

    def __init__(self, script: Script, default: Script, can_say: Callable[[str], bool]) -> None:
        self._rules: Sequence[Rule] = [*script.rules, *default.rules]
        self._used = [0] * len(self._rules)
        self._can_say = can_say

    def plan(self, turn: Turn, context: Context, params: ResponseParams) -> list[Action]:
        """What the response to a turn does."""
        return self.actions(turn, " / ".join(item.text for item in context.items.all if item.text))

    def actions(self, turn: Turn, conversation: str = "") -> list[Action]:
        """The actions of the response to a turn, with their placeholders filled in."""
        tools = " ".join(turn.tools)
        values = {"text": turn.text, "tool": tools, "tool_output": turn.text, "conversation": conversation}
        if turn.kind == "start" and (quoted := _QUOTED.search(turn.text)) and self._can_say(quoted[1]):
            return [Action(say=quoted[1])]  # instructions such as: say "Goodbye."
        for index, rule in enumerate(self._rules):
            if self._fits(rule, turn):
                self._used[index] += 1
                chosen = rule.do or rule.cycle[(self._used[index] - 1) % len(rule.cycle)]
                return [_filled(action, values) for action in chosen]
        return []

    @staticmethod
    def _fits(rule: Rule, turn: Turn) -> bool:
        kinds = {"any": _ALL, "user": _USER}.get(rule.on, (rule.on,))
        if turn.kind not in kinds:
            return False
        if rule.turn is not None and rule.turn != turn.number:
            return False
        if rule.tool is not None and rule.tool not in turn.tools:
            return False
        return rule.fits(turn.text) or any(rule.fits(tool) for tool in turn.tools)


def _filled(action: Action, values: dict[str, str]) -> Action:
    if action.say is not None:
        return Action(say=fill(action.say, values))
    if action.text is not None:
        return Action(text=fill(action.text, values))
    return action
