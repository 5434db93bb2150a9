"""Keeps secrets out of texts, URLs and log records."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit, urlunsplit

MASK: Final = "***"
MIN_SECRET: Final = 4
"""Shorter "secrets" would mask half of every text."""
MAX_DEPTH: Final = 64
"""Nobody nests a JSON value deeper that means something by it."""
MIN_SURE: Final = 12
"""Where every text is searched: a server at home may have the key `audio`, which stands in most events."""
MIN_ODD: Final = 6
"""The same for what is neither a word nor a number."""

_SECRET_WORDS: Final = (
    "authorization", "apikey", "accesskey", "secret", "cookie", "password", "passwd", "credential",
    "signature", "subscriptionkey", "privatekey",
)  # fmt: skip
_FOLDERS: Final = ("PWD", "OLDPWD")
"""Variables of every shell: its working directory, and the one before."""
_SECRET_NAMES: Final = frozenset({"key", "sig", "auth", "pwd", "pass", "code"})
# What a secret looks like when nobody told us of it: provider keys, tokens after a scheme, JWTs.
KEY_SHAPES: Final = (
    re.compile(r"\b(?:sk|ek)[-_][A-Za-z0-9_\-*.]{6,}"),
    re.compile(r"\beyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)?"),
)
_PATTERNS: Final = (
    *KEY_SHAPES,
    re.compile(r"(?i)(?<=\bbearer )[^\s'\",;]+"),
    re.compile(r"(?i)(?<=\bbasic )[A-Za-z0-9+/=]{6,}"),
)
_NAMED = re.compile(
    # From the beginning of a word, and bounded: what comes may be one word of a megabyte.
    r"(?i)(?<![\w-])"
    r"(?P<name>[\w-]{0,64}?(?:authorization|api[-_]?key|secret|token(?!s)|cookie|password|subscription-key)[\w-]{0,64})"
    r"(?P<gap>[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic) )?)(?P<value>[^\s\"',;&}]+)"
)
_PLAIN: Final = re.compile(r"[^\W\d_]+(?:[ ._-][^\W\d_]+)*|\d+")
_URL = re.compile(r"(?i)\b(?:wss?|https?)://[^\s'\"<>]+")


def is_secret_name(name: str) -> bool:
    """Whether a header, query member or setting of this name holds a secret. Case and dashes don't matter."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    # `token` holds one, `max_output_tokens` a number.
    counted = plain.replace("tokens", "")
    return plain in _SECRET_NAMES or "token" in counted or any(word in plain for word in _SECRET_WORDS)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets, and without what looks like one.

    Args:
        text: Anything that may reach a log or an error.
        secrets: Known secrets; their URL-quoted forms are found too.
    """
    for secret in forms(secret for secret in secrets if len(secret) >= MIN_SECRET):
        text = text.replace(secret, MASK)
    return mask_words(_URL.sub(lambda found: mask_url(found[0]), text))


def mask_words(text: str) -> str:
    """`text` without what looks like a secret, but for what is in URLs."""
    text = _NAMED.sub(lambda found: f"{found['name']}{found['gap']}{MASK}", text)
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return text


def forms(secrets: Iterable[str]) -> list[str]:
    """Secrets as they stand, and as they stand in a URL. The longest first: one may be a piece of another."""
    known = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    return sorted(known, key=len, reverse=True)


def is_sure(secret: str) -> bool:
    """Whether a secret stands in a text for itself alone: a short one may be a word or a number there."""
    return len(secret) >= MIN_SURE or (len(secret) >= MIN_ODD and not _PLAIN.fullmatch(secret))


class Hiding:
    """Masks the secrets of an endpoint in the provider's events; short words and numbers are let stand.

    Args:
        secrets: What they are at the moment.
    """

    def __init__(self, secrets: Callable[[], tuple[str, ...]]) -> None:
        self._secrets = secrets
        self._known: tuple[str, ...] = ()
        self._forms: list[str] = []

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event without them."""
        known = self._secrets()
        if known is not self._known:  # they seldom change, and events are many
            self._known, self._forms = known, forms(filter(is_sure, known))
        hidden = without(dict(event), self._forms)
        return hidden if isinstance(hidden, dict) else {}


def without(value: object, secrets: Sequence[str], depth: int = MAX_DEPTH) -> object:
    """A JSON value with secrets masked wherever they stand; what is nested too deep is left out."""
    match value:
        case str():
            for secret in secrets:
                if secret in value:
                    value = value.replace(secret, MASK)
            return value
        case dict() if depth:
            return {
                without(name, secrets): without(member, secrets, depth - 1) for name, member in value.items()
            }
        case list() if depth:
            return [without(member, secrets, depth - 1) for member in value]
        case dict() | list():
            return None
    return value


def environment_secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """The values of all variables whose name says that they are secret; short ones are switches."""
    return tuple(
        value
        for name, value in env.items()
        if len(value) >= MIN_SURE and is_secret_name(name) and name not in _FOLDERS
    )


def mask_url(url: str) -> str:
    """`url` without userinfo and without the values of query members that hold secrets."""
    try:
        parts = urlsplit(url)
        host, _ = parts.netloc.rpartition("@")[2], parts.port  # a wrong port may be a piece of a password
        members = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return MASK
    query = "&".join(
        f"{quote(name)}={MASK}" if is_secret_name(name) else urlencode({name: value})
        for name, value in members
    )
    netloc = f"{MASK}@{host}" if "@" in parts.netloc else host
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` with the values of secret ones masked."""
    return {name: MASK if is_secret_name(name) else mask(value) for name, value in headers.items()}


def url_secrets(url: str) -> tuple[str, ...]:
    """The secrets in a URL, as they stand and unquoted: its userinfo, the values of secret query members."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError:
        return ()
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    found = [password]
    if not password or len(user) >= MIN_SURE:
        # Without a password the name is the secret, as with tokens in place of a name; a long one may be too.
        found.insert(0, user)
    members = (member.partition("=") for member in parts.query.split("&"))
    found += [value for name, _, value in members if is_secret_name(unquote_plus(name))]
    every = (form for raw in found for form in (unquote(raw), unquote_plus(raw), raw))
    return tuple(dict.fromkeys(filter(None, every)))


def header_secrets(value: str) -> Iterator[str]:
    """The secrets in the value of a header that holds one: all of it, what follows a scheme, each cookie."""
    yield value
    yield value.partition(" ")[2]
    for part in re.split(r"[;,]", value):
        piece = part.partition("=")[2].strip(' "')
        if is_sure(piece):  # a theme is no secret
            yield piece


class SecretFilter(logging.Filter):
    """Masks what a record says, its traceback included. Belongs on handlers: loggers don't hand filters down.

    Args:
        secrets: Known from the start; more come by `add` as sessions resolve their endpoints.
    """

    MAX_SECRETS: Final = 1024

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets: dict[str, None] = {}
        self.add(*secrets)

    def __repr__(self) -> str:
        return f"SecretFilter({len(self._secrets)} secrets)"

    def add(self, *secrets: str) -> None:
        """Learns secrets; of very many the oldest is forgotten, as the patterns still find most."""
        for secret in secrets:
            if len(secret) >= MIN_SECRET:
                self._secrets.pop(secret, None)
                self._secrets[secret] = None
        while len(self._secrets) > self.MAX_SECRETS:
            del self._secrets[next(iter(self._secrets))]

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record in place and lets it pass."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a record whose arguments don't fit must still not leak them
            message = f"{record.msg} (its arguments don't fit)"
        record.msg = mask(message, self._secrets)
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        # Only the text goes on: a formatter that renders `exc_info` itself would bring the secrets back.
        record.exc_info = None
        if record.exc_text:
            record.exc_text = mask(record.exc_text, self._secrets)
        if record.stack_info:
            record.stack_info = mask(record.stack_info, self._secrets)
        return True
