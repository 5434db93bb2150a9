"""The realtime settings that hold while an agent answers, and what of them can't change any more.

An agent's own settings lie over those of the agent that the session began with; those of `session.start` and
`session.update` lie over both. What the provider keeps for the life of a conversation stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from omnirt.sessions.plan import Plan
from omnirt.specs.realtime import Flat, effective_realtime, merge_realtime
from omnirt.specs.spec import AgentSpec

FIXED: Final = ("input_audio_format", "output_audio_format", "model_name")
_UNDONE_BY_NULL: Final = ("speed", "max_output_tokens", "tool_choice", "input_audio_noise_reduction")
"""Left out they keep their last value at the provider: null says that they are not wanted any more."""
_NAMES: Final = {"voice": "voice", "model_name": "model"}


class SettingsInForce:
    """Remembers what the provider was told."""

    def __init__(self) -> None:
        self._told: Mapping[str, Any] = {}
        self._warned: set[tuple[str, str]] = set()

    def next(self, plan: Plan, spec: AgentSpec, *, spoke: bool) -> tuple[Flat, list[str]]:
        """The settings for an agent, and what of them stays as it was: a sentence each, each once.

        Args:
            plan: Of the session.
            spec: The agent that answers from here on.
            spoke: Whether the provider made audio: from then on it refuses another voice.
        """
        wanted = _wanted(plan, spec, self._told)
        fixed = (*FIXED, "voice") if spoke and self._told else FIXED
        kept = {name: self._told.get(name, plan.realtime.settings[name]) for name in fixed}
        problems = [
            self._sentence(spec.name, name, value)
            for name, value in kept.items()
            if wanted[name] != value and (spec.name, name) not in self._warned
        ]
        self._told = {**wanted, **kept}
        return dict(self._told), problems

    def _sentence(self, agent: str, name: str, value: object) -> str:
        self._warned.add((agent, name))
        what = _NAMES.get(name, "audio format")
        reason = "once it was heard" if name == "voice" else "for the life of a session"
        return f"The agent `{agent}` goes on with the {what} `{value}`: the provider keeps it {reason}."


def _wanted(plan: Plan, spec: AgentSpec, told: Mapping[str, Any]) -> Flat:
    own = spec.realtime()
    settings = plan.spec.realtime()
    if spec is not plan.spec:
        if "tool_choice" in settings:
            settings["tool_choice"] = None  # it may name a tool that only the other agent has
        settings = merge_realtime(settings, own)
    undone = {name: None for name in _UNDONE_BY_NULL if name in told}
    wanted = merge_realtime(merge_realtime(undone, settings), plan.override)
    effective = effective_realtime(wanted, plan.endpoint.model).settings
    if spec is not plan.spec and own.get("model_name"):
        effective["model_name"] = own["model_name"]
    return effective
