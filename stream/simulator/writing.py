"""Writing: a simulation from its first call to its summary."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from stream.simulator.files import LabelFile
from stream.simulator.traffic import Simulation
from stream.simulator.visits import SimulatedCall

_REPORT_S = 0.2

Report = Callable[[int, int], None]
"""Told the number of calls written and the event time reached, a few times a second."""


class Sink(Protocol):
    """Takes calls in their order."""

    def write(self, call: SimulatedCall) -> None:
        """Take one call."""

    def close(self) -> None:
        """Make sure that everything taken has arrived."""


class Summary(msgspec.Struct, frozen=True):
    """What was written.

    Attributes:
        calls: number of calls.
        start: event time at which the simulation begins, epoch milliseconds.
        end: event time of the last call; equal to start when there was none.
        calls_per_second: calls per second of event time.
        sessions: sessions begun, by persona or attack kind; those under way at the start included.
        attacks: labelled attack sessions, by kind.
        hostile_calls: calls of labelled attacks.
        seconds: time it took, by the clock on the wall.
    """

    calls: int
    start: int
    end: int
    calls_per_second: float
    sessions: dict[str, int]
    attacks: dict[str, int]
    hostile_calls: int
    seconds: float


class Ledger:
    """Keeps what was written, and writes labels as they become final.

    Args:
        simulation: where calls and labels come from.
        labels: where the labels go, if anywhere; not closed here.
    """

    def __init__(self, simulation: Simulation, labels: LabelFile | None) -> None:
        self._simulation = simulation
        self._labels = labels
        self._began = time.perf_counter()
        self._attacks: Counter[str] = Counter()
        self._hostile = 0

    def settle(self) -> None:
        """Enter the labels that have become final."""
        final = self._simulation.labels()
        self._attacks.update(label.attack.value for label in final)
        self._hostile += sum(label.calls for label in final)
        if self._labels is not None:
            self._labels.write(final)

    def summary(self, written: int, end: int) -> Summary:
        """Return what was written: so many calls, the last one at ``end``."""
        start = self._simulation.options.start
        return Summary(
            calls=written,
            start=start,
            end=end,
            calls_per_second=round(written * 1000 / max(end - start, 1), 3),
            sessions={str(name): number for name, number in sorted(self._simulation.sessions.items())},
            attacks=dict(sorted(self._attacks.items())),
            hostile_calls=self._hostile,
            seconds=round(time.perf_counter() - self._began, 3),
        )


def write_traffic(  # noqa: PLR0913 -- the parts of one job
    simulation: Simulation,
    calls: Iterable[SimulatedCall],
    sink: Sink,
    *,
    labels: LabelFile | None,
    stop: threading.Event,
    report: Report,
) -> Summary:
    """Write calls until they end or ``stop`` is set, and their labels as these become final.

    Args:
        simulation: where the calls come from; gives the labels.
        calls: the simulation itself, or a paced view of it.
        sink: where the calls go; not closed here.
        labels: where the labels go, if anywhere; not closed here.
        stop: ends the writing after the call at hand.
        report: shows progress.

    Raises:
        CommandError: the sink cannot go on.
        OSError: a file cannot be written.
    """
    ledger = Ledger(simulation, labels)
    reported = time.perf_counter()
    written, end = 0, simulation.options.start
    for call in calls:
        sink.write(call)
        written, end = written + 1, call.time
        if time.perf_counter() - reported >= _REPORT_S:
            reported = time.perf_counter()
            ledger.settle()
            report(written, end)
        if stop.is_set():
            break
    simulation.finish()
    ledger.settle()
    report(written, end)
    return ledger.summary(written, end)
