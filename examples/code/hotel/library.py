"""An MCP server: `python -m hotel.library`."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

server = MCPServer("library")


@server.tool()
def find_book(title: str) -> str:
    """Where a book stands."""
    return f"{title} is on shelf {len(title)}."


@server.tool()
def burn_book(title: str) -> str:
    """No agent should have this."""
    return f"{title} is gone."


if __name__ == "__main__":
    server.run()
