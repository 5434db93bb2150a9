"""How long a piece of work in a thread goes on: until its time is up, or nobody waits for it any more."""

from __future__ import annotations

import math
import time

from omnirt.errors import OmnirtError


class Patience:
    """Asked by work in a thread, now and then; given up from any other thread.

    Args:
        seconds: How long the work may take; without end by default.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._until = time.monotonic() + seconds
        self._given_up = False

    def give_up(self) -> None:
        """Nobody waits any more."""
        self._given_up = True

    @property
    def over(self) -> bool:
        """Whether the work should stop."""
        return self._given_up or time.monotonic() > self._until

    def check(self) -> None:
        """Stop the work when it should.

        Raises:
            OmnirtError: `timed_out`.
        """
        if self.over:
            raise OmnirtError("timed_out", "The storage took too long; try again, or ask for less.")
