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
    began = reported = time.perf_counter()
    start = end = simulation.options.start
    attacks: Counter[str] = Counter()
    written = hostile = 0

    def settle() -> None:
        nonlocal hostile
        final = simulation.labels()
        attacks.update(label.attack.value for label in final)
        hostile += sum(label.calls for label in final)
        if labels is not None:
            labels.write(final)

    for call in calls:
        sink.write(call)
        written += 1
        end = call.time
        now = time.perf_counter()
        if now - reported >= _REPORT_S:
            reported = now
            settle()
            report(written, end)
        if stop.is_set():
            break
    simulation.finish()
    settle()
    report(written, end)
    return Summary(
        calls=written,
        start=start,
        end=end,
        calls_per_second=round(written * 1000 / max(end - start, 1), 3),
        sessions={str(name): number for name, number in sorted(simulation.sessions.items())},
        attacks=dict(sorted(attacks.items())),
        hostile_calls=hostile,
        seconds=round(time.perf_counter() - began, 3),
    )
