"""Imports in a thread leave the interpreter as they found it."""

from __future__ import annotations

import gc
import sys

import pytest

from omnirt.importing import SWITCH_S, beside_a_loop


def test_threads_take_short_turns_and_nothing_is_collected_until_it_is_over() -> None:
    interval = sys.getswitchinterval()
    with beside_a_loop():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
        assert not gc.isenabled()
    assert sys.getswitchinterval() == interval
    assert gc.isenabled()


def test_also_when_the_import_fails() -> None:
    interval = sys.getswitchinterval()
    with pytest.raises(ImportError), beside_a_loop():
        raise ImportError
    assert sys.getswitchinterval() == interval
    assert gc.isenabled()
