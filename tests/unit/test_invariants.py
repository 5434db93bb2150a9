"""Rules about the source that neither the linter nor the import contracts can hold (see ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "omnirt").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_LINES = 300

# Which packages beyond the standard library a part may import.
THIRD_PARTY = {
    "omnirt/protocol": {"msgspec"},
    "omnirt/errors.py": set(),
    "omnirt/client": {"msgspec", "anyio"},
    "omnirt/tapes": set(),
    "omnirt/testing": {"msgspec", "pytest"},
    "omnirt/storage": {"msgspec", "anyio", "platformdirs"},
    "omnirt/rpc": {"msgspec", "anyio", "jsonrpcserver", "oslash", "pybase64"},
    "omnirt/stdio": {"anyio"},
}

# Where something may be written for a person to read: commands, never what runs inside `omnirt serve`.
PRINTS = (
    *("omnirt/cli.py", "omnirt/schema_command.py", "omnirt/check_command.py", "omnirt/auth_command.py"),
    "omnirt/terminal.py",
    *("omnirt/demo", "omnirt/talk", "omnirt/doctor", "omnirt/history", "omnirt/loopback/command.py"),
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def within(path: Path, places: tuple[str, ...] | list[str]) -> bool:
    name = relative(path)
    return any(name == place or name.startswith(f"{place}/") for place in places)


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Every text file of the project, by name: what git knows, or in a source archive all there is."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode == 0:
        names = [name for name in listing.stdout.decode().split("\0") if name]
    else:
        names = [relative(path) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    for name in names:
        path = ROOT / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            yield name, data.decode("utf-8", "replace")


def imported_packages(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.split(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_source_file_is_short_and_says_its_job_first(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= MAX_LINES
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "its first line says what the module is for"


@pytest.mark.parametrize("place", THIRD_PARTY)
def test_a_part_imports_only_the_packages_it_is_allowed(place: str) -> None:
    for path in SOURCES:
        if within(path, [place]):
            packages = set(imported_packages(ast.parse(path.read_text(encoding="utf-8"))))
            foreign = packages - set(sys.stdlib_module_names) - {"omnirt"}
            assert foreign <= THIRD_PARTY[place], relative(path)


def test_only_stdio_touches_the_standard_streams() -> None:
    touched = []
    for path in SOURCES:
        if within(path, ("omnirt/stdio", *PRINTS)):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(
                    value=ast.Name(id="sys"), attr="stdin" | "stdout" | "__stdin__" | "__stdout__"
                ):
                    touched.append(f"{relative(path)}:{node.lineno} sys.{node.attr}")
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="os"), attr="read" | "write" | "dup2" | "fdopen"),
                    args=[ast.Constant(value=0 | 1), *_],
                ):
                    touched.append(f"{relative(path)}:{node.lineno} os call on 0 or 1")
                case ast.Call(func=ast.Name(id="print" | "input")):
                    touched.append(f"{relative(path)}:{node.lineno} print or input")
    assert touched == []


def test_no_module_holds_state_that_two_daemons_would_share() -> None:
    """Tables in capitals are constants; anything else that is mutable, or a `global`, is state."""
    held = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        held += [f"{relative(path)}:{n.lineno} global" for n in ast.walk(tree) if isinstance(n, ast.Global)]
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    pass
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    pass
                case _:
                    continue
            if not name.strip("_").isupper() and name != "__all__" and is_mutable(value):
                held.append(f"{relative(path)}:{node.lineno} {name}")
    assert held == []


def is_mutable(value: ast.expr) -> bool:
    """Whether the expression makes a new list, dict or set, by itself or by one of the usual constructors."""
    makers = {
        "list",
        "dict",
        "set",
        "bytearray",
        "deque",
        "defaultdict",
        "OrderedDict",
        "Queue",
        "Lock",
        "Event",
    }
    match value:
        case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name in makers
        case _:
            return False


def test_no_file_names_a_machine_a_registry_or_a_ticket() -> None:
    forbidden = {
        "a path of some machine": re.compile(r"(?<![\w.:/<~-])/(?:home|Users|work|root|tmp)/\w"),
        "a package registry": re.compile(
            r"\b(?:pypi\.(?:org|python)|registry\.(?:npmjs|yarnpkg)|files\.pythonhosted)"
        ),
        "a ticket": re.compile(r"\bissue #?\d|\(#\d+\)", re.IGNORECASE),
    }
    found = [
        f"{name}: {what}: {match[0]}"
        for name, text in tracked_texts()
        for what, pattern in forbidden.items()
        for match in pattern.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=relative)
def test_a_silenced_check_carries_its_reason(path: Path) -> None:
    bare = re.compile(r"# (?:noqa(?:: [A-Z0-9, ]+)?|type: ignore(?:\[[a-z, -]+\])?) *$")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [f"{number}: {line}" for number, line in enumerate(lines, 1) if bare.search(line)] == []


@pytest.mark.parametrize("path", [p for p in TESTS if "benchmarks" not in p.parts], ids=relative)
def test_a_test_waits_for_conditions_and_never_for_time(path: Path) -> None:
    """A sleep is fine in a `while` that looks at what has no event of its own; and benchmarks keep a pace."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    polls = {id(node) for loop in ast.walk(tree) if isinstance(loop, ast.While) for node in ast.walk(loop)}
    slept = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="time" | "asyncio" | "anyio"), attr="sleep"),
                args=[argument],
            ) if not (isinstance(argument, ast.Constant) and argument.value == 0) and id(node) not in polls:
                slept.append(node.lineno)
    assert slept == []
