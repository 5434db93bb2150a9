"""Handlers of `agent.*`: what agents there are, and what is wrong with one; in threads, as files are read."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from omnirt.errors import OmnirtError
from omnirt.methods.app import Context
from omnirt.protocol import agent_methods as m
from omnirt.protocol.lifecycle import NoParams
from omnirt.protocol.validation import shortened
from omnirt.specs.load import AgentInfo
from omnirt.specs.problems import path_text, problem_text
from omnirt.specs.threads import apart

_MAX_NAMED: Final = 5
_MAX_DESCRIPTION: Final = 500


async def list_(ctx: Context, params: NoParams) -> m.AgentListResult:
    """The agents of the folders; the user is told of files that are none."""
    library = ctx.app.registry.services.library
    known, broken = await apart(lambda: (library.list(), library.broken()))
    if broken:
        named = ", ".join(path_text(path) for path in broken[:_MAX_NAMED])
        more = ", …" if len(broken) > _MAX_NAMED else ""
        ctx.app.host.log_message(
            "warning",
            f"These files are no agents that can be started: {named}{more}; agent.validate says why.",
        )
    return m.AgentListResult(agents=[_entry(info) for info in known])


async def validate(ctx: Context, params: m.AgentValidateParams) -> m.AgentValidateResult:
    """All that would keep an agent from being started."""
    from omnirt.specs.check import problems_of  # brings what only starts need

    library = ctx.app.registry.services.library
    problems = await apart(lambda: problems_of(params.agent, library))
    return m.AgentValidateResult(valid=not problems, problems=[_problem(error) for error in problems])


def _entry(info: AgentInfo) -> m.AgentEntry:
    description = shortened(info.description, _MAX_DESCRIPTION) or UNSET
    return m.AgentEntry(name=info.name, path=info.path, description=description)


def _problem(error: OmnirtError) -> m.AgentProblem:
    facts = error.facts
    problem = m.AgentProblem(path=str(facts["path"]), message=problem_text(error))
    if "file" in facts:
        problem.file = str(facts["file"])
    line = facts.get("line")
    if isinstance(line, int):
        problem.line = line
    return problem
