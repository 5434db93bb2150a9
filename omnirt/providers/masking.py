"""Keeps secrets out of messages of the wire that are written down: what a host gives goes no further."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

from omnirt.providers.redaction import (
    KEY_SHAPES,
    MASK,
    MAX_DEPTH,
    forms,
    header_secrets,
    is_secret_name,
    is_sure,
    mask,
    mask_words,
    url_secrets,
    without,
)

_HEADERS: Final = ("headers", "header", "extraheaders", "openaiheaders", "openaiextraheaders")
_URLS: Final = ("url", "endpoint", "proxy")
_OBJECTS: Final = ("settings", "realtime", "params", "mcp_servers")
"""Members that are no text: one that is a text all the same may be JSON with anything in it."""
_FLAGS: Final = frozenset({"-H", "-e", "-u", "--header", "--headers", "--env", "--user"})
"""What follows one of these on a command line may be a secret, whatever its name."""
_FLAG: Final = re.compile(r"(?P<flag>--?[\w-]{1,64})=(?P<value>.+)", re.DOTALL)
_URL: Final = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{0,20}://[^\s'\"<>]+")
_CONFIGURING: Final = frozenset({"session.start", "session.update", "agent.validate"})
_TALKING: Final = re.compile(r"(?:session|history|audio|tool|realtime)\.|\$/")
_REQUEST: Final = frozenset({"jsonrpc", "id", "method", "params"})
_ANSWER: Final = frozenset({"jsonrpc", "id", "result", "error"})
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
        hidden = [element if _talks(element) else self._configured(element) for element in elements]
        return self.daemon(hidden if isinstance(message, list) else hidden[0])

    def daemon(self, message: Any) -> Any:
        """A message in which nothing is a secret by its name."""
        return _said(without(message, tuple(self._known)))

    def _configured(self, message: Any) -> Any:
        found: list[str] = []
        hidden = _hide(message, "", found, MAX_DEPTH)
        for form in forms(filter(is_sure, found)):
            self._known[form] = None
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return hidden


def _talks(message: object) -> bool:
    """Whether a message can't hold settings or agents. One that is not as the protocol says may."""
    if not isinstance(message, dict):
        return False
    if "method" not in message:
        return message.keys() <= _ANSWER and "id" in message
    method, params = message["method"], message.get("params")
    if not isinstance(method, str) or method in _CONFIGURING or not _TALKING.match(method):
        return False
    plain = isinstance(params, dict) and params.keys().isdisjoint(("settings", "agent", "realtime"))
    return message.keys() <= _REQUEST and (params is None or plain)


def _hides_all(name: str) -> bool:
    """Whether all values of a member are hidden: headers, and the variables of a process; also misspelt."""
    plain = re.sub(r"[^a-z]", "", name.lower())
    return plain.startswith("env") or plain == "evn" or bool(get_close_matches(plain, _HEADERS, 1, 0.85))


def _hide(value: Any, name: str, found: list[str], depth: int, *, secret: bool = False) -> Any:
    """A value with its secrets masked, which are added to `found`."""
    secret = secret or (is_secret_name(name) and name != "key")
    match value:
        case bool() | None:
            return value
        case str() | int() | float() if secret or _hides_all(name):
            found.extend(header_secrets(str(value)))
            return MASK if value != "" else value
        case str() if name in _OBJECTS or (name == "agent" and value.lstrip()[:1] in ("{", "[")):
            return MASK
        case str():
            return _text(value, name, found)
        case dict() if depth:
            hides = _hides_all(name)
            for member, text in value.items() if hides else ():
                if isinstance(text, str) and is_secret_name(str(member)):
                    found.extend(header_secrets(text))
            return {
                mask(str(member)): _hide(each, str(member), found, depth - 1, secret=secret or hides)
                for member, each in value.items()
            }
        case list() if depth:
            return [
                MASK
                if _follows_flag(flag, each, found)
                else _hide(each, name, found, depth - 1, secret=secret)
                for flag, each in zip(["", *value], value, strict=False)
            ]
        case dict() | list():
            return None
    return value


def _follows_flag(flag: Any, value: Any, found: list[str]) -> bool:
    """Whether an argument of a command is the value of a flag that has a secret; it is added to `found`."""
    if not isinstance(flag, str) or not isinstance(value, str) or not _is_secret_flag(flag):
        return False
    _given(value, found)
    return True


def _is_secret_flag(flag: str) -> bool:
    return flag in _FLAGS or (flag.startswith("-") and "=" not in flag and is_secret_name(flag))


def _given(value: str, found: list[str]) -> None:
    """What `TOKEN`, `Name: TOKEN`, `NAME=TOKEN` or `user:TOKEN` gives away."""
    for piece in (value, value.partition(":")[2].strip(), value.partition("=")[2]):
        found.extend(header_secrets(piece))


def _text(value: str, name: str, found: list[str]) -> str:
    if (flag := _FLAG.fullmatch(value)) and _is_secret_flag(flag["flag"]):
        _given(flag["value"], found)
        return f"{flag['flag']}={MASK}"
    if name.lower().endswith(_URLS) and "://" not in value:
        value = _url(value, found)
    return mask_words(_URL.sub(lambda match: _url(match[0], found), value))


def _said(value: Any) -> Any:
    """A value without what looks like a key, and without the secrets in URLs; all else stays as it is."""
    match value:
        case str():
            if "://" in value:
                value = _URL.sub(lambda match: _url(match[0], []), value)
            for shape in KEY_SHAPES:
                value = shape.sub(MASK, value)
        case dict():
            return {_said(name): _said(member) for name, member in value.items()}
        case list():
            return [_said(element) for element in value]
    return value


def _url(url: str, found: list[str]) -> str:
    """A URL without its secrets, which are added to `found`; the rest of it stays to the letter."""
    secrets = url_secrets(url)
    found.extend(secrets)
    for form in forms(secrets):
        url = url.replace(form, MASK)
    return url
