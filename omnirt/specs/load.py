"""AgentLibrary: finds agent specs by name in folders, and decodes inline ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.specs.documents import SUFFIXES, read_document, read_text
from omnirt.specs.parse import parse_spec
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec

MAX_TEMPLATE_BYTES: Final = 256 * 1024
MAX_FILES: Final = 1000
"""Spec files looked at per folder."""
_MAX_NAMES: Final = 20


class AgentInfo(Struct, frozen=True):
    """A known agent, as `agent.list` tells it."""

    name: str
    path: str
    description: str


class _Entry(Struct, frozen=True):
    """One file as it was when it was read last: a spec, or what is wrong with it."""

    stamp: tuple[int, int, int]
    outcome: AgentSpec | OmnirtError


class AgentLibrary:
    """The agents in some folders; an earlier folder hides the names of later ones.

    Files are read again when they have changed, so that a host sees its edit at the next start.

    Args:
        dirs: Folders with `.toml`, `.yaml` and `.json` files. One that does not exist is empty.
    """

    def __init__(self, dirs: Iterable[Path]) -> None:
        self._dirs = [Path(folder) for folder in dirs]
        self._entries: dict[Path, _Entry] = {}

    def resolve(self, agent: str | Mapping[str, Any]) -> AgentSpec:
        """The spec that session.start names or holds.

        Raises:
            OmnirtError: `agent_not_found`, or `agent_invalid` with `path` inside the spec and, for one from
                a file, `file`.
        """
        if isinstance(agent, str):
            return self.find(agent)[0]
        spec = parse_spec(dict(agent))
        _read_templates(spec, Place(), None)
        return spec

    def find(self, name: str) -> tuple[AgentSpec, Place]:
        """The agent of this name, and its file as a place for errors about it."""
        known: list[str] = []
        for folder in self._dirs:
            entries = self._scan(folder)
            found = [path for path, entry in entries.items() if _name(entry) == name]
            if len(found) > 1:
                raise Place(path="$.name", file=found[1]).problem(
                    f"{found[0].name} has the name `{name}` too"
                )
            if found:
                return self._spec(found[0]), Place(file=found[0])
            for path, entry in entries.items():
                if path.stem == name and isinstance(entry.outcome, OmnirtError):
                    raise entry.outcome
                known.extend(filter(None, [_name(entry)]))
        listed = ", ".join(sorted(known)[:_MAX_NAMES]) or "none"
        raise OmnirtError("agent_not_found", f"No agent has the name `{name[:128]}`; known: {listed}.")

    def place_of(self, spec: AgentSpec) -> Place:
        """Where a spec from `resolve` stands: its file, or nowhere when it was inline."""
        for path, entry in self._entries.items():
            if entry.outcome is spec:
                return Place(file=path)
        return Place()

    def list(self) -> list[AgentInfo]:
        """Every agent that can be started by name, sorted; broken files are left out."""
        known: dict[str, AgentInfo] = {}
        for folder in self._dirs:
            for path, entry in self._scan(folder).items():
                if isinstance(entry.outcome, AgentSpec):
                    spec = entry.outcome
                    known.setdefault(spec.name, AgentInfo(spec.name, str(path), spec.description))
        return sorted(known.values(), key=lambda info: info.name)

    def _spec(self, path: Path) -> AgentSpec:
        outcome = self._entries[path].outcome
        if isinstance(outcome, OmnirtError):
            raise outcome
        return outcome

    def _scan(self, folder: Path) -> dict[Path, _Entry]:
        """The entries of a folder, read anew where a file has changed."""
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        except OSError:
            return {}
        for path in paths[:MAX_FILES]:
            stamp = _stamp(path)
            old = self._entries.get(path)
            # A template beside the spec may change on its own: then the stamp of the spec says nothing.
            if old is None or old.stamp != stamp or _has_templates(old.outcome):
                self._entries[path] = _Entry(stamp, _read(path))
        return {path: self._entries[path] for path in paths[:MAX_FILES]}


def _read(path: Path) -> AgentSpec | OmnirtError:
    place = Place(file=path)
    try:
        spec = parse_spec(read_document(path, place), place)
        _read_templates(spec, place, path.parent)
    except OmnirtError as error:
        return error
    return spec


def _read_templates(spec: AgentSpec, place: Place, folder: Path | None) -> None:
    """Puts the text of each `instructions_file` in `instructions`."""
    if spec.instructions_file is not None:
        here = place.at("instructions_file")
        if folder is None:
            raise here.problem("Only a spec in a file may name an `instructions_file`; give `instructions`")
        root = folder.resolve()
        path = (root / spec.instructions_file).resolve()
        if not path.is_relative_to(root):
            raise here.problem("The file must stand in the folder of the spec")
        spec.instructions = read_text(path, MAX_TEMPLATE_BYTES, here)
    for index, handoff in enumerate(spec.handoffs):
        if isinstance(handoff, AgentSpec):
            _read_templates(handoff, place.at("handoffs", index), folder)


def _has_templates(outcome: AgentSpec | OmnirtError) -> bool:
    if isinstance(outcome, OmnirtError):
        return True
    inline = (handoff for handoff in outcome.handoffs if isinstance(handoff, AgentSpec))
    return outcome.instructions_file is not None or any(map(_has_templates, inline))


def _name(entry: _Entry) -> str | None:
    return entry.outcome.name if isinstance(entry.outcome, AgentSpec) else None


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
