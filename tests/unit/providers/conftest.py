"""For the tests of endpoints: a machine without proxies, whatever it has."""

from __future__ import annotations

import pytest

from tests.support.internet import through


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy but a test's own."""
    for name, value in through("").items():
        monkeypatch.setenv(name, value)
