"""A wall clock that is set does not end sessions at once; one that stays so is believed."""

from stream.clock import PATIENCE_S, STEP_MS, SteadyClock

START = 1_700_000_000_000


class Clocks:
    """A wall clock that can be set, and a monotonic one."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.offset = START
        self.steady = SteadyClock(lambda: self.offset + round(self.seconds * 1000), lambda: self.seconds)

    def after(self, seconds: float) -> int:
        """Return what the steady clock says so much later, milliseconds after the start."""
        self.seconds += seconds
        return self.steady() - START - 100_000


def test_it_is_the_wall_clock() -> None:
    clocks = Clocks()
    assert [clocks.after(1), clocks.after(0), clocks.after(3600)] == [1000, 1000, 3_601_000]
    assert clocks.steady.steps == 0


def test_small_corrections_are_followed_at_once() -> None:
    clocks = Clocks()
    clocks.offset += STEP_MS
    assert clocks.after(1) == 1000 + STEP_MS
    clocks.offset -= STEP_MS
    assert clocks.after(1) == 2000
    assert clocks.steady.steps == 0


def test_a_step_is_not_followed_until_it_has_lasted() -> None:
    clocks = Clocks()
    clocks.offset += 86_400_000
    assert clocks.after(1) == 1000
    assert clocks.after(PATIENCE_S - 1) == PATIENCE_S * 1000
    assert clocks.after(1) == 86_400_000 + (PATIENCE_S + 1) * 1000
    assert clocks.after(1) == 86_400_000 + (PATIENCE_S + 2) * 1000
    assert clocks.steady.steps == 1


def test_a_step_that_is_taken_back_leaves_no_trace() -> None:
    clocks = Clocks()
    clocks.offset -= 86_400_000
    assert clocks.after(1) == 1000
    clocks.offset += 86_400_000
    assert clocks.after(PATIENCE_S * 2) == 1000 + PATIENCE_S * 2000
