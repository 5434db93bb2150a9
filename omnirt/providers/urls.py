"""Builds the WebSocket URL of an endpoint. Pure: text in, text out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

OPENAI_URL: Final = "wss://api.openai.com/v1"
Query: TypeAlias = Sequence[tuple[str, str]]

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
# `.us` is Azure Government.
_AZURE_HOSTS: Final = (
    ".openai.azure.com",
    ".services.ai.azure.com",
    ".cognitiveservices.azure.com",
    ".openai.azure.us",
    ".cognitiveservices.azure.us",
)
_DATED: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?\Z")
_UNDATED: Final = frozenset({"preview", "latest"})


class UrlProblem(ValueError):
    """What is wrong with a URL, in words, without the URL itself."""


def split(url: str, *, default_scheme: str | None = None) -> SplitResult:
    """The parts of a URL that a client can connect to, with `ws` or `wss` as its scheme.

    Args:
        url: What somebody wrote.
        default_scheme: Put before a URL that has none.

    Raises:
        UrlProblem: What is wrong.
    """
    text = url.strip()
    if any(ord(letter) < 0x21 or ord(letter) == 0x7F for letter in text):
        raise UrlProblem("a URL has no spaces and no control characters")
    if "://" not in text and default_scheme is not None:
        text = f"{default_scheme}://{text}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UrlProblem("this is no URL") from None
    if parts.scheme.lower() not in _SCHEMES or "://" not in text:
        raise UrlProblem("a URL begins with wss://, ws://, https:// or http://")
    if not host:
        raise UrlProblem("the URL names no host")
    try:
        host.encode("idna")
    except UnicodeError:
        raise UrlProblem("a host has parts of 1 to 63 letters, with one dot in between") from None
    if parts.fragment or text.endswith("#"):
        raise UrlProblem("a URL of a service has no #fragment")
    return parts._replace(scheme=_SCHEMES[parts.scheme.lower()])


def without_userinfo(url: str) -> tuple[str, str | None]:
    """A URL as it stands but for its userinfo, and this as `user:password`; None without one."""
    netloc = urlsplit(url).netloc
    userinfo, at, host = netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    told = f"{unquote(user)}:{unquote(password)}" if userinfo else None
    return url.replace(f"//{netloc}", f"//{host}", 1), told


def is_azure(url: str) -> bool:
    """Whether the host of a URL, scheme or not, belongs to Azure."""
    try:
        host = split(url, default_scheme="https").hostname or ""
    except UrlProblem:
        return False
    return host.rstrip(".").endswith(_AZURE_HOSTS)


def is_openai(url: str) -> bool:
    """Whether the host of a URL is OpenAI's own."""
    try:
        host = split(url).hostname or ""
    except UrlProblem:
        return False
    return host == "openai.com" or host.endswith(".openai.com")


def is_plain_remote(url: str) -> bool:
    """Whether a key sent to this URL could be read on its way: no TLS, and not this machine."""
    parts = urlsplit(url)
    return parts.scheme == "ws" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or number."""
    return host in ("localhost", "::1") or host.endswith(".localhost") or host.startswith("127.")


def authority(url: str) -> str:
    """Host and port of a URL, as a key for it is stored: the port only where it is not the usual one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, 443 if parts.scheme == "wss" else 80) else f"{host}:{parts.port}"


def explicit(url: str) -> str:
    """A full realtime URL, used as it is."""
    parts = split(url)
    if not url.strip().lower().startswith(("ws://", "wss://")):
        raise UrlProblem(f"a realtime URL begins with {parts.scheme}://, as nothing of it is changed")
    return url.strip()


def from_base(base: str, model: str, *, azure: bool) -> str:
    """`…/realtime?model=…` below a base URL; a model in its query stays, as do all other members."""
    parts = split(base, default_scheme="https" if azure else None)
    path = parts.path.rstrip("/")
    if azure and path in ("", "/openai"):
        path = "/openai/v1"
    return _with_model(parts, path, model)


def azure_ga(endpoint: str, model: str, version: str | None = None) -> str:
    """Azure's current form: `/openai/v1/realtime?model=<deployment>`."""
    parts = split(endpoint, default_scheme="https")
    members = dict(_query(parts))
    # Somebody may paste a whole URL of the older form.
    model = members.pop("deployment", "") or model
    members.pop("api-version", None)
    if version in _UNDATED:
        members["api-version"] = version
    parts = parts._replace(query=urlencode(members, quote_via=quote))
    return _with_model(parts, _azure_root(parts) + "/openai/v1", model)


def azure_preview(endpoint: str, deployment: str, version: str) -> str:
    """Azure's older form: `/openai/realtime?api-version=…&deployment=…`."""
    parts = split(endpoint, default_scheme="https")
    kept = [(name, value) for name, value in _query(parts) if name not in ("api-version", "deployment")]
    query = [*kept, ("api-version", version), ("deployment", deployment)]
    return _join(parts, _azure_root(parts) + "/openai/realtime", query)


def wants_preview(version: str | None) -> bool:
    """Whether an Azure API version is a dated one, which only the older form takes."""
    return version is not None and version not in _UNDATED and version != "v1"


def check_version(version: str) -> None:
    """Refuses what is no API version."""
    if wants_preview(version) and not _DATED.match(version):
        raise UrlProblem("an API version is a date such as 2025-04-01-preview, or v1; better leave it out")


def model_in(url: str) -> str | None:
    """The model or deployment that a URL names."""
    members = dict(reversed(_query(urlsplit(url))))  # the first of doubled ones
    return members.get("model") or members.get("deployment") or None


def with_member(url: str, name: str, value: str) -> str:
    """`url` with one more query member, everything before it as it stood."""
    parts = urlsplit(url)
    member = urlencode({name: value}, quote_via=quote)
    return urlunsplit(parts._replace(query=f"{parts.query}&{member}" if parts.query else member))


def query_names(url: str) -> list[str]:
    """The names in the query of a URL."""
    return [name for name, _ in _query(urlsplit(url))]


def _azure_root(parts: SplitResult) -> str:
    """The path before `/openai`: nothing on Azure itself, a prefix on a gateway."""
    path = parts.path.rstrip("/")
    if is_azure(parts.netloc):
        return ""
    return re.sub(r"/openai(/v1)?(/realtime)?\Z", "", path)


def _with_model(parts: SplitResult, path: str, model: str) -> str:
    if not path.endswith("/realtime"):
        path += "/realtime"
    # An empty model is none: the URL would say another one than the settings.
    query = [(name, value) for name, value in _query(parts) if value or name not in ("model", "deployment")]
    if not {name for name, _ in query} & {"model", "deployment"}:
        query.append(("model", model))
    return _join(parts, path, query)


def _query(parts: SplitResult) -> list[tuple[str, str]]:
    return parse_qsl(parts.query, keep_blank_values=True)


def _join(parts: SplitResult, path: str, query: Query) -> str:
    return urlunsplit(parts._replace(path=path, query=urlencode(query, quote_via=quote)))
