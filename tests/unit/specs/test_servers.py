"""MCP servers that could never be reached are refused when the spec is read."""

from __future__ import annotations

from typing import Any

import pytest

from omnirt.specs.parse import read_spec

CASES: list[tuple[dict[str, Any], str | None]] = [
    ({"type": "http", "url": "https://x.test:8080/mcp?a=b", "headers": {"X-Key": "a\tb"}}, None),
    ({"type": "http", "url": "http://[::1]:80/"}, None),
    ({"type": "http", "url": "http://["}, "url"),
    ({"type": "sse", "url": "https://"}, "url"),
    ({"type": "http", "url": "https://x.test:99999/"}, "url"),
    ({"type": "http", "url": "https://x.test/\nb"}, "url"),
    ({"type": "http", "url": "https://x.test", "headers": {"X-Key": "a\r\nB: c"}}, "headers.X-Key"),
    ({"type": "sse", "url": "https://x.test", "headers": {"X Key": "a"}}, "headers"),
    ({"type": "stdio", "command": "c", "args": ["a", ""], "env": {"A": "b=c"}}, None),
    ({"type": "stdio", "command": "c", "args": ["a", "b\0"]}, "args[1]"),
    ({"type": "stdio", "command": "c\0"}, "command"),
    ({"type": "stdio", "command": "c", "cwd": "\0"}, "cwd"),
    ({"type": "stdio", "command": "c", "env": {"A=B": "c"}}, "env"),
    ({"type": "stdio", "command": "c", "env": {"": "c"}}, "env"),
    ({"type": "stdio", "command": "c", "env": {"A": "\0"}}, "env.A"),
]


@pytest.mark.parametrize(("server", "path"), CASES)
def test_what_could_never_work_is_told_with_its_path(server: dict[str, Any], path: str | None) -> None:
    reading = read_spec({"name": "a", "mcp_servers": [{"name": "s", **server}]})
    assert [problem.facts["path"] for problem in reading.problems] == (
        [] if path is None else [f"$.mcp_servers[0].{path}"]
    )
