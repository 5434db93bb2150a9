"""What the doctor found: checks, and the facts beside them. Holds nothing secret."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What.
        status: Whether it will do; a warning does.
        detail: What was found, and what to do about it.
        ms: How long it took, for what goes over the network.
    """

    name: str
    status: Status
    detail: str
    ms: float | None = None


@dataclass(frozen=True)
class Setting:
    """A setting that somebody gave, and where; the value is masked."""

    name: str
    source: str
    value: str


@dataclass
class Findings:
    """Everything, in the order in which it was found."""

    versions: dict[str, str] = field(default_factory=dict)
    settings: list[Setting] = field(default_factory=list)
    endpoint: dict[str, Any] | None = None
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.status != "fail" for check in self.checks)

    def add(self, name: str, status: Status, detail: str, ms: float | None = None) -> None:
        """One more check."""
        self.checks.append(Check(name, status, detail, None if ms is None else round(ms, 1)))

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {"ok": self.ok, **asdict(self)}
