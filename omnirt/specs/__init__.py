"""Agent specs: what a host may declare of an agent, and how that becomes the voice SDK's agents."""

from omnirt.specs.load import AgentInfo, AgentLibrary
from omnirt.specs.parts import Tool
from omnirt.specs.spec import AgentSpec

__all__ = ["AgentInfo", "AgentLibrary", "AgentSpec", "Tool"]
