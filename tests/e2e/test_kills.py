"""`kill -9` at random moments under load, again and again; `make kills` does it fifty times."""

from __future__ import annotations

import os

import pytest

from tests.support import kills

ROUNDS = 8 if os.environ.get("CI") == "true" else 2


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_kill_costs_nothing_that_was_there_200_ms_before(number: int) -> None:
    assert kills.run(1)
