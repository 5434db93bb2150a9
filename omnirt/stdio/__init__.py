"""The only code that touches stdin and stdout: claims the file descriptors, reads one, writes the other.

Nothing here blocks the event loop and nothing sets O_NONBLOCK on a description that others share: a pipe is
opened anew through /proc, a socket is asked per call, and what can do neither (files, terminals) has a
thread.
"""

from __future__ import annotations

from omnirt.stdio.descriptors import claim
from omnirt.stdio.reading import Input
from omnirt.stdio.writing import Output, Source

__all__ = ["Input", "Output", "Source", "claim"]
