"""Builds scripts for the simulator: what the agent says and does in a test (docs/SIMULATOR.md)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["user", "text", "audio", "start", "tool_output", "idle", "any"]


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """The same script, which the simulator takes.

    Raises:
        OmnirtError: Something in it is wrong; with its place.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # audioop's, none of the test's business
        from omnirt.loopback import load_script
    load_script(document)
    return document


def script(name: str = "") -> Script:
    """Begins a script: `script().on("weather").call_tool("get_weather", city="Lisbon").say("weather")`."""
    return Script(name)


class Script:
    """A script in the making. Each `on…` begins a rule; what follows is done in answer to such a turn.

    What comes behind `call_tool` is said once the output of that tool is there.
    """

    def __init__(self, name: str = "") -> None:
        self._members: dict[str, Any] = {"name": name} if name else {}
        self._rules: list[dict[str, Any]] = []
        self._called: str | None = None

    def on(
        self,
        match: str | None = None,
        *,
        kind: Kind = "user",
        turn: int | None = None,
        tool: str | None = None,
    ) -> Script:
        """When the user writes or says something with `match` in it (or `/a regular expression/`).

        Args:
            match: Without it every turn of this kind fits.
            kind: Another kind of turn: `text` or `audio` alone, `start`, `tool_output`, `idle`, `any`.
            turn: Only the nth turn of the user, from 1.
            tool: Only the output of this tool.
        """
        limits = {"match": match, "turn": turn, "tool": tool}
        self._rules.append({"on": kind, **{k: v for k, v in limits.items() if v is not None}, "do": []})
        self._called = None
        return self

    def on_start(self) -> Script:
        """When a response is asked for with nothing to answer: the agent speaks first."""
        return self.on(kind="start")

    def say(self, text: str) -> Script:
        """Speak a text, or a recording by its name (`greeting`, `weather`, …)."""
        return self._do(say=text)

    def write(self, text: str) -> Script:
        """Answer in writing."""
        return self._do(text=text)

    def call_tool(self, tool: str, /, **arguments: Any) -> Script:
        """Call a tool; what follows answers its output."""
        self._do(call={"tool": tool, "arguments": arguments})
        self._called = tool
        return self

    def hand_off(self, agent: str) -> Script:
        """Hand over to another agent."""
        return self._do(hand_off=agent)

    def wait(self, ms: int) -> Script:
        """Do nothing for so long."""
        return self._do(wait_ms=ms)

    def fail(self, how: str | Mapping[str, Any]) -> Script:
        """End the response: `quota`, `rate_limit`, `content_filter`, `max_output_tokens`, or the details."""
        return self._do(fail=how if isinstance(how, str) else dict(how))

    def hears(self, *texts: str) -> Script:
        """What the transcription of each spoken turn says, in order."""
        self._members["hears"] = [*self._members.get("hears", []), *texts]
        return self

    def fault(self, *, at: Mapping[str, Any] | None = None, **fault: Any) -> Script:
        """Let something go wrong: `fault(drop=1006, at={"audio_delta": 3})`."""
        moment = {} if at is None else {"at": dict(at)}
        self._members["faults"] = [*self._members.get("faults", []), {**moment, **fault}]
        return self

    def build(self) -> dict[str, Any]:
        """The script as `settings.simulator.script` takes it, checked as the simulator does.

        Raises:
            OmnirtError: Something in it is wrong, or can't be said; with its place.
        """
        return checked({**self._members, **({"rules": self._rules} if self._rules else {})})

    def _do(self, **action: Any) -> Script:
        if not self._rules:
            self.on()
        if self._called is not None:
            self.on(kind="tool_output", tool=self._called)
        self._rules[-1]["do"].append(action)
        return self
