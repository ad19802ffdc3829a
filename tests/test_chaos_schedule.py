"""A trial is made from its seed alone: the same faults and the same input each time."""

from collections import Counter

import pytest

from featurizer.routes import RouteTemplates
from stream.adapters import decoder
from stream.migration import partition_of
from tests.chaos.campaign import trial_seeds
from tests.chaos.schedule import SESSION_TIMEOUT_S, FaultKind, make_schedule
from tests.chaos.traffic import GAP_S, PARTITIONS, SPAN_S, make_traffic, markers

START = 1_700_000_000_000
MANY = range(300)


def test_a_seed_gives_the_same_schedule_and_the_same_input() -> None:
    assert make_schedule(7) == make_schedule(7)
    assert make_schedule(7) != make_schedule(8)
    assert make_traffic(7, START, 2_000) == make_traffic(7, START, 2_000)
    assert make_traffic(7, START, 2_000) != make_traffic(8, START, 2_000)


def test_half_of_the_trials_have_frozen_degrees() -> None:
    schedules = [make_schedule(seed) for seed in trial_seeds(3, 100)]
    assert Counter(own.frozen for own in schedules) == {True: 50, False: 50}


def test_faults_come_in_order_within_the_load() -> None:
    for schedule in map(make_schedule, MANY):
        times = [fault.at for fault in schedule.faults]
        assert times == sorted(times)
        assert 4 <= len(times) <= 7
        assert 1.0 <= times[0] <= times[-1] < 10.0


def test_every_kind_of_fault_occurs() -> None:
    assert set().union(*(schedule.kinds for schedule in map(make_schedule, range(100)))) == set(FaultKind)


def test_a_forced_kind_is_there_and_an_excluded_one_is_not() -> None:
    for seed in MANY:
        schedule = make_schedule(seed, force=[FaultKind.KILL_ALL], without=[FaultKind.BROKER])
        assert FaultKind.KILL_ALL in schedule.kinds
        assert FaultKind.BROKER not in schedule.kinds


@pytest.mark.parametrize("number", [0, 1, 12])
def test_the_number_of_faults_can_be_given(number: int) -> None:
    assert len(make_schedule(1, faults=number).faults) == number


def test_somebody_is_always_left_to_detect() -> None:
    for schedule in map(make_schedule, MANY):
        workers = len(schedule.roles) - schedule.roles.count("normalise")
        for fault in schedule.faults:
            workers += (fault.kind is FaultKind.JOIN) - (fault.kind is FaultKind.LEAVE)
            assert 1 <= workers <= 4


def test_a_frozen_worker_is_missed_by_its_group() -> None:
    frozen = [f for own in map(make_schedule, MANY) for f in own.faults if f.kind is FaultKind.FREEZE]
    assert frozen
    assert min(fault.lasts for fault in frozen) > SESSION_TIMEOUT_S


def test_the_input_holds_what_the_trial_is_about() -> None:
    """Good calls, bad records of each kind, copies, late calls; in order of their Kafka timestamps."""
    records = make_traffic(5, START, 20_000)
    decode = decoder("gatewatch", RouteTemplates([]))
    decoded = [decode(record.value) for record in records]
    reasons = Counter(str(reject.reason) for own in decoded for reject in own.rejects)
    calls = [call for own in decoded for call in own.calls]
    copies = sum(count - 1 for count in Counter(call.request_id for call in calls).values())
    ahead = [call.time - record.timestamp for own, record in zip(decoded, records, strict=True) for call in own.calls]
    assert len(calls) > 18_000
    assert min(reasons["undecodable"], reasons["missing_field"]) > len(records) / 1_000
    assert copies > len(records) / 1_000
    assert sum(lead > 300_000 for lead in ahead) > len(records) / 1_000, "from the future"
    assert sum(lead < -GAP_S * 1_000 for lead in ahead) > len(records) / 1_000, "late"
    assert [record.timestamp for record in records] == sorted(record.timestamp for record in records)
    assert {record.partition for record in records} == set(range(PARTITIONS))


def test_the_markers_come_long_after_everything_and_reach_every_partition() -> None:
    last = max(record.timestamp for record in make_traffic(5, START, 5_000))
    tail = markers(START)
    assert min(record.timestamp for record in tail) > last + 2 * GAP_S * 1_000
    assert max(record.timestamp for record in tail) < START + 3 * SPAN_S * 1_000
    assert sorted(partition_of(record.key or b"", PARTITIONS) for record in tail) == list(range(PARTITIONS))
