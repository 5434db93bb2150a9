"""Keeps secrets out of messages of the wire that are written down: what a host gives goes no further."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from omnirt.providers.redaction import (
    MASK,
    MAX_DEPTH,
    forms,
    header_secrets,
    is_secret_name,
    is_sure,
    mask,
    url_secrets,
    without,
)
from omnirt.providers.settings import HEADER_KEYS

_TABLES: Final = frozenset({*HEADER_KEYS, "env"})
"""Members whose values are all hidden: headers, and the variables of a server's process."""
_URLS: Final = ("url", "endpoint", "proxy")
_CONFIGURING: Final = frozenset({"session.start", "session.update", "agent.validate"})
_TALKING: Final = re.compile(r"(?:session|history|audio|tool|realtime)\.|\$/")
_MAX_KNOWN: Final = 1024


class MessageMask:
    """Masks messages in the order of the wire; what one gives as a secret is hidden in all after it.

    Args:
        secrets: Known beforehand.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: dict[str, None] = dict.fromkeys(forms(filter(is_sure, secrets)))

    def host(self, message: Any) -> Any:
        """A message of the host's: by what its members are called, too."""
        elements = message if isinstance(message, list) else [message]
        hidden = [self._configured(element) if _configures(element) else element for element in elements]
        return self.daemon(hidden if isinstance(message, list) else hidden[0])

    def daemon(self, message: Any) -> Any:
        """A message in which nothing is a secret by its name."""
        return without(message, tuple(self._known))

    def raw(self, data: bytes) -> bytes:
        """What was to be a message and is none."""
        text = mask(data.decode("utf-8", "surrogateescape"), self._known)
        return text.encode("utf-8", "surrogateescape")

    def _configured(self, message: dict[str, Any]) -> dict[str, Any]:
        found: list[str] = []
        hidden = _hide(message.get("params"), "", found, MAX_DEPTH)
        for form in forms(filter(is_sure, found)):
            self._known[form] = None
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return {**message, "params": hidden} if "params" in message else message


def _configures(message: object) -> bool:
    """Whether a message may hold settings or agents: also one whose method is misspelt."""
    if not isinstance(message, dict) or "method" not in message:
        return False
    method = message["method"]
    if not isinstance(method, str) or method in _CONFIGURING or not _TALKING.match(method):
        return True
    params = message.get("params")
    return isinstance(params, dict) and not params.keys().isdisjoint(("settings", "agent", "realtime"))


def _hide(value: Any, name: str, found: list[str], depth: int, *, secret: bool = False) -> Any:
    """A value with its secrets masked, which are added to `found`."""
    secret = secret or (is_secret_name(name) and name != "key")
    match value:
        case str() if secret or name in _TABLES:
            found.extend(header_secrets(value))
            return MASK if value else value
        case str():
            return _text(value, name, found)
        case dict() if depth:
            hides = name.lower() in _TABLES
            for member, text in value.items() if hides else ():
                if isinstance(text, str) and is_secret_name(str(member)):
                    found.extend(header_secrets(text))
            return {
                mask(str(member)): _hide(each, str(member), found, depth - 1, secret=secret or hides)
                for member, each in value.items()
            }
        case list() if depth:
            return [_hide(each, name, found, depth - 1, secret=secret) for each in value]
        case dict() | list():
            return None
    return value


def _text(value: str, name: str, found: list[str]) -> str:
    if name.lower().endswith(_URLS) or "://" in value[:200]:
        secrets = url_secrets(value)
        found.extend(secrets)
        for form in forms(secrets):
            value = value.replace(form, MASK)
    return mask(value)
