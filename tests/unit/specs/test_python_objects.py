"""Python objects that a spec names: found, or refused in words; nothing that their code does gets through."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs import python_objects
from omnirt.specs.problems import Place
from omnirt.specs.python_objects import load_object
from omnirt.specs.threads import MAX_THREADS, BusyError, in_thread

PLACE = Place().at("tools", 0, "run")
COUNT = itertools.count()


class Write(Protocol):
    def __call__(self, text: str) -> str: ...


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module that can be imported, and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    names: list[str] = []

    def make(text: str) -> str:
        name = f"written_{next(COUNT)}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        names.append(name)
        return name

    yield make
    for name in names:
        sys.modules.pop(name, None)


def refused(reference: str) -> OmnirtError:
    with pytest.raises(OmnirtError) as caught:
        load_object(reference, PLACE)
    assert (caught.value.kind, caught.value.facts["path"]) == ("agent_invalid", "$.tools[0].run")
    assert "Traceback" not in caught.value.message
    return caught.value


def test_an_object_is_found_with_and_without_the_prefix_and_below_another(write: Write) -> None:
    name = write("class Desk:\n    opens = 9\n")
    assert load_object(f"python:{name}:Desk.opens", PLACE) == 9
    assert load_object(f"{name}:Desk.opens", PLACE) == 9


def test_what_is_not_there_is_named(write: Write) -> None:
    name = write("import nobody_has_this\n")
    assert "no Python module `nobody_at_all`" in refused("python:nobody_at_all.sub:x").message
    assert "no Python module `json.nope`" in refused("python:json.nope:x").message
    assert "`json` has no `nope`" in refused("python:json:nope").message
    assert f"`nobody_has_this`, which `{name}` needs" in refused(f"python:{name}:x").message
    assert "no Python module" in refused("python:a..b:x").message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\nraise ValueError('sk-secret')\n", "it raised ValueError (written_"),
        ("import sys\nsys.exit(3)\n", "it raised SystemExit"),
        ("raise KeyboardInterrupt\n", "it raised KeyboardInterrupt"),
        ("import asyncio\nraise asyncio.CancelledError\n", "it raised CancelledError"),
        ("raise StopIteration\n", "it raised StopIteration"),
        ("raise TimeoutError\n", "it raised TimeoutError"),
        ("x = (\n", "was never closed (written_"),
        ("def __getattr__(name):\n    raise RuntimeError('sk-secret')\n", "it raised RuntimeError"),
    ],
)
def test_code_that_breaks_is_told_in_words_without_its_own(write: Write, text: str, says: str) -> None:
    message = refused(f"python:{write(text)}:name").message
    assert says in message
    assert "sk-secret" not in message


def test_an_import_that_prints_and_one_that_is_done_already_are_fine(write: Write) -> None:
    name = write("print('hello')\nx = object()\n")
    assert load_object(f"python:{name}:x", PLACE) is load_object(f"python:{name}:x", PLACE)


def test_an_import_that_hangs_ends_at_its_limit(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_objects, "LOAD_S", 0.05)
    name = write("import builtins\nbuiltins.let_go.wait(30)\n")
    let_go = threading.Event()
    monkeypatch.setattr("builtins.let_go", let_go, raising=False)
    assert "did not end within 0.05 s" in refused(f"python:{name}:x").message
    let_go.set()


def test_threads_of_code_that_hangs_are_bounded() -> None:
    let_go = threading.Event()
    waiting = []
    try:
        for _ in range(MAX_THREADS + 1):  # other tests may have left some that hang
            try:
                waiting.append(in_thread(lambda: let_go.wait(30)))
            except BusyError:
                break
        assert 0 < len(waiting) <= MAX_THREADS
        assert "was not begun" in refused("python:json:loads").message
    finally:
        let_go.set()
    assert all(future.result(10) for future in waiting)
    for thread in threading.enumerate():
        if thread.name == "omnirt-code":
            thread.join(0.5)


def test_the_working_directory_is_no_place_of_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "from_here.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "no Python module" in refused("python:from_here:x").message
