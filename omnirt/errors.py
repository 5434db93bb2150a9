"""The one exception class that reaches the wire, and the table of its kinds (PROTOCOL section 6)."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple


class KindInfo(NamedTuple):
    """What a kind of error means on the wire: its JSON-RPC code, and whether trying again may help."""

    code: int
    retryable: bool
    doc: str


KINDS: dict[str, KindInfo] = {
    "parse_error": KindInfo(-32700, False, "The bytes are no JSON message"),
    "invalid_request": KindInfo(-32600, False, "The JSON is no JSON-RPC 2.0 request"),
    "message_too_large": KindInfo(-32600, False, "The message is longer than limits.maxMessageBytes"),
    "method_not_found": KindInfo(-32601, False, "There is no such method"),
    "invalid_params": KindInfo(-32602, False, "The params do not fit; data.path says where"),
    "internal": KindInfo(-32603, False, "A fault of the daemon; data.logId is found on stderr"),
    "cancelled": KindInfo(-32800, False, "The request was cancelled"),
    "shutting_down": KindInfo(-32000, False, "The daemon is ending"),
    "overloaded": KindInfo(
        -32001,
        True,
        "A bounded queue is full, or no file descriptor is left; nothing of this request was taken",
    ),
    "session_not_found": KindInfo(-32010, False, "No live session has this id"),
    "session_exists": KindInfo(-32011, False, "A live session has this id already"),
    "session_state": KindInfo(-32012, False, "The session is closing, or the method does not fit its state"),
    "session_limit": KindInfo(-32013, False, "A limit of sessions, time or tokens is reached"),
    "agent_not_found": KindInfo(-32020, False, "No agent has this name"),
    "agent_invalid": KindInfo(-32021, False, "The agent spec is wrong; data.path says where"),
    "endpoint_unresolved": KindInfo(-32030, False, "No endpoint: a key or a URL is missing"),
    "auth_failed": KindInfo(-32031, False, "The provider refused the key"),
    "provider_unreachable": KindInfo(-32032, True, "The provider cannot be reached"),
    "provider_error": KindInfo(-32033, False, "The provider answered with an error"),
    "mcp_server_failed": KindInfo(-32034, False, "A required MCP server failed"),
    "storage_failed": KindInfo(-32040, False, "Something could not be stored or read"),
    "not_found": KindInfo(-32041, False, "Nothing is stored under this id"),
    "audio_invalid": KindInfo(-32042, False, "The audio does not fit the session's format"),
    "device_failed": KindInfo(-32043, False, "A microphone or loudspeaker can't be used, or is gone"),
    "timed_out": KindInfo(-32050, True, "The time limit ran out"),
}


class OmnirtError(Exception):
    """An error as a host sees it: `{code, message, data: {kind, retryable, …facts}}`.

    Args:
        kind: A key of `KINDS`; decides the code.
        message: For people: what happened and what to do. Never a secret, a repr or a traceback.
        retryable: Overrides the kind's own answer.
        facts: Further members of `data`, in the wire's spelling (`path`, `file`, `logId`, …).
    """

    def __init__(self, kind: str, message: str, *, retryable: bool | None = None, **facts: object) -> None:
        super().__init__(message)
        info = KINDS[kind]
        self.kind = kind
        self.code = info.code
        self.message = message
        self.retryable = info.retryable if retryable is None else retryable
        self.facts = facts

    @property
    def data(self) -> dict[str, object]:
        """The `error.data` member: `{kind, retryable, …facts}`."""
        return {"kind": self.kind, "retryable": self.retryable, **self.facts}


NO_FILES = "no file descriptor is left; end sessions or other work, or raise the limit (`ulimit -n`)"
"""What is the matter when `out_of_files` says so."""


def out_of_files(error: BaseException) -> bool:
    """Whether something failed because this process, or the machine, can open no more files and sockets.

    SQLite and the resolver of names don't pass that on, so it is tried out as well.
    """
    cause: BaseException | None = error
    for _ in range(20):  # what somebody's tool raises may lead in a circle
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return True
        cause = cause and (cause.__cause__ or cause.__context__)
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return True
    return False
