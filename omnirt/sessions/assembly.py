"""The parts of a live session, joined: conversation, storage, tools, guardrails, connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from omnirt.errors import OmnirtError
from omnirt.providers.endpoint import Endpoint
from omnirt.providers.redaction import Hiding
from omnirt.sessions.approvals import Approvals
from omnirt.sessions.conversation import Conversation
from omnirt.sessions.engine import Ended, Engine
from omnirt.sessions.guard_checks import Checker
from omnirt.sessions.link import ProviderLink, refusal
from omnirt.sessions.services import Services
from omnirt.sessions.sink import EventSink
from omnirt.sessions.team import Team
from omnirt.sessions.tools import ToolRunner
from omnirt.storage import RunRecorder

if TYPE_CHECKING:
    from agents.realtime import RealtimeAgent


class Parts(NamedTuple):
    """What a run is made of."""

    engine: Engine
    tools: ToolRunner
    link: ProviderLink


def assemble(
    talk: Conversation,
    sink: EventSink,
    recorder: RunRecorder,
    team: Team,
    services: Services,
    endpoint: Callable[[], Endpoint],
    settings: Callable[[], Mapping[str, Any]],
    tell_error: Callable[[OmnirtError], None],
    ended: Ended,
    *,
    raw: bool,
) -> Parts:
    """Join the parts of one run; nothing is connected yet.

    Args:
        talk, sink, recorder, team, services: Of the run.
        endpoint: Where it is connected at the moment.
        settings: The realtime settings of the active agent.
        tell_error: Tells the host of what does not end the session.
        ended: Called when the connection is gone for good.
        raw: Whether the provider's events are passed on as they come.
    """

    def agent_of(name: str) -> RealtimeAgent[Any]:
        return team.graph.agents[name]

    hide = Hiding(lambda: endpoint().secrets)
    engine = Engine(
        talk, sink, recorder, raw=raw, hide=hide, ended=ended, refused=lambda e: refusal(e, endpoint())
    )
    approvals = Approvals(talk.run, services.call_host, services.answers_approvals)
    engine.tools = ToolRunner(talk, engine.carry_out, services.call_host, approvals)
    engine.agent_tools = team.tool_names
    engine.overlay = settings
    engine.gate.guards_of = lambda agent: team.graph.guardrails.get(agent)
    engine.checker = Checker(engine.on_judged, tell_error, services.python.loop, agent_of)
    engine.link = ProviderLink(engine, tracing=endpoint().tracing)
    return Parts(engine, engine.tools, engine.link)
