"""Turns against a model of a provider: one request at a time reaches it, none is lost, and idle comes."""

from __future__ import annotations

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from omnirt.sessions.turns import CREATE_TIMEOUT_S, VAD_RESPONSE_S, Turns

BUSY = "conversation_already_has_active_response"


class Provider(RuleBasedStateMachine):
    """A provider that answers some requests, refuses or forgets others, and begins responses of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns()
        self.now = 0.0
        self.unanswered: list[str] = []
        """Creates on their way, by event id."""
        self.running: str | None = None
        self.tools: list[str] = []
        self.count = 0
        self.uncovered = 0
        """Asks that no create on its way stands for, and none stood for that was answered or refused."""
        self.covered = 0
        """Asks that the create on its way stands for."""

    def pump(self) -> None:
        ask = self.turns.next_create(self.now)
        if ask is not None:
            assert self.running is None
            assert self.turns.in_flight is ask
            self.unanswered.append(ask.event_id)
            # One response answers all that was asked so far, or else the rest is still asked.
            self.covered, self.uncovered = self.uncovered - len(self.turns.asks), len(self.turns.asks)
            assert self.covered > 0
        assert self.turns.next_create(self.now) is None

    def begin(self, own: bool) -> None:
        self.count += 1
        self.running = f"resp_{self.count}"
        ask = self.turns.created(self.running)
        if not own:
            assert ask is not None
            self.covered = 0
        self.pump()

    @rule()
    def host_asks(self) -> None:
        self.uncovered += 1
        self.turns.ask(self.now)
        self.pump()

    @precondition(lambda self: self.unanswered and self.running is None)
    @rule()
    def it_answers(self) -> None:
        self.unanswered.pop(0)
        self.begin(own=False)

    @precondition(lambda self: self.running is None)
    @rule()
    def it_begins_by_itself_and_refuses_what_comes_meanwhile(self) -> None:
        refused, self.unanswered = self.unanswered, []
        self.begin(own=True)
        for event_id in refused:
            assert self.turns.refused(event_id, BUSY, self.now), "it is asked again"
            self.ask_again()
        self.pump()

    @precondition(lambda self: self.unanswered)
    @rule(code=st.sampled_from([BUSY, "invalid_value"]))
    def it_refuses(self, code: str) -> None:
        harmless = self.turns.refused(self.unanswered.pop(0), code, self.now)
        assert harmless == (code == BUSY)
        if harmless:
            self.ask_again()
        self.covered = 0
        self.pump()

    @precondition(lambda self: self.running is not None)
    @rule()
    def it_calls_a_tool(self) -> None:
        assert self.running is not None
        self.count += 1
        self.tools.append(f"call_{self.count}")
        self.turns.tool_called(self.tools[-1], self.running)

    @precondition(lambda self: self.running is not None)
    @rule()
    def it_ends(self) -> None:
        assert self.running is not None
        self.turns.done(self.running)
        self.running = None
        self.pump()

    @precondition(lambda self: self.tools)
    @rule()
    def a_tool_is_answered(self) -> None:
        asks = len(self.turns.asks)
        self.turns.tool_answered(self.tools.pop(0), self.now, respond=True)
        self.uncovered += len(self.turns.asks) - asks
        self.pump()

    @rule()
    def the_user_speaks(self) -> None:
        self.turns.speech_started()
        assert self.turns.idle_at(self.now) is None
        self.turns.speech_stopped("item_u", self.now)
        self.turns.committed("item_u", self.now)
        self.pump()

    @rule(seconds=st.floats(0, CREATE_TIMEOUT_S))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        ask, _ = self.turns.overdue(self.now)
        if ask is not None:
            if not self.unanswered:  # refused for too long
                self.uncovered -= 1
            self.covered = 0
            self.unanswered.clear()  # an answer so late would be taken for the provider's own
        deadline = self.turns.deadline()
        assert deadline is None or deadline > self.now
        self.pump()

    @invariant()
    def one_request_at_a_time(self) -> None:
        assert len(self.unanswered) <= 1
        assert self.turns.active == ({self.running: None} if self.running else {})

    @invariant()
    def none_is_lost(self) -> None:
        assert (self.uncovered > 0) == bool(self.turns.asks)
        assert bool(self.covered) == bool(self.turns.in_flight)

    def ask_again(self) -> None:
        self.uncovered, self.covered = len(self.turns.asks), 0

    def teardown(self) -> None:
        """When the provider answers what it has to, the talk is idle, and not before."""
        for _ in range(10_000):
            if self.tools:
                self.a_tool_is_answered()
            elif self.running is not None:
                self.it_ends()
            elif self.unanswered:
                self.it_answers()
            elif self.turns.thinking():
                self.time_passes(CREATE_TIMEOUT_S)
            else:
                break
        assert self.turns.idle(self.now + VAD_RESPONSE_S)
        assert self.uncovered == self.covered == 0


TestTurns = Provider.TestCase
TestTurns.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)
