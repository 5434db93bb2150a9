"""A conversation behind output guardrails, on a clock of the test's own."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from omnirt.protocol import events as ev
from omnirt.sessions.guard_checks import in_words
from omnirt.sessions.guardrails import Gate
from omnirt.sessions.reading import content_index, text_id
from omnirt.specs.guardrails import Guardrails, make_guardrails, search_all
from omnirt.specs.problems import Place
from tests.support.specs import parse_spec
from tests.unit.sessions.helpers import Talk

PRICES = [{"name": "no_prices", "deny": [r"\$\d+"]}]


def guards(**members: Any) -> Guardrails:
    """The guardrails of an agent with these members."""
    spec = parse_spec({"name": "greeter", "output_guardrails": PRICES, **members})
    made = make_guardrails(spec, Place())
    assert made is not None
    return made


class GuardedTalk(Talk):
    """A `Talk` whose agent has guardrails.

    Args:
        slow: Checks are done when the test says so, by `judge`; else at once.
        members: More of the agent's spec.
    """

    def __init__(self, *, slow: bool = False, **members: Any) -> None:
        self.slow = slow
        super().__init__()
        self.guards: Guardrails | None = guards(**members)
        self.gate = Gate(self.core, self._play)
        self.gate.guards_of = lambda _agent: self.guards

    def collect(self) -> None:
        """Carry out what there is; checks are done."""
        super().collect()
        if not self.slow:
            self.judge()

    def judge(self) -> None:
        """Do the checks that wait."""
        while self.checks:
            check = self.checks.pop(0)
            entries = check.answer.guards.checks
            found = zip(entries, search_all(entries, check.text.strip()), strict=True)
            tripped = dict.fromkeys((entry.name for entry, hit in found if hit), "")
            self.gate.checked(check, list(tripped), in_words(tripped), self.now)
            self.collect()

    def feed(self, *events: Mapping[str, Any]) -> None:
        """Events of the provider; audio goes the way of the decoded audio."""
        for event in events:
            if event.get("type") == "response.output_audio.delta":
                where = text_id(event, "response_id"), text_id(event, "item_id"), content_index(event)
                self.gate.audio(*where, base64.b64decode(event["delta"]), self.now)
            else:
                self.gate.server_event(event, self.now)
            self.collect()

    def heard_ms(self) -> int:
        """How much audio was told to the host."""
        return sum(event.delta_ms for event in self.of(ev.RealtimeAudio))

    def shown(self) -> str:
        """The words told to the host as deltas."""
        deltas = (
            event
            for event in self.told
            if isinstance(event, ev.RealtimeTranscriptDelta | ev.RealtimeTextDelta)
        )
        return "".join(event.delta for event in deltas)

    def _play(self, response_id: str, item_id: str, index: int, data: bytes) -> None:
        self.core.audio(response_id, item_id, index, data, self.now)
