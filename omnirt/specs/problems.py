"""Turns what does not fit into one typed error, with its path inside the document and its file."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from omnirt.errors import OmnirtError
from omnirt.protocol.validation import shortened, split_path

T = TypeVar("T")

_UNKNOWN = re.compile(r"unknown field `(.*)`", re.DOTALL)
_MAX_ECHO = 80
_FORMS = (
    (r"\.tools\[\d+\]\.name", "A tool's name is 1 to 64 of A-Z a-z 0-9 _ -"),
    (r"\.mcp_servers\[\d+\]\.name", "A server's name is 1 to 64 of A-Z a-z 0-9 . _ -, no sign first"),
    (r"\.name", "A name can't be blank"),
    (r"\.run", "`run` is `host`, or a Python object as `python:package.module:name`"),
    (r"_slug", "A slug is 1 to 64 of A-Z a-z 0-9 . _ -, no sign first"),
    (r"\.build_context", "A Python object is named as `package.module:name`"),
    (r"\.output_guardrails\[\d+\]", "A guardrail is `{name, deny}`, or `python:package.module:name`"),
    (r"\.url", "A URL begins with https:// or http://"),
)
"""What the patterns of members say, for people; the first that the path ends with."""


class Place(msgspec.Struct, frozen=True):
    """Where a document stands: decides the kind and the facts of the errors about it.

    Args:
        kind: `agent_invalid` inside an agent, `invalid_params` elsewhere.
        path: Path of the document itself (`$.realtime`).
        file: The file it was read from, when there is one.
    """

    kind: str = "agent_invalid"
    path: str = "$"
    file: Path | None = None

    def at(self, *steps: str | int) -> Place:
        """The place of a member below this one: `at("tools", 0)` → `$.tools[0]`."""
        path = self.path + "".join(
            f"[{step}]" if isinstance(step, int) else f".{shortened(step)}" for step in steps
        )
        return Place(self.kind, path, self.file)

    def problem(self, message: str, *, line: int | None = None) -> OmnirtError:
        """The error that says what is wrong here, and in which line."""
        error = OmnirtError(self.kind, f"{message} (at {self.path}).", path=self.path)
        if line is not None:
            error.facts["line"] = line
        if self.file is not None:
            error.facts["file"] = path_text(self.file)
        return error


def path_text(path: Path) -> str:
    """A path as a text that can be sent, whatever bytes it has."""
    return os.fsencode(path).decode(errors="replace")


def problem_text(error: OmnirtError) -> str:
    """What is wrong, without the place that `Place.problem` puts behind it."""
    return error.message.removesuffix(f" (at {error.facts['path']}).")


def convert(
    value: object, type_: type[T], place: Place, *, hints: Mapping[str, str], names: Collection[str]
) -> T:
    """`value` as `type_`.

    Args:
        value: What JSON, TOML or YAML gave.
        type_: The struct it must fit.
        place: Where `value` stands.
        hints: What to say of certain unknown members.
        names: Known member names, for "did you mean".

    Raises:
        OmnirtError: Of the place's kind, with the path of the first misfit.
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        what, path = split_path(str(error))
    except RecursionError:
        what, path = "The document is nested too deeply", "$"
    path = place.path + path[1:]
    unknown = _UNKNOWN.search(what)
    if unknown:
        what = _unknown(unknown[1], hints, names)
    elif "matching regex" in what:
        what = next((form for end, form in _FORMS if re.search(rf"{end}\Z", path)), what)
    raise Place(place.kind, path, place.file).problem(what) from None


def unknown_member(name: str, place: Place, hints: Mapping[str, str], names: Collection[str]) -> OmnirtError:
    """The problem of a member that nobody knows; `place` is that of the table it stands in."""
    return place.at(name).problem(_unknown(name, hints, names))


def _unknown(name: str, hints: Mapping[str, str], names: Collection[str]) -> str:
    if name in hints:
        return f"`{name}` {hints[name]}"
    shown = name if len(name) <= _MAX_ECHO else name[:_MAX_ECHO] + "…"
    close = difflib.get_close_matches(shown, sorted(set(names) - {name}), n=1)
    return f"Unknown member `{shown}`" + (f"; did you mean `{close[0]}`?" if close else "")
