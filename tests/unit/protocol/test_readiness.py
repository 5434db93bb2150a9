"""Structs that threads read documents with: a first use in several at once must not crash the process."""

from __future__ import annotations

import subprocess
import sys

RACE = """
import sys, threading
import msgspec
from omnirt.loopback.script import Script
script = {
    "rules": [{"on": "text", "do": [{"say": "heard"}]}],
    "connections": [{"faults": [{"at": {"type": "x"}, "drop": {"code": 1000}}]}],
}
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
def use():
    together.wait()
    msgspec.convert(script, Script)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
TRIES = 5
"""Every other one crashed."""


def test_the_first_use_of_a_struct_may_be_in_many_threads() -> None:
    for _ in range(TRIES):
        assert subprocess.run([sys.executable, "-c", RACE], check=False, timeout=60).returncode == 0
