"""Reads one TOML, YAML or JSON file into plain JSON values, bounded, with errors that name file and line."""

from __future__ import annotations

import datetime
import json
import math
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from omnirt.specs.problems import Place

if TYPE_CHECKING:
    import yaml

SUFFIXES: Final = (".toml", ".yaml", ".yml", ".json")
MAX_FILE_BYTES: Final = 1 << 20
MAX_NODES: Final = 100_000
"""Values in a YAML document once its aliases are written out: a small file can stand for billions."""
MAX_DEPTH: Final = 64


def read_document(path: Path, place: Place) -> object:
    """The plain value in a file.

    Args:
        path: A file with one of `SUFFIXES`.
        place: For errors; should carry the file.

    Raises:
        OmnirtError: Of the place's kind, with the line where there is one.
    """
    text = read_text(path, MAX_FILE_BYTES, place)
    match path.suffix.lower():
        case ".toml":
            value = _toml(text, place)
        case ".json":
            value = _json(text, place)
        case _:
            value = _yaml(text, place)
    return plain(value, place)


def read_text(path: Path, limit: int, place: Place) -> str:
    """The UTF-8 text of a regular file of at most `limit` bytes."""
    try:
        if not path.is_file():
            raise place.problem("There is no such file, or it is no regular file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise place.problem(f"The file can't be read: {error.strerror}") from None
    if len(data) > limit:
        raise place.problem(f"The file is larger than {limit // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise place.problem(f"The file is not UTF-8 (line {line})", line=line) from None


def inside(name: str, place: Place) -> Path:
    """The path of a file that a spec names, which must stand in the folder of the spec.

    Args:
        name: Relative to that folder.
        place: Where the spec names it; its file is the spec's.

    Raises:
        OmnirtError: Of the place's kind: it stands elsewhere (behind `..` or a symbolic link, too), or the
            spec is in no file.
    """
    if place.file is None:
        raise place.problem("Only a spec in a file may name files beside it")
    try:
        root = place.file.parent.resolve()
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL in it; symbolic links in a circle
        raise place.problem("This is no path") from None
    if Path(name).is_absolute() or ".." in Path(name).parts or not path.is_relative_to(root):
        raise place.problem("The file must stand in the folder of the spec")
    return path


def _toml(text: str, place: Place) -> object:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits, too
        line = re.search(r"at line (\d+)", str(error))
        raise place.problem(
            f"No TOML: {error or 'nested too deeply'}", line=int(line[1]) if line else None
        ) from None


def _json(text: str, place: Place) -> object:
    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        if twice:
            raise place.problem(f"The member `{twice[0]}` stands twice")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=members)
    except json.JSONDecodeError as error:
        raise place.problem(f"No JSON: {error.msg} (line {error.lineno})", line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise place.problem(f"No JSON: {error or 'nested too deeply'}") from None


def _yaml(text: str, place: Place) -> object:
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _weigh(root, place)
        value: object = loader.construct_document(root)
        return value
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise place.problem(f"No YAML: {error.problem or error.context} (line {line})", line=line) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a scalar that looks like a date and is none.
        raise place.problem(
            f"No YAML: {str(error).splitlines()[0] if str(error) else 'unreadable'}"
        ) from None


def _weigh(root: yaml.Node, place: Place) -> None:
    """Refuses doubled members, aliases of themselves, and documents that blow up when written out."""
    import yaml

    weights: dict[int, int] = {}
    open_nodes: set[int] = set()

    def weight(node: yaml.Node) -> int:
        if id(node) in weights:
            return weights[id(node)]
        line = node.start_mark.line + 1
        if id(node) in open_nodes:
            raise place.problem(f"An alias contains itself (line {line})", line=line)
        open_nodes.add(id(node))
        total = 1
        if isinstance(node, yaml.SequenceNode):
            total += sum(weight(child) for child in node.value)
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, child in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in seen:
                        here = key.start_mark.line + 1
                        raise place.problem(f"The member `{key.value}` stands twice (line {here})", line=here)
                    seen.add(key.value)
                total += weight(key) + weight(child)
        open_nodes.discard(id(node))
        if total > MAX_NODES:
            raise place.problem(f"More than {MAX_NODES} values, aliases written out (line {line})", line=line)
        weights[id(node)] = total
        return total

    weight(root)


def plain(value: object, place: Place, depth: int = 0) -> object:
    """`value` with nothing in it but what JSON has; dates become their ISO text."""
    if depth > MAX_DEPTH:
        raise place.problem(f"Nested deeper than {MAX_DEPTH}")
    match value:
        case None | bool() | int():
            return value
        case str():
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                raise place.problem("A lone surrogate is no text")
            return value
        case float():
            if not math.isfinite(value):
                raise place.problem("NaN and infinity are no JSON numbers")
            return value
        case datetime.date() | datetime.time():  # a datetime is a date
            return value.isoformat()
        case list() | tuple():
            return [plain(member, place.at(index), depth + 1) for index, member in enumerate(value)]
        case dict():
            for name in value:
                if not isinstance(name, str):
                    raise place.problem(f"The member name `{name}` is no string: put it in quotes")
                plain(name, place)
            return {name: plain(member, place.at(name), depth + 1) for name, member in value.items()}
        case _:
            raise place.problem(f"A {type(value).__name__} can't stand here")
