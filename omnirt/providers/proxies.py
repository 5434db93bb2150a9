"""Which proxy leads to a provider: that of the environment, or of the system where it has one."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from omnirt.providers.urls import is_loopback

# `all` stands for every scheme (ALL_PROXY); a SOCKS proxy carries any of them.
_SECURE: Final = ("wss", "socks", "https", "all")
_PLAIN: Final = ("ws", "socks", "https", "http", "all")


def proxy_for(url: str) -> str | None:
    """The URL of the proxy for a WebSocket URL; it may hold a password.

    `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count, in either case. No proxy can lead to this
    machine, whatever they say.
    """
    from urllib import request  # here, as it brings half of the standard library

    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "wss"
    if is_loopback(host) or request.proxy_bypass(f"{host}:{parts.port or (443 if secure else 80)}"):
        return None
    proxies = request.getproxies()
    for scheme in _SECURE if secure else _PLAIN:
        proxy = proxies.get(scheme)
        if proxy:
            return _with_scheme(proxy, "socks5h" if scheme == "socks" else "http")
    return None


def all_proxies() -> tuple[str, ...]:
    """The URLs of all proxies that are set, for the sake of the passwords in them."""
    from urllib import request

    proxies = request.getproxies()
    return tuple(proxy for scheme, proxy in proxies.items() if scheme != "no")


def _with_scheme(proxy: str, scheme: str) -> str:
    """`proxy` as a URL: `host:port` alone is common, and systems tell SOCKS proxies as http ones."""
    if "://" not in proxy:
        return f"{scheme}://{proxy}"
    if scheme == "socks5h" and proxy.startswith("http://"):
        return f"socks5h://{proxy.removeprefix('http://')}"
    return proxy
