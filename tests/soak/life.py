"""Sessions that live at random: what a host may do, and what may happen to it."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from tests.support.host import Host, Talk
from tests.support.speech import PCM_BYTES_PER_MS, b64, silence, utterance

Json = dict[str, Any]

SCRIPT: Json = {
    "rules": [
        {"on": "tool_output", "do": [{"say": "done"}]},
        {"match": "weather", "do": [{"say": "lookup"}, {"call": {"tool": "get_weather", "arguments": {}}}]},
        {"match": "sleep", "do": [{"call": {"tool": "echo", "arguments": {"text": "zzz"}}}]},
        {"match": "both", "do": [{"call": [{"tool": "get_weather", "arguments": {}}] * 2}]},
        {"match": "story", "do": [{"say": "story"}]},
        {"match": "colleague", "do": [{"hand_off": "colleague"}]},
        {
            "match": "fail",
            "do": [{"say": "heard"}, {"fail": {"type": "server_error", "message": "It broke."}}],
        },
    ]
}
AGENT: Json = {
    "name": "greeter",
    "tools": [
        {"name": "get_weather", "run": "host", "timeout_s": 2},
        {"run": "python:tests.soak.tools:echo", "needs_approval": True},
    ],
    "handoffs": [{"name": "colleague", "handoffs": ["greeter"]}],
}
FAULTS: tuple[list[Json], ...] = (
    [],
    [],
    [],
    [{"at": {"audio_delta": 9}, "drop": 1006}],
    [{"at": {"after_ms": 1500}, "drop": {"code": 1001, "reason": "going away"}}],
    [{"at": {"client_event": 6}, "malformed": True}, {"at": {"client_event": 9}, "unknown_event": True}],
    [{"at": {"type": "response.create"}, "slow_ms": 200}],
    [{"at": {"audio_delta": 4}, "bad_audio": True}],
    [{"refuse": 503}],
)
TEXTS = ("Hello", "weather", "both", "sleep", "story", "colleague", "fail", "thanks")
GONE = ("session_not_found", "session_state")
"""The errors of a request that raced with the end of its session."""


class Tally(Counter[str]):
    """How often what was done."""

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in sorted(self.items()))


class Life:
    """One session after another, until the time is up; some go on with one that ended.

    Args:
        host: The one that all lives share.
        rng: Decides what happens.
        tally: Counts it.
        provider: The settings of the provider that is restarted.
        ended: The sessions that may be resumed, shared by all lives.
        first: What the host says first: with one for each life, each of them is said in every round.
    """

    def __init__(
        self,
        host: Host,
        rng: random.Random,
        tally: Tally,
        provider: Json,
        ended: list[str],
        first: str,
    ) -> None:
        self._host = host
        self._rng = rng
        self._tally = tally
        self._provider = provider
        self._ended = ended
        self._first = [first]
        self._speech = utterance("weather") + silence(800)

    def answer_call(self, call: Json) -> Json | None:
        """What the host answers to a call: a decision; a result, an error, or nothing in time."""
        if call["method"] == "tool.approve":
            self._tally["approvals"] += 1
            return {"result": {"decision": self._rng.choice(("approve", "reject"))}}
        self._tally["tool calls"] += 1
        return self._rng.choice(
            [
                {"result": {"output": {"sky": "clear"}}},
                {"error": {"code": 1, "message": "No weather today."}},
                None,
            ]
        )

    async def live(self, until: float) -> None:
        """Start, act, end; over and over."""
        while time.monotonic() < until:
            talk, started = self._begin()
            reply = await self._host.reply(started)
            if "error" in reply:
                assert reply["error"]["data"]["kind"] == "provider_unreachable", reply
                self._tally["refused starts"] += 1
                continue
            self._tally["resumed" if reply["result"]["resumed"] else "sessions"] += 1
            await self._talk(talk, until)
            self._ended.append(talk.id)
            self._tally["reconnects"] += len(talk.of("state", state="reconnecting", attempt=1))

    def _begin(self) -> tuple[Talk, str]:
        members: Json = {"agent": AGENT, "record": self._rng.choice(("both", "none"))}
        if self._rng.random() < 0.3:
            members["settings"] = self._provider
        else:
            members["script"] = {**SCRIPT, "faults": self._rng.choice(FAULTS)}
        if self._ended and self._rng.random() < 0.4:
            session_id = self._ended.pop(self._rng.randrange(len(self._ended)))
            return self._host.begin(session_id, resume=True, **members)
        return self._host.begin(**members)

    async def _talk(self, talk: Talk, until: float) -> None:
        if self._first:
            talk.tell("sendText", text=self._first.pop())
            talk.tell("wait", timeoutMs=5000)
        for _ in range(self._rng.randint(1, 6)):
            if not await self._act(talk) or time.monotonic() > until:
                break
        stopped = await self._host.reply(talk.tell("stop", force=self._rng.random() < 0.3))
        if "result" in stopped:
            self._tally[f"ended: {stopped['result']['reason']}"] += 1

    async def _act(self, talk: Talk) -> bool:
        """Do one thing; False when the session is over."""
        match self._rng.choice(("text", "speak", "speak", "interrupt", "update", "wait", "playback")):
            case "text":
                ids = [talk.tell("sendText", text=self._rng.choice(TEXTS))]
            case "speak":
                ids = self._speak(talk)
            case "interrupt":
                self._tally["interrupts"] += 1
                ids = [talk.tell("interrupt")]
            case "update":
                ids = [talk.tell("update", variables={"n": self._rng.random()})]
            case "playback":
                played = talk.of("audio")[-1:]
                ids = [
                    talk.tell("playback", itemId=p["itemId"], contentIndex=0, playedMs=p["offsetMs"])
                    for p in played
                ]
            case _:
                ids = [talk.tell("wait", timeoutMs=self._rng.choice((200, 5000)))]
        for request_id in ids:
            reply = await self._host.reply(request_id)
            kind = reply["error"]["data"]["kind"] if "error" in reply else ""
            assert kind in ("", "timed_out", *GONE), reply
            if kind in GONE:
                return False
        return True

    def _speak(self, talk: Talk) -> list[str]:
        self._tally["turns of speech"] += 1
        size = 100 * PCM_BYTES_PER_MS
        chunks = [self._speech[at : at + size] for at in range(0, len(self._speech), size)]
        ids = [talk.tell("sendAudio", audio=b64(chunk)) for chunk in chunks]
        return ids + ([talk.tell("sendAudio", audio="", commit=True)] if self._rng.random() < 0.5 else [])
