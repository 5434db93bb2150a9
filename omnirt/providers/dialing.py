"""Opens the WebSocket to a provider: through proxies, trusting what the system trusts, redirected nowhere."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import Mapping
from typing import Any, Final

import truststore
from websockets.asyncio.client import ClientConnection, connect

from omnirt import __version__
from omnirt.providers.proxies import proxy_for

OPEN_TIMEOUT_S: Final = 10.0
"""Silence of the provider beyond this is `provider_unreachable` (PROTOCOL section 3)."""


async def dial(
    url: str,
    headers: Mapping[str, str],
    *,
    open_timeout: float = OPEN_TIMEOUT_S,
    ping_s: float = 20.0,
    max_size: int | None = None,
    close_timeout: float = 1.0,
    connection: type[ClientConnection] = ClientConnection,
) -> ClientConnection:
    """An open connection.

    Compression is not offered: it would cost 200 µs for each 100 ms of audio and save next to nothing.

    Args:
        url: A `ws://` or `wss://` URL.
        headers: All of them; none is added but the user agent's name.
        open_timeout: How long the whole of it may take.
        ping_s: How often a ping is sent, and how long its answer may take.
        max_size: The longest message that is taken.
        close_timeout: How long the end waits for the peer.
        connection: What to make of it.

    Raises:
        Exception: What `connect_errors.explain` puts into words.
    """
    proxy, tls = await asyncio.to_thread(_way, url)  # a system's proxies and certificates take a while
    return await _Connect(
        url,
        additional_headers=dict(headers),
        user_agent_header=f"omnirt/{__version__}",
        compression=None,
        open_timeout=open_timeout,
        ping_interval=ping_s,
        ping_timeout=ping_s,
        close_timeout=close_timeout,
        max_size=max_size,
        proxy=proxy,
        create_connection=connection,
        **tls,
    )


def _way(url: str) -> tuple[str | None, dict[str, Any]]:
    """The proxy, and what is encrypted: the library refuses a TLS context where nothing is."""
    proxy = proxy_for(url)
    tls: dict[str, Any] = {}
    if url[:4].lower() == "wss:":
        tls["ssl"] = trusted()
    if proxy is not None and proxy[:6].lower() == "https:":
        tls["proxy_ssl"] = trusted()
    return proxy, tls


def trusted() -> ssl.SSLContext:
    """A TLS context that verifies against what the system trusts, and `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Reads files, so it belongs into a thread.
    """
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.platform in ("darwin", "win32"):  # where the system's store knows nothing of OpenSSL's variables
        file, folder = os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
        if file or folder:
            context.load_verify_locations(file, folder)
    return context


class _Connect(connect):
    """The library's connect, without redirects: they would take an `api-key` header wherever they point."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Leaves the redirect what it is, an answer that is no WebSocket."""
        return exc
