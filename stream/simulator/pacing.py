"""Pacing: simulated calls at the speed of a clock."""

from collections.abc import Callable, Iterable, Iterator

from stream.simulator.visits import SimulatedCall


def paced(
    calls: Iterable[SimulatedCall], clock: Callable[[], int], sleep: Callable[[float], bool | None]
) -> Iterator[SimulatedCall]:
    """Yield each call when the clock reaches its time; at once when it has passed.

    Args:
        calls: ordered by time.
        clock: the present in the calls' event time, epoch milliseconds.
        sleep: waits for the seconds it is given, or less. When it returns true, as ``threading.Event.wait`` does once
            the event is set, the call at hand is yielded and the iteration ends.
    """
    now = clock()
    for call in calls:
        while call.time > now:
            now = clock()
            if call.time > now and sleep((call.time - now) / 1000):
                yield call
                return
        yield call
