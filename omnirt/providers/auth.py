"""The headers of a connection: those that were given, and the key when nothing else carries one."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from omnirt.providers.redaction import header_secrets, is_secret_name, mask, url_secrets
from omnirt.providers.settings import HEADER_KEYS, Found, Sources, flag, header_table
from omnirt.providers.urls import query_names, with_member, without_userinfo

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_KEY_HEADERS: Final = frozenset(
    {"authorization", "api-key", "x-api-key", "ocp-apim-subscription-key", "cf-aig-authorization"}
)
_KEY_MEMBERS: Final = frozenset(
    {"api-key", "api_key", "apikey", "key", "token", "access_token", "authorization", "subscription-key"}
)
# The handshake's own; a second one breaks it.
_RESERVED: Final = re.compile(
    r"(?i)(host|connection|upgrade|content-length|transfer-encoding|sec-websocket-.*)\Z"
)
KEY_MEMBER: Final = "api-key"
KEY_HEADER: Final = "api-key"


def collect_headers(sources: Sources) -> dict[str, str]:
    """The four header settings merged in order; a later one replaces, or by null removes, an earlier one's.

    Raises:
        OmnirtError: With the path of a name or value that can't be a header.
    """
    headers: dict[str, tuple[str, str]] = {}
    for setting in HEADER_KEYS:
        found = sources.find(setting)
        if found is None:
            continue
        for name, value in header_table(found).items():
            _check_name(found, name)
            headers.pop(name.lower(), None)
            if value is not None:
                headers[name.lower()] = (name, _header_text(found, name, value))
    return dict(headers.values())


class Placement(Struct, frozen=True):
    """How a key is sent: in the query, in an `api-key` header, else as a bearer token."""

    in_query: bool
    as_header: bool
    azure: bool


def placement(sources: Sources, *, azure: bool) -> Placement:
    """What the two flags say.

    Raises:
        OmnirtError: One of them is no boolean.
    """
    return Placement(
        in_query=flag(sources.find("openai_realtime_api_key_in_query")),
        as_header=flag(sources.find("openai_realtime_force_api_key_header")),
        azure=azure,
    )


def authorize(
    url: str, headers: Mapping[str, str], secret: str, place: Placement
) -> tuple[str, dict[str, str]]:
    """URL and headers with the key in them.

    The voice SDK adds no `Authorization` once it is given headers, so here it is added.
    """
    if place.in_query:
        url = with_member(url, KEY_MEMBER, secret)
    # Azure takes its keys in a header of their own; ephemeral ones are bearer tokens there too.
    if place.as_header or (place.azure and not place.in_query and not secret.startswith("ek_")):
        return url, {**headers, KEY_HEADER: secret}
    return url, dict(headers) if place.in_query else bearer(headers, secret)


def bearer(headers: Mapping[str, str], token: str) -> dict[str, str]:
    """Headers with a bearer token."""
    return {**headers, "Authorization": f"Bearer {token}"}


def userinfo_as_header(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """URL and headers with the URL's userinfo among the headers, unless these have an authorization.

    The WebSocket library would send it still quoted, beside another `Authorization`, and never a name alone.
    """
    url, userinfo = without_userinfo(url)
    if userinfo is None or any(name.lower() == "authorization" for name in headers):
        return url, dict(headers)
    return url, {**headers, "Authorization": f"Basic {base64.b64encode(userinfo.encode()).decode()}"}


def carries_key(url: str, headers: Mapping[str, str]) -> bool:
    """Whether headers or query hold an authorization already; names compared without case."""
    if any(name.lower() in _KEY_HEADERS for name in headers):
        return True
    return any(name.lower() in _KEY_MEMBERS for name in query_names(url))


def check_key(key: Found) -> str:
    """The key, when a header can hold it: on a line break the WebSocket library would log it in full."""
    text = str(key.value)
    if any(not 0x21 <= ord(letter) <= 0x7E for letter in text):
        raise key.problem("a key has no spaces, line breaks or letters outside of ASCII; copy it again")
    return text


def secrets_of(url: str, headers: Mapping[str, str], *more: str) -> tuple[str, ...]:
    """Every secret of an endpoint, for masking; `more` are known to be such."""
    found = list(url_secrets(url))
    for name, value in headers.items():
        if is_secret_name(name):
            found += header_secrets(value)
    return tuple(dict.fromkeys(secret for secret in (*found, *more) if secret))


def _check_name(found: Found, name: str) -> None:
    if not _NAME.match(name):
        # Not quoted: somebody may have pasted a whole line, key and all.
        raise found.problem("a header name has letters, digits and dashes only, and one in it has others")
    if _RESERVED.match(name):
        raise found.problem(f"the header {name} belongs to the WebSocket handshake; leave it out", name)


def _header_text(found: Found, name: str, value: object) -> str:
    name = mask(name)  # somebody may have put the key there
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise found.problem(f"the value of the header {name} is a string", name)
    text = str(value)
    if any(ord(letter) < 0x20 or ord(letter) >= 0x7F for letter in text) or text != text.strip():
        raise found.problem(
            f"the value of the header {name} has line breaks, outer spaces or letters outside of ASCII", name
        )
    return text
