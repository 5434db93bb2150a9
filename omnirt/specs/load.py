"""AgentLibrary: finds agent specs by name in folders or by Python object, and decodes inline ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from omnirt.errors import OmnirtError
from omnirt.specs.documents import SUFFIXES, inside, read_document, read_text
from omnirt.specs.parse import Problems, Reading, read_spec
from omnirt.specs.problems import Place, path_text
from omnirt.specs.python_objects import LOAD_S, PREFIX, bounded, load_object
from omnirt.specs.spec import AgentSpec

MAX_TEMPLATE_BYTES: Final = 256 * 1024
MAX_FILES: Final = 1000
"""Spec files looked at per folder."""
_MAX_NAMES: Final = 20

Agent: TypeAlias = str | Path | Mapping[str, Any] | AgentSpec
"""Its name, or a Python object; its file; or the spec itself."""


class AgentInfo(Struct, frozen=True):
    """A known agent, as `agent.list` tells it."""

    name: str
    path: str
    description: str


class Located(NamedTuple):
    """An agent, and where it stands: its file decides what its instructions may include."""

    spec: AgentSpec
    place: Place


class Found(NamedTuple):
    """What was found of an agent, its problems included, and where it stands."""

    reading: Reading
    place: Place


class _Entry(Struct, frozen=True):
    """One file as it was when it was read last."""

    stamp: tuple[int, ...]
    reading: Reading


class AgentLibrary:
    """The agents in some folders; an earlier folder hides the names of later ones.

    Files are read again when they have changed, so that a host sees its edit at the next start.

    Args:
        dirs: Folders with `.toml`, `.yaml` and `.json` files. One that does not exist is empty.
        allow_code: Whether specs may name what runs on this machine (`--no-code` says no).
    """

    def __init__(self, dirs: Iterable[Path], *, allow_code: bool = True) -> None:
        self.allow_code = allow_code
        self._dirs = [Path(folder).absolute() for folder in dirs]
        self._entries: dict[Path, _Entry] = {}

    def resolve(self, agent: Agent) -> Located:
        """The agent that session.start names or holds.

        Raises:
            OmnirtError: `agent_not_found`, or `agent_invalid` with `path` inside the spec and, for one from
                a file, `file`.
        """
        found = self.read(agent)
        return Located(found.reading.checked(), found.place)

    def read(self, agent: Agent) -> Found:
        """The same with all its problems.

        Raises:
            OmnirtError: `agent_not_found`, and nothing else.
        """
        if isinstance(agent, str) and agent.startswith(PREFIX):
            return Found(self._object(agent), Place())
        if isinstance(agent, str):
            return self.named(agent)
        if isinstance(agent, Path):
            return self._at(agent)
        return Found(self._inline(agent), Place())

    def list(self) -> list[AgentInfo]:
        """Every agent that can be started by name, sorted; broken files are left out."""
        known: dict[str, AgentInfo] = {}
        for folder in self._dirs:
            for path, entry in self._scan(folder).items():
                spec = entry.reading.spec
                if spec is not None and not entry.reading.problems:
                    known.setdefault(spec.name, AgentInfo(spec.name, path_text(path), spec.description))
        return sorted(known.values(), key=lambda info: info.name)

    def broken(self) -> tuple[Path, ...]:
        """The files in the folders that have problems."""
        scans = map(self._scan, self._dirs)
        return tuple(path for scan in scans for path, entry in scan.items() if entry.reading.problems)

    def named(self, name: str) -> Found:
        """The agent of this name in the folders.

        Raises:
            OmnirtError: `agent_not_found`.
        """
        known: list[str] = []
        for folder in self._dirs:
            entries = self._scan(folder)
            named = [path for path, entry in entries.items() if _name(entry) == name]
            # A file that is too broken to tell its name is known by its own.
            named = named or [p for p, entry in entries.items() if p.stem == name and entry.reading.problems]
            if named:
                path, *others = named
                return Found(_told_twice(entries[path].reading, path, others), Place(file=path))
            known.extend(filter(None, map(_name, entries.values())))
        listed = ", ".join(sorted(known)[:_MAX_NAMES]) or "none"
        raise OmnirtError("agent_not_found", f"No agent has the name `{name[:128]}`; known: {listed}.")

    def _at(self, path: Path) -> Found:
        """The agent in a file, and whether another one beside it has its name."""
        if path.suffix.lower() not in SUFFIXES:
            known = ", ".join(SUFFIXES)
            problem = Place(file=path).problem(f"An agent is in a file that ends in {known}")
            return Found(Reading(None, [problem]), Place(file=path))
        reading = self._file(path)
        name = None if reading.spec is None else reading.spec.name
        others = [
            other for other, entry in self._scan(path.parent.absolute()).items() if _name(entry) == name
        ]
        twice = [other for other in others if name is not None and other.name != path.name]
        return Found(_told_twice(reading, path, twice), Place(file=path))

    def _inline(self, agent: Mapping[str, Any] | AgentSpec) -> Reading:
        document = msgspec.to_builtins(agent) if isinstance(agent, AgentSpec) else dict(agent)
        return _with_templates(read_spec(document, allow_code=self.allow_code), Place())

    def _object(self, reference: str) -> Reading:
        """The agent that a Python object is, or makes when it is called without arguments."""
        place = Place()
        if not self.allow_code:
            return Reading(
                None, [place.problem("A Python object would run code, which is refused (--no-code)")]
            )
        try:
            agent = load_object(reference, place)
            if callable(agent):
                agent = bounded(agent, LOAD_S, f"`{reference}`", place)
            if not isinstance(agent, AgentSpec | Mapping):
                what = f"`{reference}` gives a {type(agent).__name__}"
                raise place.problem(f"{what}, where an AgentSpec, or a mapping like one, is wanted")
            return self._inline(agent)
        except OmnirtError as error:
            return Reading(None, [error])

    def _scan(self, folder: Path) -> dict[Path, _Entry]:
        """The entries of a folder, read anew where a file has changed."""
        try:
            paths = spec_files(folder)
        except OSError:
            return {}
        entries: dict[Path, _Entry] = {}
        for path in paths:
            stamp = _stamp(path)
            old = self._entries.get(path)
            # A template beside the spec may change on its own: then the stamp of the spec says nothing.
            if old is None or old.stamp != stamp or _has_templates(old.reading):
                self._entries[path] = old = _Entry(stamp, self._file(path))
            entries[path] = old
        return entries

    def _file(self, path: Path) -> Reading:
        place = Place(file=path)
        try:
            document = read_document(path, place)
        except OmnirtError as error:
            return Reading(None, [error])
        return _with_templates(read_spec(document, place, allow_code=self.allow_code), place)


def spec_files(folder: Path) -> list[Path]:
    """The files of a folder that should hold specs, sorted; those that begin with a dot are an editor's."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in files if not path.name.startswith("."))[:MAX_FILES]


def _told_twice(reading: Reading, path: Path, others: list[Path]) -> Reading:
    """The reading of a file, with the problem that others in its folder have its name."""
    if not others:
        return reading
    twice = Place(path="$.name", file=path).problem(f"{others[0].name} has this name too")
    return Reading(reading.spec, [twice, *reading.problems], reading.nameless)


def _with_templates(reading: Reading, place: Place) -> Reading:
    """The reading with the text of each `instructions_file` in `instructions`."""
    spec = reading.checkable
    problems = [] if spec is None else _read_templates(spec, place)
    return Reading(reading.spec, [*reading.problems, *problems], reading.nameless)


def _read_templates(spec: AgentSpec, place: Place) -> Problems:
    problems: Problems = []
    if spec.instructions_file is not None:
        try:
            file = inside(spec.instructions_file, place.at("instructions_file"))
            spec.instructions = read_text(file, MAX_TEMPLATE_BYTES, place.at("instructions_file"))
        except OmnirtError as error:
            problems.append(error)
    for index, handoff in enumerate(spec.handoffs):
        if isinstance(handoff, AgentSpec):
            problems += _read_templates(handoff, place.at("handoffs", index))
    return problems


def _has_templates(reading: Reading) -> bool:
    return reading.checkable is not None and _names_template(reading.checkable)


def _names_template(spec: AgentSpec) -> bool:
    inline = (handoff for handoff in spec.handoffs if isinstance(handoff, AgentSpec))
    return spec.instructions_file is not None or any(map(_names_template, inline))


def _name(entry: _Entry) -> str | None:
    return None if entry.reading.spec is None else entry.reading.spec.name


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    # The change time tells of new permissions too.
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
