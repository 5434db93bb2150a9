"""Specs for tests, as structs."""

from __future__ import annotations

from omnirt.specs.parse import read_spec
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec


def parse_spec(document: object, place: Place | None = None, *, allow_code: bool = True) -> AgentSpec:
    """The spec in a document; raises the first problem."""
    return read_spec(document, place, allow_code=allow_code).checked()
