"""The wall clock: the only place that reads it for event processing; everything else takes time as an argument."""

import time


def now_ms() -> int:
    """Return the wall clock, epoch milliseconds (UTC)."""
    return time.time_ns() // 1_000_000
