"""What a session is to be, decided before anything is opened: agent, endpoint, settings, formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from omnirt.errors import OmnirtError
from omnirt.protocol.methods import SessionStartResult
from omnirt.protocol.types import AudioSpec, Features
from omnirt.providers.endpoint import Endpoint, outline
from omnirt.resampling import Resampler, bytes_per_ms, sample_bytes
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.on_devices import device_names
from omnirt.sessions.outputs import Run
from omnirt.sessions.rates import Outgoing
from omnirt.sessions.services import Services
from omnirt.sessions.sink import EventSink
from omnirt.specs.graph import Node, resolve_graph
from omnirt.specs.load import Located
from omnirt.specs.problems import Place
from omnirt.specs.realtime import EffectiveRealtime, check_realtime, effective_realtime, merge_realtime
from omnirt.specs.spec import AgentSpec
from omnirt.storage import RunInfo

if TYPE_CHECKING:
    from omnirt.sessions.session import SessionOptions

_REALTIME = Place("invalid_params", "$.realtime")


@dataclass(frozen=True)
class Plan:
    """The resolved start of a session; a `session.update` makes a new one.

    Attributes:
        spec: The agent that the others are found from.
        input, output: The host's audio: in the provider's formats, at the host's rates.
        active: The agent of its graph that a `session.update` made the active one.
    """

    spec: AgentSpec
    place: Place
    variables: Mapping[str, Any]
    override: Mapping[str, Any]
    endpoint: Endpoint
    realtime: EffectiveRealtime
    input: AudioSpec
    output: AudioSpec
    active: str | None = None

    @cached_property
    def input_bytes_per_ms(self) -> int:
        """Of the host's audio."""
        return bytes_per_ms(self.input)

    @cached_property
    def input_sample_bytes(self) -> int:
        """The same."""
        return sample_bytes(self.input.format)

    @property
    def resamples(self) -> bool:
        """Whether host and provider have different rates."""
        return (self.input, self.output) != (self.realtime.input, self.realtime.output)

    def incoming(self) -> Resampler | None:
        """From the host's rate to the provider's; None where they are one."""
        source, target = self.input, self.realtime.input
        if source == target:
            return None
        return Resampler(source.format, source.sample_rate, target.sample_rate)

    def outgoing(self) -> Outgoing | None:
        """The same for the agent's audio."""
        source, target = self.realtime.output, self.output
        if source == target:
            return None
        return Outgoing(partial(Resampler, source.format, source.sample_rate, target.sample_rate))

    def check_audio(self, data: bytes) -> None:
        """Refuse half a sample.

        Raises:
            OmnirtError: `audio_invalid`.
        """
        if len(data) % self.input_sample_bytes:
            message = f"PCM16 has two bytes a sample, and {len(data)} bytes were sent; nothing was taken."
            raise OmnirtError("audio_invalid", message)

    def run_info(self, run: Run, started_at: str, record: Literal["assistant", "both", "none"]) -> RunInfo:
        """What the storage is told of a run of this plan."""
        return RunInfo(
            session_id=run.session_id,
            run_id=run.run_id,
            agent=self.spec.name,
            project_slug=self.spec.project_slug,
            agent_slug=self.spec.slug,
            provider=self.endpoint.provider,
            model=self.endpoint.model,
            started_at=started_at,
            record=record,
            input_format=self.input.format,
            input_rate=self.input.sample_rate,
            output_format=self.output.format,
            output_rate=self.output.sample_rate,
        )

    def updated(
        self,
        services: Services,
        agent: str | Mapping[str, Any] | None,
        variables: Mapping[str, Any] | None,
        realtime: Mapping[str, Any] | None,
    ) -> Plan:
        """This plan with another agent, other variables or other settings, member by member.

        Raises:
            OmnirtError: `agent_not_found`, `agent_invalid`, `invalid_params` for what cannot change live.
        """
        active = agent if isinstance(agent, str) and self._has_inline(agent, services) else None
        found = Located(self.spec, self.place)
        if agent is not None and active is None:
            found = resolve_agent(agent, services)
        spec = found.spec
        override = merge_realtime(self.override, check_realtime(realtime, _REALTIME))
        wanted = effective_realtime(merge_realtime(spec.realtime(), override), self.endpoint.model)
        for side, now, then in (
            ("input_audio_format", self.realtime.input, wanted.input),
            ("output_audio_format", self.realtime.output, wanted.output),
        ):
            if now != then:
                raise _REALTIME.at(side).problem("The audio format is fixed for the life of a session")
        if realtime and "model_name" in realtime:
            raise _REALTIME.at("model_name").problem("The model is fixed for the life of a session")
        merged = {**self.variables, **(variables or {})}
        return replace(
            self,
            spec=spec,
            place=found.place,
            variables=merged,
            override=override,
            realtime=wanted,
            active=active,
        )

    def _has_inline(self, name: str, services: Services) -> bool:
        """Whether an agent of this graph has that name, and no file of its own to be read from anew."""
        node = resolve_graph(self.spec, services.library, self.place).get(name)
        return node is not None and (node.place.file is None or node.place.path != "$")


def make_plan(
    agent: str | Mapping[str, Any] | AgentSpec | Located, options: SessionOptions, services: Services
) -> Plan:
    """Resolve all that `session.start` says, without opening anything.

    Raises:
        OmnirtError: `agent_not_found`, `agent_invalid`, `endpoint_unresolved`, `invalid_params`.
    """
    spec, place = agent if isinstance(agent, Located) else resolve_agent(agent, services)
    override = check_realtime(options.realtime, _REALTIME)
    settings = merge_realtime(spec.realtime(), override)
    endpoint = outline(
        options.settings or {}, services.config(), services.environ, settings.get("model_name")
    )
    realtime = effective_realtime(settings, endpoint.model)
    return Plan(
        spec,
        place,
        dict(options.variables or {}),
        override,
        endpoint,
        realtime,
        _at_rate(realtime.input, options.input_rate),
        _at_rate(realtime.output, options.output_rate),
    )


def resolve_agent(agent: str | Mapping[str, Any] | AgentSpec, services: Services) -> Located:
    """The agent, checked with all that it hands over to. Reads files when it has a name.

    Raises:
        OmnirtError: `agent_not_found`, `agent_invalid`; host tools need a host that answers calls.
    """
    found = services.library.resolve(agent)
    nodes = resolve_graph(found.spec, services.library, found.place)
    if services.call_host is None or not services.answers_tools():
        _refuse_host_tools(nodes)
    return found


def _at_rate(audio: AudioSpec, rate: int | None) -> AudioSpec:
    return audio if rate is None else AudioSpec(format=audio.format, sample_rate=rate)


def _refuse_host_tools(nodes: Mapping[str, Node]) -> None:
    for node in nodes.values():
        if any(tool.on_host for tool in node.spec.tools):
            raise node.place.at("tools").problem(
                f"The agent {node.spec.name} has host tools, but the host did not say in `initialize` that"
                " it answers `tool.call` (capabilities.tools)"
            )


def start_result(
    plan: Plan, talk: Conversation, sink: EventSink, *, started_at: str, resumed: bool, updates: bool
) -> SessionStartResult:
    """What the host is told of a session that is connected; `updates`: whether it answered the settings."""
    return SessionStartResult(
        session_id=talk.run.session_id,
        run_id=talk.run.run_id,
        resumed=resumed,
        started_at=started_at,
        agent=talk.agent,
        provider=plan.endpoint.provider,
        model=plan.endpoint.model,
        input_audio=plan.input,
        output_audio=plan.output,
        features=Features(interrupt=True, truncate=True, commit=True, text=True, images=True, update=updates),
        devices=device_names(sink),
    )
