"""Output guardrails: what the provider sends goes through here, and on when its words have passed.

Sans-IO. An answer of an agent without guardrails goes straight on. Of any other, the end waits until all of
its words have passed; with `holdback` its words and its audio wait too, sentence by sentence. What is held is
not known to the conversation yet: it counts, is stored and can be interrupted from when it is released.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omnirt.protocol import events as ev
from omnirt.sessions import mapping
from omnirt.sessions.answers import Answer, HeldAudio
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.heard import take_out_unheard
from omnirt.sessions.interrupts import cut
from omnirt.sessions.outputs import GuardrailCheck
from omnirt.sessions.provider_errors import words
from omnirt.sessions.reading import content_index, dig, text_id
from omnirt.sessions.responses import Response
from omnirt.specs.guardrails import Guardrails

MAX_AGAIN = 2
"""Answers in a row that are asked for in place of ones that were stopped."""
MAX_STOPPED = 256
"""Items of stopped answers that are remembered."""
REASON = "guardrail"
"""Of the end of an answer that was stopped."""

Raw = Mapping[str, Any]
GuardsOf = Callable[[str], Guardrails | None]
Play = Callable[[str, str, int, bytes], None]
"""Response id, item id, content index, data."""

_DELTAS = frozenset({"response.output_audio_transcript.delta", "response.output_text.delta"})
_DONES = {"response.output_audio_transcript.done": "transcript", "response.output_text.done": "text"}
_AUDIO_DONE = "response.output_audio.done"
_END = "response.done"


class Gate:
    """Between the provider's events and the conversation.

    Args:
        talk: The conversation core.
        play: Takes audio that may be heard.

    Attributes:
        guards_of: The guardrails of an agent, by its name.
    """

    def __init__(self, talk: Conversation, play: Play) -> None:
        self.guards_of: GuardsOf = lambda _agent: None
        self._talk = talk
        self._play = play
        self._answers: dict[str, Answer] = {}
        self._again = 0
        self._stopped: deque[str] = deque(maxlen=MAX_STOPPED)
        """Items of answers that were stopped: nothing shows their words any more."""

    def server_event(self, raw: Raw, now: float) -> None:
        """An event of the provider."""
        answer = self._answer_of(raw)
        if answer is None:
            item_id = dig(raw, "item", "id")
            if not (isinstance(item_id, str) and item_id in self._stopped):
                mapping.server_event(self._talk, raw, now)
            return
        kind = str(raw.get("type"))
        need = self._read(answer, kind, raw)
        if answer.tripped:
            if need is None or kind == _END:
                self._feed(answer, raw, now)
            return
        if need is None:
            self._feed(answer, raw, now)
        else:
            answer.hold(need, raw)
        self._go_on(answer, now)

    def audio(self, response_id: str, item_id: str, content_index: int, data: bytes, now: float) -> None:
        """A decoded chunk of the agent's speech."""
        answer = self._answer(response_id)
        if answer is None:
            self._play(response_id, item_id, content_index, data)
        elif not answer.tripped:
            need = answer.after_audio((item_id, content_index))
            answer.hold(need, HeldAudio(response_id, item_id, content_index, data))
            self._go_on(answer, now)

    def checked(self, check: GuardrailCheck, tripped: Sequence[str], message: str, now: float) -> None:
        """What the guardrails found: the names of those that tripped, and why in words."""
        answer = check.answer
        answer.checking = False
        if answer.tripped or self._answers.get(answer.key) is not answer:
            return
        if self._talk.over or self._talk.responses.is_over(answer.key):
            return
        if tripped:
            self._stop(answer, tripped, message, now)
        else:
            answer.pass_to(len(check.text))
            self._go_on(answer, now)

    def lost(self) -> None:
        """The connection is gone, and every answer with it."""
        self._answers.clear()

    # -- which answer ------------------------------------------------------------------------------------

    def _answer_of(self, raw: Raw) -> Answer | None:
        kind = str(raw.get("type"))
        if kind.startswith("response."):
            nested = dig(raw, "response", "id")
            return self._answer(text_id(raw, "response_id") or (nested if isinstance(nested, str) else ""))
        if self._answers and kind.startswith("conversation.item."):
            item_id = dig(raw, "item", "id")
            if not isinstance(item_id, str):
                return None
            return next((answer for answer in self._answers.values() if item_id in answer.items), None)
        return None

    def _answer(self, key: str) -> Answer | None:
        """The guarded answer of this id, the latest without one; begun here, if its agent has guardrails."""
        if not key and self._answers:
            key = next(reversed(self._answers))
        response = self._talk.responses.find(key)
        if response is None and self._talk.responses.is_over(key):
            self._answers.pop(key, None)
            return None
        answer = self._answers.get(key)
        if answer is None:
            agent = self._talk.agent if response is None else response.agent
            guards = self.guards_of(agent)
            if guards is None:
                return None
            self._forget()
            self._answers[key] = answer = Answer(key, agent, guards)
        return answer

    def _forget(self) -> None:
        for key in [key for key in self._answers if self._talk.responses.is_over(key)]:
            del self._answers[key]

    # -- its words ---------------------------------------------------------------------------------------

    def _read(self, answer: Answer, kind: str, raw: Raw) -> int | None:
        """Take in the words of an event. Returns the position that it needs, None when it may always pass."""
        part = text_id(raw, "item_id"), content_index(raw)
        if kind in _DELTAS:
            delta = raw.get("delta")
            answer.add(part, delta if isinstance(delta, str) else "")
        elif kind in _DONES:
            text = raw.get(_DONES[kind])
            answer.finish(part, text if isinstance(text, str) else None)
        elif kind == _END:
            answer.complete = True
            answer.close()
            return len(answer.text)
        elif kind == _AUDIO_DONE:
            return 0  # behind its audio
        elif not self._shows_words(answer, raw):
            return None
        if part[0]:
            answer.items.add(part[0])
        return answer.after_words()

    def _shows_words(self, answer: Answer, raw: Raw) -> bool:
        """Whether an event has a message of this answer, with its words."""
        item = raw.get("item")
        if not isinstance(item, Mapping) or item.get("type") != "message":
            return False
        item_id, content = item.get("id"), item.get("content")
        if isinstance(item_id, str):
            answer.items.add(item_id)
        for part in content if isinstance(content, list) else []:
            for member in ("transcript", "text"):
                words = part.get(member) if isinstance(part, Mapping) else None
                if isinstance(words, str):
                    answer.also(words)
        # The end of an item stays behind its words even when it does not repeat them.
        return bool(content) or str(raw.get("type")).endswith(".done")

    # -- what becomes of it ------------------------------------------------------------------------------

    def _go_on(self, answer: Answer, now: float) -> None:
        """Let pass what may, ask for the check that is due."""
        if answer.unbounded or answer.wordless:
            why = "is too long to be checked" if answer.unbounded else "came without its words"
            names = [check.name for check in answer.guards.checks]
            self._stop(answer, names, f"The answer {why}.", now)
            return
        text = answer.due
        if text is not None:
            answer.checking = True
            self._talk.push(GuardrailCheck(answer, text))
        while (event := answer.releasable()) is not None:
            if isinstance(event, HeldAudio):
                self._play(event.response_id, event.item_id, event.content_index, event.data)
            else:
                self._feed(answer, event, now)

    def _feed(self, answer: Answer, raw: Raw, now: float) -> None:
        if raw.get("type") == _END:
            self._answers.pop(answer.key, None)
            if not answer.tripped:
                self._again = 0
        mapping.server_event(self._talk, raw, now)

    def _stop(self, answer: Answer, names: Sequence[str], message: str, now: float) -> None:
        """The answer is not to be heard any further, and another is asked for."""
        answer.tripped = True
        end = answer.held[-1][1] if answer.complete else None
        answer.held.clear()
        self._stopped.extend(answer.items)
        answer.held_bytes = 0
        talk = self._talk
        message = words(talk, message)
        response = talk.response_started(answer.key, now)
        unwanted = response.muted
        response.muted, response.stopped = True, REASON
        tripped = talk.make(ev.RealtimeGuardrailTripped, now, guardrails=list(names), message=message)
        if end is None:
            talk.cancel_response(now, response.response_id)
        cut(talk, now, [tripped])
        self._forget_untold(answer, response)
        if unwanted:
            self._again = 0  # whoever interrupted an answer wants no other in its place
        else:
            self._ask_again(response.response_id, message, now)
        if isinstance(end, Mapping):
            self._feed(answer, end, now)
        talk.sync_state(now)

    def _forget_untold(self, answer: Answer, response: Response) -> None:
        """What was never told of the answer leaves the model's context, as what was never heard does."""
        talk = self._talk
        told = {series.item_id for series in talk.responses.open_series(response.response_id)}
        told |= {item_id for item_id, _ in response.words} | {part.item_id for part in talk.playback.parts()}
        for item_id in sorted(answer.items - told):
            take_out_unheard(talk, item_id, response.response_id)

    def _ask_again(self, response_id: str, message: str, now: float) -> None:
        talk = self._talk
        if self._again >= MAX_AGAIN:
            self._again = 0
            words = "The agent broke its output guardrails again and again; no other answer is asked for."
            talk.error(now, "provider_error", words)
            return
        self._again += 1
        note = (
            f"Your last answer was stopped: {message} The user did not hear the rest of it, if any of it."
            " Answer again without what was wrong, and don't mention this note."
        )
        content = [{"type": "input_text", "text": note}]
        talk.send(
            {
                "type": "conversation.item.create",
                "event_id": talk.turns.event_id("note"),
                "item": {"type": "message", "role": "system", "content": content},
            }
        )
        if not any(call[1] == response_id for call in talk.turns.tools):
            # Else the outputs of its tools ask for the next answer.
            talk.ask(now)
