"""Shapes of params and results of `agent.*`: the agents known by name, and what is wrong with one."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from omnirt.protocol.types import Params, Result


class AgentEntry(Result):
    """An agent that `session.start` finds by its name, and its file."""

    name: str
    path: str
    description: str | UnsetType = UNSET


class AgentListResult(Result):
    """`agent.list`: by name; files with problems are not in it."""

    agents: list[AgentEntry]


class AgentValidateParams(Params):
    """`agent.validate`: an agent as `session.start` takes it."""

    agent: str | dict[str, Any]


class AgentProblem(Result):
    """What would keep an agent from being started: where, in which file, in which line if that is known."""

    path: str
    message: str
    file: str | UnsetType = UNSET
    line: int | UnsetType = UNSET


class AgentValidateResult(Result):
    """`agent.validate`: all problems of the agent and of those it hands over to."""

    valid: bool
    problems: list[AgentProblem]
