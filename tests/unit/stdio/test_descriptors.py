"""What stands in the place of stdout outlives a tool that closes it."""

from __future__ import annotations

import subprocess
import sys

CODE = """
from omnirt.stdio.descriptors import claim
claim()
import sys
print("before")
sys.stdout.close()
with sys.stdout:
    print("after")
print("at the end", flush=True)
sys.stderr.write("log")
"""


def test_a_closed_stdout_goes_on_and_the_process_ends_well() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.split() == b"before after at the end log".split()
