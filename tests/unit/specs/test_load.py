"""The agent library: files by name, templates beside them, and errors that name the file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs import AgentLibrary
from omnirt.specs.documents import MAX_FILE_BYTES, read_document
from omnirt.specs.problems import Place

YAML = "name: desk\ndescription: At the door\ninstructions: Hello\n"
TOML = 'name = "bill"\n[realtime_settings]\nvoice = "ash"\n'


def write(folder: Path, **files: str) -> AgentLibrary:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return AgentLibrary([folder])


def fails(library: AgentLibrary, agent: str | dict[str, Any]) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        library.resolve(agent)
    return caught.value


def test_agents_are_found_by_the_name_inside_whatever_the_file_is_called(tmp_path: Path) -> None:
    library = write(tmp_path, one__yaml=YAML, two__toml=TOML, three__json=json.dumps({"name": "spa"}))
    assert library.resolve("desk").spec.instructions == "Hello"
    assert library.resolve("bill").spec.realtime() == {"voice": "ash"}
    assert library.resolve("spa").spec.name == "spa"
    assert [(info.name, info.description) for info in library.list()] == [
        ("bill", ""),
        ("desk", "At the door"),
        ("spa", ""),
    ]


def test_an_unknown_name_tells_the_known_ones(tmp_path: Path) -> None:
    error = fails(write(tmp_path, one__yaml=YAML), "disk")
    assert error.kind == "agent_not_found"
    assert "desk" in error.message


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert AgentLibrary([tmp_path / "none"]).list() == []


def test_an_earlier_folder_hides_a_later_one(tmp_path: Path) -> None:
    for folder, text in (("a", "first"), ("b", "second")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, x__yaml=f"name: desk\ninstructions: {text}\n")
    library = AgentLibrary([tmp_path / "a", tmp_path / "b"])
    assert library.resolve("desk").spec.instructions == "first"
    assert len(library.list()) == 1


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    error = fails(write(tmp_path, a__yaml=YAML, b__yaml=YAML), "desk")
    assert (error.kind, error.facts["path"]) == ("agent_invalid", "$.name")
    assert "b.yaml" in error.message


def test_a_file_that_fails_is_read_once_until_it_changes(tmp_path: Path) -> None:
    library = write(tmp_path, bad__yaml="name: [", typo__yaml="name: typo\nvoice: ash\n")
    for name in ("bad", "typo"):
        assert library.read(name).reading is library.read(name).reading
        assert library.read(name).reading.problems
    write(tmp_path, bad__yaml="name: bad", typo__yaml="name: typo")
    assert [library.resolve(name).spec.name for name in ("bad", "typo")] == ["bad", "typo"]


def test_a_template_that_was_missing_is_found_when_it_comes(tmp_path: Path) -> None:
    library = write(tmp_path, a__yaml="name: a\ninstructions_file: a.md\n")
    assert fails(library, "a").facts["path"] == "$.instructions_file"
    (tmp_path / "a.md").write_text("Hello")
    assert library.resolve("a").spec.instructions == "Hello"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    library = write(tmp_path, one__yaml=YAML)
    first = library.resolve("desk").spec
    assert library.resolve("desk").spec is first
    write(tmp_path, one__yaml=YAML.replace("Hello", "Good evening"))
    assert library.resolve("desk").spec.instructions == "Good evening"


def test_a_broken_file_spoils_no_other_and_is_told_by_its_stem(tmp_path: Path) -> None:
    library = write(tmp_path, one__yaml=YAML, two__yaml="name: [\n", three__yaml="nam: x\n")
    assert library.resolve("desk").spec.name == "desk"
    error = fails(library, "two")
    assert error.kind == "agent_invalid"
    assert error.facts["file"] == str(tmp_path / "two.yaml")
    assert error.facts["line"] == 2
    assert fails(library, "three").facts["path"] == "$.nam"
    assert [info.name for info in library.list()] == ["desk"]


def test_the_place_of_a_spec_is_its_file(tmp_path: Path) -> None:
    library = write(tmp_path, one__yaml=YAML)
    assert library.resolve("desk").place.file == tmp_path / "one.yaml"
    assert library.resolve({"name": "x"}).place.file is None


def test_instructions_may_stand_in_a_file_beside_the_spec(tmp_path: Path) -> None:
    library = write(tmp_path, one__yaml="name: a\ninstructions_file: text.md\n", text__md="Hi {{ user }}")
    assert library.resolve("a").spec.instructions == "Hi {{ user }}"
    (tmp_path / "text.md").write_text("Hello {{ user }}")
    assert library.resolve("a").spec.instructions == "Hello {{ user }}"


def test_inline_agents_of_a_file_may_have_files_too(tmp_path: Path) -> None:
    text = "name: a\nhandoffs: [{name: b, instructions_file: text.md}]\n"
    library = write(tmp_path, one__yaml=text, text__md="Hi")
    handoff = library.resolve("a").spec.handoffs[0]
    assert not isinstance(handoff, str)
    assert handoff.instructions == "Hi"


@pytest.mark.parametrize("name", ["../secret.md", "/etc/hostname", "link.md", "", ".", "none.md"])
def test_instructions_come_from_the_folder_of_the_spec_only(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (tmp_path / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    error = fails(write(folder, a__json=json.dumps({"name": "a", "instructions_file": name})), "a")
    assert (error.kind, error.facts["path"]) == ("agent_invalid", "$.instructions_file")


def test_an_inline_spec_may_not_name_a_file() -> None:
    error = fails(AgentLibrary([]), {"name": "a", "handoffs": [{"name": "b", "instructions_file": "x"}]})
    assert (error.kind, error.facts["path"]) == ("agent_invalid", "$.handoffs[0].instructions_file")


BOMB = "name: a\nvariables:\n  x0: [1,1]\n".replace("[1,1]", "&x0 [1,1]") + "".join(
    f"  x{n}: &x{n} [*x{n - 1},*x{n - 1}]\n" for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", "a: 1\na: 2\n", "stands twice (line 2)"),
        ("a.yaml", "a: &x [*x]\n", "contains itself"),
        ("a.yaml", BOMB, "More than"),
        ("a.yaml", "a: !!python/object/apply:os.system ['true']\n", "No YAML"),
        ("a.yaml", "a: b: c\n", "line 1"),
        ("a.yaml", "1: x\n", "no string"),
        ("a.yaml", "a: .nan\n", "NaN"),
        ("a.yaml", "a: !!binary aGk=\n", "bytes"),
        ("a.yaml", "a: 2024-13-99\n", "No YAML"),
        ("a.yaml", "--- 1\n--- 2\n", "No YAML"),
        ("a.yaml", "a: \x01\n", "No YAML"),
        ("a.yaml", "[" * 5000, "No YAML"),
        ("a.toml", "a = \n", "line 1"),
        ("a.toml", "a = nan\n", "NaN"),
        ("a.json", "{\n", "No JSON"),
        ("a.json", '{"a":' * 2000, "No JSON"),
        ("a.json", "[" * 100 + "]" * 100, "deeper"),
    ],
)
def test_a_document_that_is_none_says_what_is_wrong(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(OmnirtError) as caught:
        read_document(path, Place(file=path))
    assert says in caught.value.message
    assert caught.value.facts["file"] == str(path)


def test_dates_become_text_and_aliases_are_written_out(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 2024-01-02\nb: &x {c: 1}\nd: *x\ne: {<<: *x, f: 2}\n")
    assert read_document(path, Place()) == {
        "a": "2024-01-02",
        "b": {"c": 1},
        "d": {"c": 1},
        "e": {"c": 1, "f": 2},
    }
    (tmp_path / "a.toml").write_text("a = 2024-01-02T03:04:05Z\nb = 07:00:00\n")
    assert read_document(tmp_path / "a.toml", Place()) == {"a": "2024-01-02T03:04:05+00:00", "b": "07:00:00"}


def test_an_empty_yaml_file_is_null(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    assert read_document(tmp_path / "a.yaml", Place()) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\xff\xfe", "not UTF-8"), (b" " * (MAX_FILE_BYTES + 1), "larger"), (None, "no such file")],
)
def test_files_are_small_utf8_files(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OmnirtError, match=says):
        read_document(path, Place())


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_document(path, Place()) == {}


def test_a_broken_file_is_known_by_the_name_it_tells_and_has_all_its_problems(tmp_path: Path) -> None:
    library = write(tmp_path, one__yaml="name: desk\nvoice: ash\ntools: 3\n")
    found = library.read("desk")
    assert [problem.facts["path"] for problem in found.reading.problems] == ["$.voice", "$.tools"]
    assert {problem.facts["file"] for problem in found.reading.problems} == {str(tmp_path / "one.yaml")}
    assert library.list() == []
    assert library.broken() == (tmp_path / "one.yaml",)


def test_files_of_editors_and_other_files_are_no_agents(tmp_path: Path) -> None:
    (tmp_path / ".#desk.yaml").symlink_to("nowhere")
    library = write(tmp_path, one__yaml=YAML, two__md="Hi")
    (tmp_path / "desk.yaml~").write_text("name: [")
    (tmp_path / ".hidden.json").write_text("{")
    assert [info.name for info in library.list()] == ["desk"]
    assert library.broken() == ()


def test_a_file_that_can_not_be_read_is_a_problem_and_spoils_no_other(tmp_path: Path) -> None:
    library = write(tmp_path, one__yaml=YAML)
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    assert library.resolve("desk").spec.name == "desk"
    for stem in ("gone", "folder", "pipe"):
        assert "no regular file" in fails(library, stem).message


@pytest.mark.parametrize(
    "made",
    [
        "AgentSpec(name='desk')",
        "{'name': 'desk'}",
        "lambda: {'name': 'desk'}",
        "lambda: AgentSpec(name='desk')",
    ],
)
def test_a_python_object_gives_an_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, request: pytest.FixtureRequest
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"agents_{abs(hash(made))}"
    (tmp_path / f"{name}.py").write_text(f"from omnirt.specs import AgentSpec\nagent = {made}\n")
    assert AgentLibrary([]).resolve(f"python:{name}:agent").spec.name in ("desk", "b")


@pytest.mark.parametrize(
    ("reference", "path", "says"),
    [
        ("python:json:nothing", "$", "has no `nothing`"),
        ("python:", "$", "named as"),
        ("python:json", "$", "named as"),
        ("python:json:", "$", "named as"),
        ("python:json:__name__", "$", "gives a str"),
        ("python:json:JSONDecodeError", "$", "raised TypeError"),
        ("python:collections:OrderedDict", "$.name", "missing"),
        ("python:os:environ", "$", ""),
    ],
)
def test_a_python_object_that_is_no_agent_is_agent_invalid(reference: str, path: str, says: str) -> None:
    error = fails(AgentLibrary([]), reference)
    assert error.kind == "agent_invalid"
    assert str(error.facts["path"]).startswith(path)
    assert says in error.message


def test_without_code_no_python_object_is_imported(tmp_path: Path) -> None:
    error = fails(AgentLibrary([], allow_code=False), "python:json:loads")
    assert (error.kind, error.facts["path"]) == ("agent_invalid", "$")
    assert "--no-code" in error.message
    (tmp_path / "b.yaml").write_text("name: b\nbuild_context: json:loads\n")
    assert fails(AgentLibrary([tmp_path], allow_code=False), "b").facts["path"] == "$.build_context"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.json", '{"name": "a",\n "name": "b"}', None),
        ("a.json", '{"name": "a",\n "x" 1}', 2),
        ("a.json", "9" * 5000, None),
        ("a.toml", "name = 'a'\nx = \n", 2),
        ("a.toml", "a = " + "9" * 5000, None),
        ("a.yaml", "a: 1\nb: [\n", 3),
        ("a.yaml", "a: " + "9" * 5000, None),
    ],
)
def test_a_document_that_can_not_be_read_tells_its_line(
    tmp_path: Path, name: str, text: str, line: int | None
) -> None:
    (tmp_path / name).write_text(text)
    error = fails(AgentLibrary([tmp_path]), "a")
    assert error.facts.get("line") == line
    assert error.facts["file"] == str(tmp_path / name)
