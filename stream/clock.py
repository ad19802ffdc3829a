"""The wall clock: the only place that reads it for event processing; everything else takes time as an argument."""

import time
from collections.abc import Callable

STEP_MS = 5_000
"""A difference between wall clock and monotonic clock that no slewing explains."""
PATIENCE_S = 60.0
"""How long a step has to last before it is believed."""


def now_ms() -> int:
    """Return the wall clock, epoch milliseconds (UTC)."""
    return time.time_ns() // 1_000_000


class SteadyClock:
    """The wall clock without sudden steps: it lets idle partitions' sessions end, and a wrong hour would end them all.

    A step (somebody set the clock, a time server corrected it, a virtual machine slept) is followed only when it has
    lasted for PATIENCE_S; until then the monotonic clock counts on.

    Args:
        wall: epoch milliseconds.
        monotonic: seconds, never going back.

    Attributes:
        steps: steps noticed so far.
    """

    def __init__(self, wall: Callable[[], int] = now_ms, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.steps = 0
        self._wall = wall
        self._monotonic = monotonic
        self._last_ms, self._last_s = wall(), monotonic()
        self._stepped_s: float | None = None

    def __call__(self) -> int:
        """Return the time, epoch milliseconds."""
        wall, now_s = self._wall(), self._monotonic()
        expected = self._last_ms + round((now_s - self._last_s) * 1000)
        if abs(wall - expected) <= STEP_MS:
            self._stepped_s = None
        elif self._stepped_s is None:
            self._stepped_s = now_s
            self.steps += 1
        lasted = self._stepped_s is not None and now_s - self._stepped_s >= PATIENCE_S
        if lasted:
            self._stepped_s = None
        self._last_s = now_s
        self._last_ms = wall if self._stepped_s is None else expected
        return self._last_ms
