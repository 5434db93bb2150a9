"""Every secret that settings, configuration file and environment hold, whether it is used or not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import structs

from omnirt.errors import OmnirtError
from omnirt.providers.redaction import (
    environment_secrets,
    header_secrets,
    is_secret_name,
    url_secrets,
)
from omnirt.providers.settings import (
    HEADER_KEYS,
    KEY_NAMES,
    ConnectionSettings,
    Found,
    Sources,
    header_table,
)

_URL_NAMES: Final = ("_url", "_endpoint", "_proxy")
_URLS: Final = frozenset(name for name in ConnectionSettings.__struct_fields__ if name.endswith(_URL_NAMES))


def known_secrets(sources: Sources) -> tuple[str, ...]:
    """What must be seen nowhere: keys, tokens in headers, and what stands in URLs."""
    found: list[str] = [*environment_secrets(sources.env)]
    for layer in sources.layers:
        for name, value in structs.asdict(layer).items():
            found += _held(name, value)
    for name, text in sources.env.items():
        if name.lower() in HEADER_KEYS:
            found += _in_headers(name, text)
        elif name.lower() in _URLS or ("://" in text and name.lower().endswith(_URL_NAMES)):
            found += url_secrets(text)
    return tuple(dict.fromkeys(secret for secret in found if secret))


def _held(name: str, value: Any) -> Iterator[str]:
    """The secrets of one setting."""
    match value:
        case str() if name in KEY_NAMES:
            yield value
        case str() if name in _URLS:
            yield from url_secrets(value)
        case dict():
            for header, text in value.items():
                if is_secret_name(header) and isinstance(text, str):
                    yield from header_secrets(text)


def _in_headers(name: str, text: str) -> Iterator[str]:
    """The same of a variable with headers."""
    try:
        table = header_table(Found(name, text, 2, name))
    except OmnirtError:
        return
    yield from _held(name, table)
