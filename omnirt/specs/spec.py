"""AgentSpec: an agent as a host declares it, in a file or inline (PROTOCOL section 7)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from omnirt.protocol.readiness import ready
from omnirt.specs.parts import AnyServer, Guardrail, McpConfig, ObjectPath, Tool
from omnirt.specs.problems import Place
from omnirt.specs.realtime import Flat, flatten
from omnirt.specs.realtime_settings import RealtimeSettings

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


def slug_of(name: str) -> str:
    """A folder name for `name`: lower case, ASCII, dashes; `agent` when nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-") or "agent"


ready(AgentSpec)
