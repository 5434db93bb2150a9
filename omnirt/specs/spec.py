"""AgentSpec: an agent as a host declares it, in a file or inline (PROTOCOL section 7)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from omnirt.specs.documents import plain
from omnirt.specs.parts import AnyServer, Guardrail, McpConfig, ObjectPath, Tool
from omnirt.specs.problems import Place, convert
from omnirt.specs.realtime import HINTS, Flat, flatten
from omnirt.specs.realtime_settings import RealtimeSettings, member_names

AgentName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\S")]
Slug = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?![\s\S])")]
ObjectName = Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?![\s\S])")]
# JSON Schema can't say "only this boolean" through msgspec's types, hence the extra constant.
OnlyTrue = Annotated[bool, Meta(extra_json_schema={"const": True})]


class AgentSpec(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One agent.

    Args:
        name: How it is called in events, handoffs and history.
        description: Told to the other agents that may hand over to it.
        instructions: Jinja2 template, rendered at the start of a session.
        instructions_file: In a file only: the template's path, inside the folder of the spec.
        variables: Template variables; those of session.start come before them.
        build_context: Python callable `package.module:name` that makes the context of the variables.
        context: More names for the template, below the variables, and as a whole under `context`.
        realtime_mode: Always true: this daemon holds voice sessions only.
        realtime_settings: Model, voice, formats, turn detection.
        tools: What the agent can do.
        mcp_servers: Servers of more tools.
        mcp_config: How their tools are shown.
        handoffs: Agents it can hand over to, by name or inline. Cycles are allowed.
        output_guardrails: What its answers must not say: patterns, or a Python callable each.
        guardrail: What becomes of an answer that says it: `interrupt` cuts what is not heard yet; `holdback`
            keeps the audio of each sentence back until its text has passed.
        guardrail_debounce_chars: How much text must be new before the guardrails run again, in characters.
        approval_policy: What becomes of tools that need approval when the host can't be asked.
        project_slug: Folder of its history.
        agent_slug: Folder below that; by default the slug of the name.
    """

    name: AgentName
    description: str = ""
    instructions: str | None = None
    instructions_file: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] | None = None
    build_context: ObjectName | None = None
    realtime_mode: OnlyTrue = True
    realtime_settings: RealtimeSettings = field(default_factory=RealtimeSettings)
    tools: list[Tool] = field(default_factory=list)
    mcp_servers: list[AnyServer] = field(default_factory=list)
    mcp_config: McpConfig = field(default_factory=McpConfig)
    handoffs: list[AgentName | AgentSpec] = field(default_factory=list)
    output_guardrails: list[Guardrail | ObjectPath] = field(default_factory=list)
    guardrail: Literal["interrupt", "holdback"] = "interrupt"
    guardrail_debounce_chars: Annotated[int, Meta(ge=1, le=100_000)] = 100
    approval_policy: Literal["reject", "approve"] = "reject"
    project_slug: Slug = "default"
    agent_slug: Slug | None = None

    @property
    def slug(self) -> str:
        """`agent_slug`, or the slug of the name."""
        return self.agent_slug or slug_of(self.name)

    def realtime(self, place: Place | None = None) -> Flat:
        """The realtime settings under flat names (see `check_realtime`)."""
        return flatten(self.realtime_settings, (place or Place()).at("realtime_settings"))


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
    _refuse_other_modes(document, place)
    names = frozenset(AgentSpec.__struct_fields__) | frozenset(Tool.__struct_fields__) | member_names()
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


def _refuse_other_modes(document: object, place: Place) -> None:
    """Refuse what is no realtime agent, in words of its own."""
    if not isinstance(document, dict):
        return
    if document.get("realtime_mode", True) is False:
        raise place.at("realtime_mode").problem("Only realtime agents run here: leave `realtime_mode` out")
    for index, handoff in enumerate(_list(document.get("handoffs"))):
        _refuse_other_modes(handoff, place.at("handoffs", index))


def _check(spec: AgentSpec, place: Place) -> None:
    """What the types don't say: one source of instructions, formats, the agents inside."""
    if spec.instructions is not None and spec.instructions_file is not None:
        raise place.at("instructions_file").problem("Give `instructions` or `instructions_file`, not both")
    if spec.context is not None and spec.build_context is not None:
        raise place.at("build_context").problem("Give `context` or `build_context`, not both")
    for index, tool in enumerate(spec.tools):
        if tool.on_host and tool.name is None:
            raise place.at("tools", index).problem("A host tool needs a `name`")
    spec.realtime(place)
    for index, handoff in enumerate(spec.handoffs):
        if isinstance(handoff, AgentSpec):
            _check(handoff, place.at("handoffs", index))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
