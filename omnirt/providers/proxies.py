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
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    from urllib import request  # here, as it brings half of the standard library

    secure = parts.scheme == "wss"
    if request.proxy_bypass(f"{host}:{parts.port or (443 if secure else 80)}"):
        return None
    proxies = request.getproxies()
    for scheme in _SECURE if secure else _PLAIN:
        proxy = proxies.get(scheme)
        if proxy:
            return _with_scheme(proxy, "socks5h" if scheme == "socks" else "http")
    return None


def _with_scheme(proxy: str, scheme: str) -> str:
    """`proxy` as a URL: `host:port` alone is common, and systems tell SOCKS proxies as http ones."""
    if "://" not in proxy:
        return f"{scheme}://{proxy}"
    if scheme == "socks5h" and proxy.startswith("http://"):
        return f"socks5h://{proxy.removeprefix('http://')}"
    return proxy
