"""What the times of a sample's calls say: how fine they are, how well in order, and whether their clock is right."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from featurizer.calls import ApiCall
from stream.checking.formats import Reading
from stream.records import EPOCH_2000

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
_ENOUGH = 10
"""Calls from which their times say how fine the clock is."""


class TimeOrder(NamedTuple):
    """The times of calls; all in milliseconds.

    Attributes:
        first: earliest time.
        last: latest time.
        resolution: 60,000 or 1,000 when no time is finer, else 1.
        behind: calls earlier than one before them in their partition.
        most_behind: the most that one is.
        ahead: calls later than the clock they are held to by more than the tolerance.
        most_ahead: the most that one is.
        delay: median from a call to its record's Kafka timestamp; None without such.
    """

    first: int
    last: int
    resolution: int
    behind: int
    most_behind: int
    ahead: int
    most_ahead: int
    delay: float | None

    @property
    def whole_hours(self) -> bool:
        """The calls ahead are so by whole hours, as local times taken for UTC are."""
        return self.most_ahead >= HOUR // 2 and min(self.most_ahead % HOUR, -self.most_ahead % HOUR) <= 2 * MINUTE


class Pauses(NamedTuple):
    """What a session gap makes of the clients' pauses.

    Attributes:
        sessions: sessions that the gap makes.
        median_calls: calls of the median session.
        short: sessions with fewer calls than the first vector takes.
        soon: pauses longer than the gap, and at most four times as long.
    """

    sessions: int
    median_calls: float
    short: int
    soon: int


def time_order(readings: Sequence[Reading], now: int, tolerance: int) -> TimeOrder | None:
    """Return what the times say; None without calls.

    Args:
        readings: the sample.
        now: the wall clock, epoch milliseconds; calls without a Kafka timestamp are held to it.
        tolerance: how far a call may be ahead, milliseconds.
    """
    calls = [call for reading in readings for call in reading.decoded.calls]
    if not calls:
        return None
    latest: defaultdict[int, int] = defaultdict(int)
    behind: list[int] = []
    ahead: list[int] = []
    delays: list[int] = []
    for record, decoded in readings:
        arrived = record.arrival if record.arrival > EPOCH_2000 else None
        for call in decoded.calls:
            if call.time < latest[record.partition]:
                behind.append(latest[record.partition] - call.time)
            else:
                latest[record.partition] = call.time
            if call.time > (now if arrived is None else arrived) + tolerance:
                ahead.append(call.time - (now if arrived is None else arrived))
            if arrived is not None:
                delays.append(arrived - call.time)
    return TimeOrder(
        first=min(call.time for call in calls),
        last=max(call.time for call in calls),
        resolution=_resolution(calls),
        behind=len(behind),
        most_behind=max(behind, default=0),
        ahead=len(ahead),
        most_ahead=max(ahead, default=0),
        delay=median(delays) if delays else None,
    )


def pauses(calls: Iterable[ApiCall], gap: int, first_vector: int) -> Pauses:
    """Return what a gap makes of calls.

    Args:
        calls: in any order.
        gap: longest pause within a session, milliseconds.
        first_vector: calls that the first vector of a session takes.
    """
    times: defaultdict[str, list[int]] = defaultdict(list)
    for call in calls:
        times[call.client].append(call.time)
    lengths: list[int] = []
    soon = 0
    for own in times.values():
        own.sort()
        lengths.append(1)
        for before, after in pairwise(own):
            if after - before > gap:
                soon += after - before <= 4 * gap
                lengths.append(1)
            else:
                lengths[-1] += 1
    return Pauses(
        len(lengths), median(lengths) if lengths else 0, sum(length < first_vector for length in lengths), soon
    )


def _resolution(calls: Sequence[ApiCall]) -> int:
    """Return the coarsest unit that all times are whole in, at the begin of the calls or at their end.

    Servers that stamp the end of a request have its duration taken off.
    """
    if len(calls) < _ENOUGH:
        return 1
    for unit in (MINUTE, SECOND):
        if all(call.time % unit == 0 or (call.time + round(call.duration_ms or 0)) % unit == 0 for call in calls):
            return unit
    return 1
