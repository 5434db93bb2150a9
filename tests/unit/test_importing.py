"""Imports in a thread leave the interpreter as they found it."""

from __future__ import annotations

import gc
import sys
import threading

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


def test_two_that_overlap_leave_it_as_they_found_it() -> None:
    interval = sys.getswitchinterval()
    first_is_in, second_begins = threading.Event(), threading.Event()

    def first() -> None:
        with beside_a_loop():
            first_is_in.set()
            assert second_begins.wait(10)

    def second() -> None:
        assert first_is_in.wait(10)
        second_begins.set()
        with beside_a_loop():
            other.join(10)

    other, another = threading.Thread(target=first), threading.Thread(target=second)
    for thread in (other, another):
        thread.start()
    for thread in (other, another):
        thread.join(10)
    assert sys.getswitchinterval() == interval
    assert gc.isenabled()
