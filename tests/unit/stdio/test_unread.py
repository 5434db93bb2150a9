"""What is written to a stderr that nobody reads is lost and counted, and nobody waits."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from omnirt.stdio.descriptors import own_description
from omnirt.stdio.unread import Unread

LINE = b"x" * 99 + b"\n"


@pytest.mark.parametrize("anew", [True, False], ids=["opened anew", "asked each time"])
def test_a_full_pipe_costs_lines_that_are_counted_and_ends_no_line_in_its_midst(anew: bool) -> None:
    read_end, write_end = os.pipe()
    own = own_description(write_end, os.O_WRONLY) if anew else None
    assert (own is not None) == anew
    stream = Unread(write_end, own)
    writing = threading.Thread(target=lambda: [stream.write(LINE) for _ in range(2000)], daemon=True)
    writing.start()
    writing.join(10)
    assert not writing.is_alive(), "it waits for a reader"
    taken = os.read(read_end, 1 << 20)
    stream.write(b"the last\n")
    lines = (taken + os.read(read_end, 1 << 20)).splitlines(keepends=True)
    assert lines[-1] == b"the last\n"
    lost = int(lines[-2].rstrip(b")\n").rpartition(b" ")[2])
    assert lost > 0
    assert lines[:-2] == [LINE] * (2000 - lost)
    for fd in (read_end, write_end, own):
        if fd is not None:
            os.close(fd)


def test_a_line_longer_than_the_pipe_is_ended_before_the_next() -> None:
    read_end, write_end = os.pipe()
    stream = Unread(write_end, own_description(write_end, os.O_WRONLY))
    stream.write(b"a" * 200_000 + b"\n")
    taken = b""
    for _ in range(10):
        taken += os.read(read_end, 1 << 20)
        stream.write(b"b\n")
        if taken.endswith(b"b\n"):
            break
    lines = taken.split(b"\n")
    assert lines[0] == b"a" * 200_000
    assert set(lines[1:]) <= {b"b", b"", b"(lines lost here, as nobody read them: 1)"} | {
        b"(lines lost here, as nobody read them: %d)" % count for count in range(10)
    }


def test_a_stream_without_a_reader_or_a_disk_takes_everything() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    assert Unread(write_end, None).write(LINE) == len(LINE)
    os.close(write_end)
    assert Unread(write_end, None).write(LINE) == len(LINE)
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb", buffering=0) as full:
            assert Unread(full.fileno(), None).write(LINE) == len(LINE)
