"""What the types of an MCP server's members do not say: what the system, or HTTP, would refuse later."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from omnirt.errors import OmnirtError
from omnirt.specs.parts import AnyServer, StdioServer
from omnirt.specs.problems import Place

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""A tab may stand in a header."""


def server_problems(server: AnyServer, place: Place) -> Iterable[OmnirtError]:
    """All that keeps this server from ever being reached; no value is told, as it may be a secret."""
    if isinstance(server, StdioServer):
        yield from _command_problems(server, place)
        return
    if not _is_url(server.url):
        yield place.at("url").problem("This is no URL: it lacks a host, or has what no URL may have")
    for name, value in server.headers.items():
        if not _HEADER.fullmatch(name):
            yield place.at("headers").problem("The name of a header is letters, digits and dashes")
        elif _CONTROL.search(value):
            yield place.at("headers", name).problem("A header has no line breaks or control characters")


def _command_problems(server: StdioServer, place: Place) -> Iterable[OmnirtError]:
    texts = {"command": server.command, "cwd": server.cwd or ""}
    for member, text in texts.items():
        if "\0" in text:
            yield place.at(member).problem("No NUL can stand here")
    for index, argument in enumerate(server.args):
        if "\0" in argument:
            yield place.at("args", index).problem("No NUL can stand here")
    for name, value in server.env.items():
        if not name or "=" in name or "\0" in name:
            yield place.at("env").problem("The name of a variable is not empty and has no `=` and no NUL")
        elif "\0" in value:
            yield place.at("env", name).problem("No NUL can stand here")


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(url.hostname) and url.port != 0 and not re.search(r"[\x00-\x20\x7f]", text)
    except ValueError:
        return False
