"""Reads an agent spec from a document: all its problems at once, each with its path."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.specs import parts
from omnirt.specs.documents import plain
from omnirt.specs.guardrails import compile_pattern
from omnirt.specs.problems import Place, convert, unknown_member
from omnirt.specs.realtime import HINTS, flatten
from omnirt.specs.realtime_settings import RealtimeSettings
from omnirt.specs.schemas import check_parameters
from omnirt.specs.servers import server_problems
from omnirt.specs.spec import AgentName, AgentSpec

MAX_PROBLEMS: Final = 100
"""Then reading ends: who has more begins with these, and to find words for a million takes minutes."""

Problems: TypeAlias = list[OmnirtError]

_HINTS: Final = {
    **HINTS,
    "model_name": "belongs into `realtime_settings`",
    "voice": "belongs into `realtime_settings`",
}
_NAMELESS: Final = "(nameless)"
_NO_CODE: Final = "would run code, which this omnirt refuses (--no-code)"


class Reading(Struct, frozen=True):
    """What a document says.

    Args:
        spec: The agent, without the members that have problems; None when not even its name can be read.
        problems: In the order of the document.
        nameless: The agent under a name of ours, for further checks, when all but its name can be read.
    """

    spec: AgentSpec | None
    problems: Problems
    nameless: AgentSpec | None = None

    @property
    def checkable(self) -> AgentSpec | None:
        """What there is to look at."""
        return self.spec or self.nameless

    def checked(self) -> AgentSpec:
        """The agent, when nothing is wrong with it.

        Raises:
            OmnirtError: The first problem.
        """
        if self.problems:
            raise self.problems[0]
        assert self.spec is not None, "without a name there is a problem"
        return self.spec


def read_spec(document: object, place: Place | None = None, *, allow_code: bool = True) -> Reading:
    """The spec in a document, or all that is wrong with it.

    Args:
        document: What JSON, TOML or YAML gave, or a program.
        place: Where it stands; by default `agent_invalid` at `$`.
        allow_code: Whether it may name what runs on this machine: Python objects, commands of MCP servers.
    """
    place = place or Place()
    try:
        return _Reader(allow_code).agent(plain(document, place), place)
    except OmnirtError as error:
        return Reading(None, [error])


class _Reader:
    def __init__(self, allow_code: bool) -> None:
        self._allow_code = allow_code

    def agent(self, document: object, place: Place) -> Reading:
        if not isinstance(document, dict):
            return Reading(None, _misfits(document, AgentSpec, place))
        hints = _hints(AgentSpec)
        # An empty member of a YAML file is null.
        given = {name: value for name, value in document.items() if value is not None or name == "name"}
        problems: Problems = []
        members: dict[str, Any] = {}
        for name, value in given.items():
            if len(problems) >= MAX_PROBLEMS:
                break
            here = place.at(name)
            if name not in hints:
                problems.append(unknown_member(name, place, _HINTS, hints))
                continue
            found, made = self._member(name, value, hints[name], here)
            problems += found
            if made is not None:
                members[name] = made
        if "name" not in given:
            problems.append(_missing("name", place))
        spec = AgentSpec(**{"name": _NAMELESS, **members})
        problems += _agent_problems(spec, place)
        return Reading(spec, problems) if "name" in members else Reading(None, problems, spec)

    def _member(self, name: str, value: object, type_: Any, here: Place) -> tuple[Problems, Any]:
        """The problems of one member and, when it can be used, its value."""
        match name, value:
            case "realtime_mode", False:
                return [here.problem("Only realtime agents run here: leave `realtime_mode` out")], None
            case "handoffs", list():
                return self._members(value, here, self._handoff)
            case "tools", list():
                return self._members(value, here, self._checked(parts.Tool, self._tool))
            case "mcp_servers", list():
                return self._members(value, here, self._checked(parts.AnyServer, self._server))
            case "output_guardrails", list():
                guardrail = parts.Guardrail | parts.ObjectPath
                return self._members(value, here, self._checked(guardrail, self._guardrail))
        problems = _misfits(value, type_, here)
        if problems:
            return problems, None
        if name == "build_context" and not self._allow_code:
            problems.append(here.problem(f"`build_context` {_NO_CODE}"))
        made = msgspec.convert(value, type_)
        if isinstance(made, RealtimeSettings):
            problems += _raised(flatten, made, here)
        return problems, made

    def _members(
        self, values: list[object], place: Place, read: Callable[[object, Place], tuple[Problems, Any]]
    ) -> tuple[Problems, Any]:
        """The problems of a list, and its elements up to the first that can't be used."""
        problems: Problems = []
        made: list[Any] = []
        for index, value in enumerate(values):
            if len(problems) >= MAX_PROBLEMS:
                break
            found, one = read(value, place.at(index))
            problems += found
            made.append(one)
        # Those behind it would move up, and their problems be told of the wrong one.
        return problems, made[: made.index(None)] if None in made else made

    def _handoff(self, value: object, place: Place) -> tuple[Problems, Any]:
        if isinstance(value, dict):
            reading = self.agent(value, place)
            return reading.problems, reading.spec
        problems = _misfits(value, AgentName | AgentSpec, place)
        return problems, None if problems else value

    @staticmethod
    def _checked(
        type_: Any, check: Callable[[Any, Place], Iterable[OmnirtError]]
    ) -> Callable[[object, Place], tuple[Problems, Any]]:
        """Reads one element of a list, and checks what its type does not say."""

        def read(value: object, place: Place) -> tuple[Problems, Any]:
            problems = _misfits(value, type_, place)
            if problems:
                return problems, None
            made = msgspec.convert(value, type_)
            return list(check(made, place)), made

        return read

    def _tool(self, tool: parts.Tool, place: Place) -> Iterable[OmnirtError]:
        if tool.on_host and tool.name is None:
            yield place.problem("A host tool needs a `name`")
        if not tool.on_host and not self._allow_code:
            yield place.at("run").problem(f"A Python tool {_NO_CODE}")
        if tool.parameters is not None:
            yield from _raised(check_parameters, tool.parameters, place.at("parameters"))

    def _server(self, server: parts.AnyServer, place: Place) -> Iterable[OmnirtError]:
        if isinstance(server, parts.StdioServer) and not self._allow_code:
            yield place.at("command").problem(f"A server that is a command {_NO_CODE}")
        yield from server_problems(server, place)

    def _guardrail(self, guardrail: parts.Guardrail | str, place: Place) -> Iterable[OmnirtError]:
        if isinstance(guardrail, str):
            if not self._allow_code:
                yield place.problem(f"A Python guardrail {_NO_CODE}")
            return
        for index, pattern in enumerate(guardrail.deny):
            yield from _raised(compile_pattern, pattern, place.at("deny", index))


def _agent_problems(spec: AgentSpec, place: Place) -> Iterable[OmnirtError]:
    """What no member says alone."""
    if spec.instructions is not None and spec.instructions_file is not None:
        yield place.at("instructions_file").problem("Give `instructions` or `instructions_file`, not both")
    if spec.context is not None and spec.build_context is not None:
        yield place.at("build_context").problem("Give `context` or `build_context`, not both")
    seen: set[str] = set()
    for index, server in enumerate(spec.mcp_servers):
        if server.name in seen:
            here = place.at("mcp_servers", index, "name")
            yield here.problem(f"Another server has the name `{server.name}` too")
        seen.add(server.name)


def _misfits(value: object, type_: Any, place: Place) -> Problems:
    """All that does not fit a type, element by element and member by member."""
    problems: Problems = []
    options = _options(type_)
    struct = _struct_for(value, options)
    lists = [option for option in options if typing.get_origin(option) is list]
    if struct is not None and isinstance(value, dict):
        hints, config = _hints(struct), struct.__struct_config__
        for name, member in value.items():
            if len(problems) >= MAX_PROBLEMS:
                break
            if name in hints:
                problems += _misfits(member, hints[name], place.at(name))
            elif name != config.tag_field:
                problems.append(unknown_member(name, place, _HINTS, hints))
        required = (field.name for field in msgspec.structs.fields(struct) if field.required)
        problems += [_missing(name, place) for name in required if name not in value]
    elif lists and isinstance(value, list):
        [element] = typing.get_args(lists[0])
        for index, member in enumerate(value):
            if len(problems) >= MAX_PROBLEMS:
                break
            problems += _misfits(member, element, place.at(index))
    return problems or _raised(lambda: convert(value, type_, place, hints=_HINTS, names=()))


def _struct_for(value: object, options: list[Any]) -> type[Struct] | None:
    """The struct that a table is meant to be."""
    structs = [option for option in options if isinstance(option, type) and issubclass(option, Struct)]
    if not isinstance(value, dict):
        return None
    for struct in structs:
        config = struct.__struct_config__
        if config.tag_field is None or value.get(config.tag_field) == config.tag:
            return struct
    return None


def _options(type_: Any) -> list[Any]:
    """The types of a union, or the type alone, without what is written beside them."""
    if typing.get_origin(type_) is Annotated:
        return _options(typing.get_args(type_)[0])
    if typing.get_origin(type_) in (typing.Union, types.UnionType):
        return [option for member in typing.get_args(type_) for option in _options(member)]
    return [type_]


def _hints(struct: type[Struct]) -> dict[str, Any]:
    return typing.get_type_hints(struct, include_extras=True)


def _missing(name: str, place: Place) -> OmnirtError:
    return place.at(name).problem(f"The member `{name}` is missing")


def _raised(check: Callable[..., object], *args: object) -> Problems:
    """What a check raises, as a list."""
    try:
        check(*args)
    except OmnirtError as error:
        return [error]
    return []
