"""Every secret that settings, configuration file and environment hold, whether it is used or not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import structs

from omnirt.errors import OmnirtError
from omnirt.providers.redaction import environment_secrets, is_secret_name, url_secrets
from omnirt.providers.settings import HEADER_KEYS, KEY_NAMES, Found, Sources, header_table


def known_secrets(sources: Sources) -> tuple[str, ...]:
    """What must be seen nowhere: keys, tokens in headers, and what stands in URLs."""
    found: list[str] = [*environment_secrets(sources.env)]
    for layer in sources.layers:
        for name, value in structs.asdict(layer).items():
            found += _held(name, value)
    for name, text in sources.env.items():
        if name.lower() in HEADER_KEYS:
            found += _in_headers(name, text)
        elif "://" in text and name.upper().endswith(("_URL", "_ENDPOINT", "_PROXY")):
            found += url_secrets(text)
    return tuple(dict.fromkeys(secret for secret in found if secret))


def _held(name: str, value: Any) -> Iterator[str]:
    """The secrets of one setting."""
    match value:
        case str() if name in KEY_NAMES:
            yield value
        case str():
            yield from url_secrets(value)
        case dict():
            for header, text in value.items():
                if is_secret_name(header) and isinstance(text, str):
                    yield from (text, text.partition(" ")[2])


def _in_headers(name: str, text: str) -> Iterator[str]:
    """The same of a variable with headers."""
    try:
        table = header_table(Found(name, text, 2, name))
    except OmnirtError:
        return
    yield from _held(name, table)
