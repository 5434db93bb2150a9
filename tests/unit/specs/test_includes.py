"""What instructions include: files from the folder of the spec, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs.includes import MAX_BYTES, MAX_INCLUDES, MAX_TAGS
from omnirt.specs.instructions import render
from omnirt.specs.problems import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Of a spec in a folder with some parts, and a secret beside the folder."""
    folder = tmp_path / "agents"
    (folder / "parts").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "around.md").symlink_to("around.md")
    for name, text in {
        "hello.md": "Hello {{ user }}{{ nick }}",
        "parts/rules.md": "{% include 'hello.md' %}!",
        "broken.md": "one\n{{ user",
        "late.md": "one\ntwo {{ user + 1 }}",
        "a.md": "{% include 'b.md' %}",
        "b.md": "\n{% include 'a.md' %}",
        "self.md": "{% include 'self.md' %}",
        "tags.md": "{{ user }}" * MAX_TAGS,
        "long.md": "x" * (MAX_BYTES + 1),
        "jump.md": "{% extends 'hello.md' %}",
    }.items():
        (folder / name).write_text(text)
    (folder / "bytes.md").write_bytes(b"\xff")
    return Place(file=folder / "desk.yaml").at("instructions")


def refused(template: str, place: Place) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        render(template, {"user": "Ana"}, place)
    assert (caught.value.kind, caught.value.facts["path"]) == ("agent_invalid", "$.instructions")
    assert "secret" not in caught.value.message.replace("secret.md", "")
    return caught.value


def test_a_file_of_the_folder_is_included_and_rendered(place: Place) -> None:
    rendered = render("{% include 'parts/rules.md' %} {% include 'hello.md' %}", {"user": "Ana"}, place)
    assert rendered.text == "Hello Ana! Hello Ana"
    assert rendered.undefined == ("nick",)


def test_an_include_in_a_loop_sees_its_variables_and_is_paid_for(place: Place) -> None:
    template = "{% for user in ['Bo', 'Cy'] %}{% include 'hello.md' %} {% endfor %}"
    assert render(template, {}, place).text == "Hello Bo Hello Cy "
    endless = (
        "{% for a in range(9999) %}{% for b in range(9999) %}{% include 'hello.md' %}{% endfor %}{% endfor %}"
    )
    refused(endless, place)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/etc/passwd", "folder of the spec"),
        ("../secret.md", "folder of the spec"),
        ("parts/../hello.md", "folder of the spec"),
        ("link.md", "folder of the spec"),
        ("around.md", ""),
        ("parts", "no regular file"),
        ("none.md", "no such file"),
        ("bytes.md", "not UTF-8"),
        ("long.md", "larger than"),
        ("\\x00", "no path"),
        ("jump.md", "only `include`"),
        ("tags.md", "more than"),
    ],
)
def test_what_can_not_be_included_is_an_error(place: Place, name: str, says: str) -> None:
    assert says in refused(f"{{% include '{name}' %}}{{{{ user }}}}", place).message


@pytest.mark.parametrize(
    ("template", "line", "part"),
    [
        ("\n{% include 'none.md' %}", 2, ""),
        ("{% include 'broken.md' %}", 2, "broken.md"),
        ("{% include 'late.md' %}", 2, "late.md"),
        ("{% include 'a.md' %}", 2, "b.md"),
        ("{% include 'self.md' %}", 1, "self.md"),
        ("\n{% include user %}", 2, ""),
        ("\n{% include ['hello.md'] %}", 2, ""),
        ("\n{% include 'hello.md' ~ '' %}", 2, ""),
    ],
)
def test_the_error_tells_the_line_and_the_file(place: Place, template: str, line: int, part: str) -> None:
    error = refused(template, place)
    assert error.facts["line"] == line
    assert f"line {line}" + (f" of {part}" if part else "") in error.message


def test_circles_of_includes_are_told(place: Place) -> None:
    assert "`a.md` includes itself" in refused("{% include 'a.md' %}", place).message
    assert "`self.md` includes itself" in refused("{% include 'self.md' %}", place).message


def test_includes_are_bounded(place: Place) -> None:
    assert place.file is not None
    for index in range(MAX_INCLUDES + 1):
        (place.file.parent / f"{index}.md").write_text("x")
    many = "".join(f"{{% include '{index}.md' %}}" for index in range(MAX_INCLUDES + 1))
    assert f"more than {MAX_INCLUDES}" in refused(many, place).message


def test_an_inline_spec_includes_nothing() -> None:
    assert "in a file" in refused("{% include 'hello.md' %}", Place().at("instructions")).message


def test_what_is_included_reaches_the_process_no_more_than_what_includes(place: Place) -> None:
    assert place.file is not None
    for name, text in {
        "x.md": "{{ ''.__class__ }}",
        "y.md": "{{ self.__init__.__globals__ }}",
        "z.md": "{{ 'a' * 1000000000 }}",
        "w.md": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    }.items():
        (place.file.parent / name).write_text(text)
        refused(f"{{% include '{name}' %}}", place)
