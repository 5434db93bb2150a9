"""What holds for every transcript, whatever it is about: the rules of PROTOCOL sections 3 and 4.

`check` reads all that a daemon wrote, in order, and fails at the first message that breaks one.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from omnirt.protocol.events import EVENTS

Message = dict[str, Any]

_PAIRS = {
    "realtime.responseStart": ("realtime.responseEnd", "responseId"),
    "realtime.toolStart": ("realtime.toolEnd", "toolCallId"),
    "realtime.agentStart": ("realtime.agentEnd", "agent"),
    "realtime.inputSpeechStart": ("realtime.inputSpeechEnd", ""),
}
_ENDS = {end: (start, name) for start, (end, name) in _PAIRS.items()}
_SERIES = {
    "realtime.transcriptDelta": "realtime.transcriptDone",
    "realtime.textDelta": "realtime.textDone",
}
_SAMPLE_BYTES = {"pcm16": 2, "g711_ulaw": 1, "g711_alaw": 1}


def check(
    messages: Sequence[Any],
    sent: Mapping[object, Message] | None = None,
    *,
    opted_out: Collection[str] = (),
    ended: bool = True,
) -> None:
    """Fails when a rule is broken.

    Args:
        messages: What the daemon wrote, in order.
        sent: The host's requests by id; each is to be answered once.
        opted_out: Methods that were not to come.
        ended: Whether every run is to be over.
    """
    runs: dict[str, Run] = {}
    sent = sent or {}
    started: dict[str, Message] = {}
    answers: dict[object, int] = defaultdict(int)
    for message in _flat(messages):
        assert message.get("jsonrpc") == "2.0", message
        if "method" not in message:
            answers[message["id"]] += 1
            _check_reply(message, sent.get(message["id"]), runs, started)
        elif "id" not in message:
            _check_shape(message, opted_out)
            params = message["params"]
            if "runId" not in params:
                continue
            run_id = params["runId"]
            assert run_id in started, f"an event before the reply to its start: {shown(message)}"
            rate = started[run_id]["outputAudio"]["sampleRate"]
            run = runs.setdefault(run_id, Run(params["sessionId"], opted_out, rate))
            run.take(message["method"], params)
    for request_id, request in sent.items():
        assert answers[request_id] == 1, f"{answers[request_id]} answers to {shown(request)}"
    if ended:
        for run in runs.values():
            run.end()


class Run:
    """The rules of one run."""

    def __init__(self, session_id: str, opted_out: Collection[str], rate: int) -> None:
        self._session_id = session_id
        self._opted_out = opted_out
        self._rate = rate
        self._seq = 0
        self._at_ms = 0
        self._state = ""
        self._attempt = 0
        self.closed = False
        """Whether `realtime.closed` came."""
        self._open: dict[tuple[str, str], int] = defaultdict(int)
        self._series: set[tuple[str, str, int]] = set()
        self._items: set[str] = set()
        self._parts: dict[tuple[str, int], _Part] = {}
        self.ended: dict[str, str] = {}
        """Status by response id."""

    def take(self, method: str, params: Message) -> None:
        """The next event."""
        where = f"{self._session_id} {method} seq {params['seq']}"
        assert not self.closed, f"{where}: after realtime.closed"
        assert params["sessionId"] == self._session_id, where
        self._seq += 1
        assert params["seq"] == self._seq, f"{where}: expected {self._seq}"
        assert params["atMs"] >= self._at_ms, f"{where}: atMs {params['atMs']} after {self._at_ms}"
        self._at_ms = params["atMs"]
        if self._seq == 1 and "realtime.state" not in self._opted_out:
            assert params.get("state") == "connected", where
        if method == "realtime.state":
            again = params["state"] == "reconnecting" and params["attempt"] > self._attempt
            assert params["state"] != self._state or again, f"{where}: {self._state} again"
            self._state = params["state"]
            self._attempt = params.get("attempt", 0)
        self._pair(method, params, where)
        self._delta(method, params, where)
        self._item(method, params, where)
        self._audio(method, params, where)
        self.closed = method == "realtime.closed"

    def end(self) -> None:
        """The transcript is over."""
        assert self.closed, f"{self._session_id}: realtime.closed never came"
        still_open = [key for key, count in self._open.items() if count and not self._hidden(*key)]
        assert not still_open, f"{self._session_id}: {still_open} never ended"
        assert not self._series, f"{self._session_id}: {self._series} never done"
        if "realtime.audioEnd" not in self._opted_out:
            endless = [key for key, part in self._parts.items() if not part.ended]
            assert not endless, f"{self._session_id}: no audioEnd for {endless}"

    def _hidden(self, start: str, _: str) -> bool:
        return start in self._opted_out or _PAIRS[start][0] in self._opted_out

    def _pair(self, method: str, params: Message, where: str) -> None:
        if method in _PAIRS:
            key = (method, params[_PAIRS[method][1]] if _PAIRS[method][1] else "")
            assert not self._open[key], f"{where}: started twice"
            self._open[key] += 1
        elif method in _ENDS:
            start, name = _ENDS[method]
            key = (start, params[name] if name else "")
            assert self._open[key] or self._hidden(*key), f"{where}: ended without a start"
            self._open[key] = 0
        if method == "realtime.responseEnd":
            assert params["responseId"] not in self.ended, f"{where}: ended twice"
            self.ended[params["responseId"]] = params["status"]

    def _delta(self, method: str, params: Message, where: str) -> None:
        if method in _SERIES and _SERIES[method] not in self._opted_out:
            self._series.add((_SERIES[method], params["itemId"], params["contentIndex"]))
        elif method in _SERIES.values():
            self._series.discard((method, params["itemId"], params["contentIndex"]))

    def _item(self, method: str, params: Message, where: str) -> None:
        if method in ("realtime.itemAdded", "realtime.itemUpdated"):
            item = params["item"]
            new = item["itemId"] not in self._items
            assert new == (method == "realtime.itemAdded") or "realtime.itemAdded" in self._opted_out, where
            self._items.add(item["itemId"])
            assert all("audio" not in part for part in item.get("content", ())), f"{where}: audio in an item"
            assert item["atMs"] <= params["atMs"], where
        elif method == "realtime.itemRemoved":
            self._items.remove(params["itemId"])

    def _audio(self, method: str, params: Message, where: str) -> None:
        if method == "realtime.flow" and params["direction"] == "output":
            # It stands where the dropped audio would; a part may begin with it.
            part = next((p for k, p in self._parts.items() if k[0] == params["itemId"]), None)
            part = part or self._parts.setdefault((params["itemId"], 0), _Part())
            assert params["fromMs"] == part.sent_ms, f"{where}: a hole before the flow"
            part.sent_ms += params["droppedMs"]
        if method not in ("realtime.audio", "realtime.audioEnd", "realtime.audioInterrupted"):
            return
        key = (params["itemId"], params["contentIndex"])
        part = self._parts.setdefault(key, _Part())
        if method == "realtime.audio":
            assert not part.ended, f"{where}: audio after audioEnd"
            assert not part.cut, f"{where}: audio of a cut item"
            assert params["responseId"] not in self.ended, f"{where}: audio after responseEnd"
            assert params["offsetMs"] == part.sent_ms, f"{where}: {part.sent_ms} ms were before"
            part.sent_ms += params["deltaMs"]
            size = len(base64.b64decode(params["audio"], validate=True))
            length_ms = size * 1000 / self._rate / _SAMPLE_BYTES[params["audioFormat"]]
            assert abs(length_ms - params["deltaMs"]) < 1, f"{where}: {length_ms} ms in it"
        elif method == "realtime.audioInterrupted":
            assert not part.cut, f"{where}: cut twice"
            part.cut = True
            assert 0 <= params["heardMs"] <= params["generatedMs"], where
            assert params["heardMs"] <= part.sent_ms, f"{where}: heard before it was sent"
        else:
            assert not part.ended, f"{where}: audioEnd twice"
            part.ended = True
            assert params["totalMs"] >= part.sent_ms, where
            unheard = part.cut or "realtime.audio" in self._opted_out
            assert unheard or params["totalMs"] == part.sent_ms, where


class _Part:
    """What came of one audio part."""

    def __init__(self) -> None:
        self.sent_ms = 0
        self.cut = False
        self.ended = False


def _flat(messages: Sequence[Any]) -> Iterator[Message]:
    for message in messages:
        yield from message if isinstance(message, list) else [message]


def _check_reply(
    reply: Message,
    request: Message | None,
    runs: Mapping[str, Run],
    started: dict[str, Message],
) -> None:
    assert ("result" in reply) != ("error" in reply), reply
    if "error" in reply:
        data = reply["error"].get("data", {})
        assert isinstance(data.get("kind"), str), reply
        assert isinstance(data.get("retryable"), bool), reply
        return
    result = reply["result"]
    assert isinstance(result, dict), reply
    method = request["method"] if request else ""
    params = (request or {}).get("params") or {}
    if "features" in result and "runId" in result:
        started[result["runId"]] = result
    elif method == "session.wait":
        ended: dict[str, str] = {}
        for run in runs.values():
            ended |= run.ended
        for response in result["responses"] if ended else ():
            assert ended.get(response["responseId"]) == response["status"], f"{reply}: not ended yet"
    elif method == "session.stop":
        of_session = [run_id for run_id, r in started.items() if r["sessionId"] == params["sessionId"]]
        over = [run_id for run_id in of_session if run_id in runs and runs[run_id].closed]
        assert over == of_session, f"{reply}: before realtime.closed"


def _check_shape(message: Message, opted_out: Collection[str]) -> None:
    method, params = message["method"], message["params"]
    if method.startswith("$/"):
        return
    assert method not in opted_out, f"{method} was not to come"
    event = EVENTS[method]
    msgspec.convert(params, event)
    names = {field.encode_name for field in msgspec.structs.fields(event)}
    assert names >= params.keys(), f"{method}: {params.keys() - names} is in no table"


def shown(message: Message) -> str:
    """A message for the eyes: without its audio."""
    return str(message)[:300]
