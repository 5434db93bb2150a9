"""Whether what a host sends is what it sent on the tape. Sans-IO."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from omnirt.protocol import jsonrpc
from omnirt.tapes.lines import DaemonLine, HostLine, Tape
from omnirt.tapes.patterns import Json, Names, TapeError, mismatch, resolve

_VARYING: dict[str, frozenset[str]] = {
    "initialize": frozenset({"processId", "clientInfo", "protocolVersion"}),
    "session.interrupt": frozenset({"playedMs"}),
}
"""Members that differ from one run of a host to the next."""

FREE = frozenset({"session.playback", "ping", "initialized"})
"""Methods that may come as often as the host likes: they depend on its clock."""


class Translation:
    """What the host calls things now, and what they were called on the tape.

    Attributes:
        sessions: Session ids of the tape, and what the host chose this time.
        requests: Ids of requests on the tape, as JSON, and those of the host that are not answered yet.
        names: What named wildcards stood for.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, str] = {}
        self.requests: dict[str, list[Json]] = {}
        self.names: Names = {}

    def to_host(self, message: Json) -> Json:
        """A message of the tape with the session ids of now."""
        if not self.sessions:
            return message
        if isinstance(message, list):
            return [self.to_host(element) for element in message]
        if isinstance(message, dict):
            return {name: self._member(name, member) for name, member in message.items()}
        return message

    def _member(self, name: str, member: Json) -> Json:
        if name == "sessionId" and isinstance(member, str):
            return self.sessions.get(member, member)
        return self.to_host(member)

    def answered(self, message: Json) -> Json:
        """A reply of the tape with the id that the host waits for."""
        if isinstance(message, list):
            return [self.answered(element) for element in message]
        if not isinstance(message, dict) or "method" in message:
            return message
        waiting = self.requests.get(json.dumps(message.get("id")), [])
        return {**message, "id": waiting.pop(0)} if waiting else message

    def asked(self, on_tape: Json, now: Json) -> None:
        """A message of the tape was matched: from now on its ids are those of `now`."""
        if isinstance(on_tape, list) and isinstance(now, list):
            for one, other in zip(on_tape, now, strict=True):
                self.asked(one, other)
        elif isinstance(on_tape, dict) and isinstance(now, dict) and "id" in on_tape and "method" in on_tape:
            self.requests.setdefault(json.dumps(on_tape["id"]), []).append(now["id"])


def method_of(message: Json) -> str:
    """Its method; nothing if it has none."""
    method = message.get("method") if isinstance(message, dict) else None
    return method if isinstance(method, str) else ""


def refusal(message: Json) -> str:
    """Why the daemon would refuse a request whatever it asks for; nothing if it would not."""
    if not isinstance(message, dict) or "method" not in message:
        return ""
    head = {name: message[name] for name in ("jsonrpc", "id", "method") if name in message}
    parsed = jsonrpc.parse(json.dumps(head).encode())
    return parsed.error.message if isinstance(parsed, jsonrpc.Invalid) else ""


def is_sound(audio: Json, sample_bytes: int) -> bool:
    """Whether it can be microphone audio: base64 of whole samples."""
    try:
        return audio == "<base64>" or (
            isinstance(audio, str) and len(base64.b64decode(audio, validate=True)) % sample_bytes == 0
        )
    except ValueError:
        return False


def sample_bytes(tape: Tape) -> int:
    """How long a sample of the host's is: a daemon says so as a session starts."""
    said = [str(line.patterns) for line in tape.lines if isinstance(line, DaemonLine)]
    return 1 if any("g711_" in text for text in said) else 2


def params_of(message: Json) -> dict[str, Json]:
    """Its params, where they are an object."""
    params = message.get("params") if isinstance(message, dict) else None
    return params if isinstance(params, dict) else {}


def is_chunk(message: Json) -> bool:
    """Whether it is microphone audio that ends no turn."""
    return method_of(message) == "session.sendAudio" and params_of(message).get("commit") is not True


def stream_of(line: HostLine) -> str:
    """The messages of a stream keep their order; what is in different streams may come in any.

    What is sent to a session is a stream, each answer to a call is one, each cancellation, and all else.
    """
    message = line.message
    if line.ends:
        return "end"
    if isinstance(message, dict):
        session = params_of(message).get("sessionId")
        if "method" not in message:
            return f"answer {json.dumps(message.get('id'))}"
        if method_of(message).startswith("$/"):
            return f"{method_of(message)} {json.dumps(params_of(message))}"
        if isinstance(session, str):
            return f"session {session}"
    return "all else"


class Matcher:
    """Compares messages.

    Args:
        folder: Where the tape lies.
        ignore_audio: Whether audio of the host fits any other.
        sample_bytes: Of that audio.
        translation: Is added to as messages are matched.
    """

    def __init__(
        self, folder: Path, translation: Translation, *, ignore_audio: bool, sample_bytes: int
    ) -> None:
        self._sample_bytes = sample_bytes
        self._folder = folder
        self._ignore_audio = ignore_audio
        self._translation = translation

    def take(self, line: HostLine, message: Json) -> str | None:
        """Takes a message for a line; else says what is different.

        Raises:
            TapeError: The line can't be used.
        """
        try:
            wanted = resolve(line.message, self._folder)
        except (OSError, ValueError) as error:
            raise TapeError(f"line {line.number}: {error}") from None
        names, sessions = dict(self._translation.names), dict(self._translation.sessions)
        problem = self._compare(wanted, message, names, sessions)
        if problem is None:
            self._translation.names, self._translation.sessions = names, sessions
            self._translation.asked(wanted, message)
        return problem

    def fits(self, pattern: Json, message: Json) -> bool:
        """Whether a message fits a pattern; nothing is learnt of it."""
        return mismatch(resolve(pattern, self._folder), message, dict(self._translation.names)) is None

    def _compare(self, wanted: Json, got: Json, names: Names, sessions: dict[str, str]) -> str | None:
        if isinstance(wanted, list) and isinstance(got, list):
            if len(wanted) != len(got):
                return f"$: expected a batch of {len(wanted)}, got one of {len(got)}"
            pairs = zip(wanted, got, strict=True)
            return next((p for w, g in pairs if (p := self._compare(w, g, names, sessions))), None)
        if not isinstance(wanted, dict) or not isinstance(got, dict):
            return mismatch(wanted, got, names)
        if "method" not in wanted or "method" not in got:
            return mismatch(_answer(wanted), _answer(got), names)
        if (refused := refusal(got)) != refusal(wanted):
            return f"$: a daemon {f'would refuse this: {refused}' if refused else 'would not refuse this'}"
        if (problem := mismatch(wanted["method"], got["method"], names, "$.method")) is not None:
            return problem
        if ("id" in wanted) != ("id" in got):
            return f"$.id: expected {'a request' if 'id' in wanted else 'a notification'}, got the other"
        return self._params(method_of(got), wanted, got, names, sessions)

    def _params(
        self,
        method: str,
        wanted: dict[str, Json],
        got: dict[str, Json],
        names: Names,
        sessions: dict[str, str],
    ) -> str | None:
        if self._ignore_audio and method == "session.sendAudio":
            good = is_sound(params_of(got).get("audio"), self._sample_bytes)
            if good != is_sound(params_of(wanted).get("audio"), self._sample_bytes):
                return f"$.params.audio: {'is' if good else 'is not'} base64 of whole samples"
        before, now = self._plain(method, wanted), self._plain(method, got)
        if not isinstance(before, dict) or not isinstance(now, dict):
            return mismatch(before, now, names, "$.params")
        if method == "$/cancelRequest":
            # Whether the request is answered by then is a matter of chance.
            waiting = self._translation.requests.get(json.dumps(before.get("id")), [])
            before = {**before, "id": waiting[0] if waiting else now.get("id")}
        session, chosen = before.get("sessionId"), now.get("sessionId")
        if method == "session.start" and chosen is None:  # the daemon chooses: the one of the tape
            before = {name: value for name, value in before.items() if name != "sessionId"}
        if isinstance(session, str) and isinstance(chosen, str):
            if method == "session.start" and session not in sessions and chosen not in sessions.values():
                sessions[session] = chosen
            before = {**before, "sessionId": sessions.get(session, session)}
        return mismatch(before, now, names, "$.params")

    def _plain(self, method: str, message: dict[str, Json]) -> Json:
        """Params without what says nothing, and without what differs every time."""
        params = message.get("params")
        if params is None or params == []:
            return {}
        if not isinstance(params, dict):
            return params
        left_out = {"_meta", *_VARYING.get(method, ())}
        if self._ignore_audio and method == "session.sendAudio":
            left_out.add("audio")
        return {name: value for name, value in params.items() if value is not None and name not in left_out}


def _answer(message: dict[str, Json]) -> Json:
    """An answer to a call without its words: those of an error are for people."""
    error = message.get("error")
    if isinstance(error, dict):
        return {"id": message.get("id"), "error": error.get("code")}
    return {name: value for name, value in message.items() if name != "jsonrpc"}
