"""Live sessions: the conversation core without I/O, the voice SDK around it, and the registry.

`RealtimeSession` is public. It is imported when it is asked for, because the daemon takes small things from
this package on its way to the first reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omnirt.sessions.session import RealtimeSession as RealtimeSession


def __getattr__(name: str) -> object:
    if name == "RealtimeSession":
        from omnirt.sessions.session import RealtimeSession

        return RealtimeSession
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
