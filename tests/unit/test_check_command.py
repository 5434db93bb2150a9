"""`omnirt check`: what it prints, and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omnirt import check_command


def checked(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, list[str]]:
    code = check_command.run([str(arg) for arg in args])
    return code, capsys.readouterr().out.splitlines()


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_good_agents_say_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, a="name: a\nhandoffs: [b]", b="name: b")
    assert checked(capsys, tmp_path / "a.yaml") == (0, [])
    assert checked(capsys, tmp_path) == (0, [])


def test_each_problem_is_a_line_with_file_and_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, a="name: a\nvoice: x\nhandoffs: [b, nobody]\n", b="name: b\ntools: 3\n")
    code, lines = checked(capsys, tmp_path / "a.yaml")
    assert code == 1
    assert [line.split(": ")[:2] for line in lines] == [
        [str(tmp_path / "a.yaml"), "$.voice"],
        [str(tmp_path / "b.yaml"), "$.tools"],
        [str(tmp_path / "a.yaml"), "$.handoffs[1]"],
    ]


def test_agents_of_other_given_files_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "one", a="name: a\nhandoffs: [b]")
    write(tmp_path / "two", b="name: b\nhandoffs: [a]")
    one, two = tmp_path / "one" / "a.yaml", tmp_path / "two" / "b.yaml"
    assert checked(capsys, one, two) == (0, [])
    assert checked(capsys, one)[0] == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("none.yaml", None, "no such file"),
        ("a.txt", "name: a", "ends in .toml"),
        ("a.json", '{"name": "a",\n}', "line 2"),
        ("a.json", '{"name": "\\ud800"}', "surrogate"),
        ("a.json", '{"name": "a", "\\u001b[2J": 1}', "\\x1b[2J"),
        ("a.yaml", "- a", "object"),
    ],
)
def test_whatever_is_wrong_is_a_problem_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    code, lines = checked(capsys, tmp_path / name)
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(f"{tmp_path / name}: $")
    assert says in lines[0]


def test_two_agents_of_one_name_beside_each_other_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, a="name: x", b="name: x")
    assert checked(capsys, tmp_path / "b.yaml")[1] == [
        f"{tmp_path / 'b.yaml'}: $.name: a.yaml has this name too"
    ]


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, a="name: a\ninstructions: |\n  one\n  {% if %}\n", b="name: b")
    file = str(tmp_path / "a.yaml")
    assert check_command.run(["--json", file]) == 1
    told = json.loads(capsys.readouterr().out)
    [problem] = told["problems"]
    assert told["valid"] is False
    assert (problem["file"], problem["path"], problem["line"]) == (file, "$.instructions", 2)
    assert check_command.run(["--json", str(tmp_path / "b.yaml")]) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "problems": []}


def test_python_is_imported_unless_it_is_refused_and_prints_where_nobody_reads_it(tmp_path: Path) -> None:
    """In a process, whose working directory is no place of modules, and whose PYTHONPATH is one."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "wares.py").write_text("import os\nprint('hello')\nos.system('echo hello')\nx = 3\n")
    write(tmp_path, a="name: a\ntools: [{run: 'python:wares:x'}]\n")

    def run(*args: str, path: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "omnirt", "check", *args],
            cwd=tmp_path / "shop",
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    found = run("../a.yaml", path=str(tmp_path / "shop"))
    assert (found.returncode, found.stdout.count("\n")) == (1, 1), found
    assert "It is a int" in found.stdout
    assert found.stderr == "hello\nhello\n"
    assert "no Python module `wares`" in run("../a.yaml").stdout
    assert "--no-code" in run("../a.yaml", "--no-code", path=str(tmp_path / "shop")).stdout
    assert run("--no-code", "python:wares:x").returncode == 1
    assert run().returncode == 2
