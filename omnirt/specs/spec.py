"""AgentSpec: an agent as a host declares it, in a file or inline (PROTOCOL section 7)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from omnirt.specs.documents import plain
from omnirt.specs.problems import Place, convert
from omnirt.specs.realtime import HINTS, Flat, flatten
from omnirt.specs.realtime_settings import RealtimeSettings, member_names

TOOL_TIMEOUT_S: Final = 30.0
MAX_TOOL_TIMEOUT_S: Final = 3600.0

AgentName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\S")]
# The provider's own rule for function names; `(?![\s\S])` is the true end of the string.
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}(?![\s\S])")]
Slug = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?![\s\S])")]
# JSON Schema can't say "only this boolean" through msgspec's types, hence the extra constant.
OnlyTrue = Annotated[bool, Meta(extra_json_schema={"const": True})]
OnlyFalse = Annotated[bool, Meta(extra_json_schema={"const": False})]


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class HostTool(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A tool that the host carries out: each use is a `tool.call`.

    Args:
        name: What the model calls it by.
        run: Always `host`.
        description: Tells the model when to use it.
        parameters: JSON Schema of the arguments, an object.
        timeout_s: How long the host has, in seconds.
        needs_approval: Only false in this version.
    """

    name: ToolName
    run: Literal["host"]
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=_no_parameters)
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_TOOL_TIMEOUT_S)] = TOOL_TIMEOUT_S
    needs_approval: OnlyFalse = False


class AgentSpec(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One agent.

    Args:
        name: How it is called in events, handoffs and history.
        description: Told to the other agents that may hand over to it.
        instructions: Jinja2 template, rendered at the start of a session.
        instructions_file: In a file only: the template's path, inside the folder of the spec.
        variables: Template variables; those of session.start come before them.
        context: More names for the template, below the variables, and as a whole under `context`.
        realtime_mode: Always true: this daemon holds voice sessions only.
        realtime_settings: Model, voice, formats, turn detection.
        tools: What the agent can do.
        handoffs: Agents it can hand over to, by name or inline. Cycles are allowed.
        project_slug: Folder of its history.
        agent_slug: Folder below that; by default the slug of the name.
    """

    name: AgentName
    description: str = ""
    instructions: str | None = None
    instructions_file: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    realtime_mode: OnlyTrue = True
    realtime_settings: RealtimeSettings = field(default_factory=RealtimeSettings)
    tools: list[HostTool] = field(default_factory=list)
    handoffs: list[AgentName | AgentSpec] = field(default_factory=list)
    project_slug: Slug = "default"
    agent_slug: Slug | None = None

    @property
    def slug(self) -> str:
        """`agent_slug`, or the slug of the name."""
        return self.agent_slug or slug_of(self.name)

    def realtime(self, place: Place | None = None) -> Flat:
        """The realtime settings under flat names (see `check_realtime`)."""
        return flatten(self.realtime_settings, (place or Place()).at("realtime_settings"))


NOT_YET: Final = {
    "build_context": "context from Python code",
    "mcp_servers": "MCP servers",
    "mcp_config": "MCP servers",
    "output_guardrails": "output guardrails",
    "guardrail": "output guardrails",
    "guardrail_debounce_chars": "output guardrails",
    "approval_policy": "approvals",
}
"""Members of a spec that the protocol names and this version refuses."""
_IDLE: Final[dict[str, tuple[object, ...]]] = {
    "mcp_servers": (None, []),
    "mcp_config": (None, {}),
    "output_guardrails": (None, []),
    "approval_policy": (None, "reject"),
}
"""Values of such members that ask for nothing, and are taken."""


def parse_spec(document: object, place: Place | None = None) -> AgentSpec:
    """The spec in a document.

    Args:
        document: What JSON, TOML or YAML gave, or a program.
        place: Where it stands; by default `agent_invalid` at `$`.

    Raises:
        OmnirtError: `agent_invalid` with the path of the first problem.
    """
    place = place or Place()
    document = plain(document, place)
    _refuse_not_yet(document, place)
    names = frozenset(AgentSpec.__struct_fields__) | frozenset(HostTool.__struct_fields__) | member_names()
    hints = {
        **HINTS,
        "model_name": "belongs into `realtime_settings`",
        "voice": "belongs into `realtime_settings`",
    }
    spec = convert(document, AgentSpec, place, hints=hints, names=names)
    _check(spec, place)
    return spec


def slug_of(name: str) -> str:
    """A folder name for `name`: lower case, ASCII, dashes; `agent` when nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-") or "agent"


def _refuse_not_yet(document: object, place: Place) -> None:
    """Refuse what later versions bring; members that ask for nothing are taken out of the document."""
    if not isinstance(document, dict):
        return
    for member, what in NOT_YET.items():
        if member in document and document.pop(member) not in _IDLE.get(member, (None,)):
            raise place.at(member).problem(f"`{member}` ({what}) is not supported yet; leave it out")
    if document.get("realtime_mode", True) is False:
        raise place.at("realtime_mode").problem("Only realtime agents run here: leave `realtime_mode` out")
    for index, tool in enumerate(_list(document.get("tools"))):
        if not isinstance(tool, dict):
            continue
        here = place.at("tools", index)
        if isinstance(tool.get("run"), str) and tool["run"].startswith("python:"):
            raise here.at("run").problem("Python tools are not supported yet; use `run: host`")
        if tool.get("needs_approval") is True:
            raise here.at("needs_approval").problem("Approvals are not supported yet; leave it out")
    for index, handoff in enumerate(_list(document.get("handoffs"))):
        _refuse_not_yet(handoff, place.at("handoffs", index))


def _check(spec: AgentSpec, place: Place) -> None:
    """What the types don't say: one source of instructions, formats, the agents inside."""
    if spec.instructions is not None and spec.instructions_file is not None:
        raise place.at("instructions_file").problem("Give `instructions` or `instructions_file`, not both")
    spec.realtime(place)
    for index, handoff in enumerate(spec.handoffs):
        if isinstance(handoff, AgentSpec):
            _check(handoff, place.at("handoffs", index))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
