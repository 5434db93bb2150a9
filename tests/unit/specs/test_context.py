"""`build_context`: what it gives is seen by the template, what it does wrong is `agent_invalid`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnirt.errors import OmnirtError
from omnirt.specs import context as context_module
from omnirt.specs.context import context_of
from omnirt.specs.problems import Place
from omnirt.specs.spec import AgentSpec

MODULE = """
import asyncio, datetime, sys, threading

def plain(variables):
    return {"hotel": "Sol", "guest": variables["user"], "since": datetime.date(2024, 1, 2), "rooms": (1, 2)}

async def awaited(variables):
    await asyncio.sleep(0)
    return {"hotel": "Luna"}

def changes(variables):
    variables["user"] = variables["list"][0] = "changed"
    return {}

class Maker:
    def __call__(self, variables):
        return {"made": True}

maker = Maker()
none = lambda variables: None
a_list = lambda variables: ["sk-secret"]
no_json = lambda variables: {"x": object()}
nan = lambda variables: {"x": float("nan")}
few = lambda: {}
exits = lambda variables: sys.exit(1)
value = 3

def circle(variables):
    made = {}
    made["made"] = made
    return made

def raises(variables):
    raise ValueError("sk-secret")

async def raises_late(variables):
    raise KeyError("sk-secret")

go = threading.Event()
hangs = lambda variables: go.wait(30)

async def hangs_too(variables):
    await asyncio.Event().wait()
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "contexts_of_test.py").write_text(MODULE)
    yield
    module: Any = sys.modules.pop("contexts_of_test", None)
    if module is not None:
        module.go.set()


def made(name: str, **members: Any) -> dict[str, Any]:
    spec = AgentSpec(name="a", build_context=f"contexts_of_test:{name}", **members)
    return context_of(spec, {"user": "Ana"}, Place())


def test_a_function_gets_the_variables_and_gives_the_context() -> None:
    assert made("plain") == {"hotel": "Sol", "guest": "Ana", "since": "2024-01-02", "rooms": [1, 2]}
    assert made("plain", variables={"user": "Bo"})["guest"] == "Ana"
    assert made("awaited") == {"hotel": "Luna"}
    assert made("maker") == {"made": True}


def test_without_one_the_context_is_the_specs() -> None:
    assert context_of(AgentSpec(name="a", context={"b": 1}), None, Place()) == {"b": 1}
    assert context_of(AgentSpec(name="a"), None, Place()) == {}


def test_what_it_does_to_the_variables_stays_with_it() -> None:
    variables = {"list": [1]}
    made("changes", variables=variables)
    assert variables == {"list": [1]}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none", "gives a NoneType"),
        ("a_list", "gives a list"),
        ("no_json", "more than JSON"),
        ("nan", "NaN"),
        ("circle", "more than JSON"),
        ("few", "raised TypeError"),
        ("exits", "raised SystemExit"),
        ("raises", "raised ValueError (contexts_of_test.py, line 3"),
        ("raises_late", "raised KeyError"),
        ("value", "can't be called"),
        ("nothing", "has no `nothing`"),
    ],
)
def test_what_goes_wrong_is_agent_invalid_in_words(name: str, says: str) -> None:
    with pytest.raises(OmnirtError) as caught:
        made(name)
    assert caught.value.kind == "agent_invalid"
    assert str(caught.value.facts["path"]).startswith("$.build_context")
    assert says in caught.value.message
    assert "sk-secret" not in caught.value.message


@pytest.mark.parametrize("name", ["hangs", "hangs_too"])
def test_it_has_a_time_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_module, "CONTEXT_S", 0.05)
    with pytest.raises(OmnirtError, match=r"did not end within 0\.05 s"):
        made(name)
