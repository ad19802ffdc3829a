"""A slice of the chaos campaign: eight trials, in which every kind of fault happens.

The whole campaign is ``make chaos TRIALS=100``; what fails here shows its seed and what differs.
"""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.chaos.campaign import line_of, one_trial
from tests.chaos.schedule import FaultKind, Schedule, make_schedule
from tests.kafka_broker import Broker, GivenBroker

CALLS = 40_000
FAULTS = 3
"""Both fewer than in the campaign: eight trials have to fit into a run of all tests."""

SLICE: dict[int, Sequence[FaultKind]] = {
    40: [FaultKind.KILL, FaultKind.RELOAD],
    41: [FaultKind.RELOAD, FaultKind.KILL],
    42: [FaultKind.BROKER],
    43: [FaultKind.FREEZE, FaultKind.JOIN],
    44: [FaultKind.KILL_ALL],
    45: [FaultKind.STOP_ALL],
    46: [FaultKind.LEAVE, FaultKind.STOP],
    47: [FaultKind.BROKER, FaultKind.FREEZE],
}
"""Seeds with what must happen in their trials; the rest is up to the seed."""


def schedule(seed: int, broker: Broker | None = None) -> Schedule:
    """Return a trial of the slice; a broker that is not ours is not broken."""
    without = {FaultKind.BROKER} if isinstance(broker, GivenBroker) else set[FaultKind]()
    return make_schedule(seed, force=SLICE[seed], without=without, faults=FAULTS)


def test_every_kind_of_fault_is_in_the_slice() -> None:
    schedules = [schedule(seed) for seed in SLICE]
    assert set().union(*(own.kinds for own in schedules)) == set(FaultKind)
    assert Counter(own.frozen for own in schedules) == {True: 4, False: 4}
    assert {own.fixed_members for own in schedules} == {True, False}
    assert len({own.roles for own in schedules}) == 3


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SLICE)
def test_faults_lose_double_and_change_nothing(seed: int, kafka_broker: Broker) -> None:
    planned = schedule(seed, kafka_broker)
    outcome = one_trial(planned, kafka_broker, CALLS)
    assert outcome.clean, line_of(outcome)
    assert outcome.injected == Counter(fault.kind for fault in planned.faults)
    compared = outcome.comparison.compared
    assert compared["call"] >= CALLS
    assert min(compared[kind] for kind in ("session", "vector", "alert", "dead letter", "degree")) > 100
