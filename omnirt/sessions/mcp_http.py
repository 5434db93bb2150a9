"""MCP servers behind a URL: over streamable HTTP or server-sent events, with the status they refuse by."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import httpx2
from agents.mcp import MCPServer, MCPServerSse, MCPServerStreamableHttp

from omnirt.specs.parts import HttpServer, SseServer

IDLE_S: Final = 86_400.0
"""How long a server may say nothing: the library's own 5 minutes end a connection that nobody needed."""


def http_server(
    server: HttpServer | SseServer, timeout_s: float, refused: Callable[[int], None]
) -> MCPServer:
    """The SDK's server.

    Args:
        server: As the spec declares it.
        timeout_s: Of one request.
        refused: Told each status that is an error, which the library keeps to itself.
    """
    params: Any = {
        "url": server.url,
        "headers": server.headers,
        "timeout": timeout_s,
        "sse_read_timeout": IDLE_S,
        "httpx_client_factory": partial(_client, refused),
    }
    kind = MCPServerStreamableHttp if isinstance(server, HttpServer) else MCPServerSse
    return kind(params, name=server.name, client_session_timeout_seconds=timeout_s)


def _client(
    refused: Callable[[int], None],
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
) -> httpx2.AsyncClient:
    async def look(response: httpx2.Response) -> None:
        if response.status_code >= 400:
            refused(response.status_code)

    # No redirects: the headers are for this server and no other.
    return httpx2.AsyncClient(
        headers=headers, timeout=timeout, auth=auth, follow_redirects=False, event_hooks={"response": [look]}
    )
