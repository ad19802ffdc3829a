"""The benchmarks' workloads are what they say."""

from collections import Counter
from itertools import pairwise

import pytest

from featurizer.calls import decode_call
from tests.workloads import Workload, endpoint_names, wire_records


def test_the_same_workload_gives_the_same_records() -> None:
    workload = Workload(n=2_000, seed=3)

    assert list(wire_records(workload)) == list(wire_records(workload))
    assert list(wire_records(workload)) != list(wire_records(workload._replace(seed=4)))


@pytest.mark.parametrize(
    "workload", [Workload(n=3_000), Workload(n=1, clients=1, endpoints=1), Workload(n=500, sigma=0)]
)
def test_records_are_wire_forms_in_event_time_order(workload: Workload) -> None:
    records = list(wire_records(workload))

    calls = [decode_call(record.value) for record in records]
    assert len(calls) == workload.n
    assert [call.time for call in calls] == sorted(record.timestamp for record in records)
    assert all(record.key == call.client.encode() for record, call in zip(records, calls, strict=True))
    assert {call.endpoint for call in calls} <= set(endpoint_names(workload.endpoints))
    assert len({call.request_id for call in calls}) == workload.n


def test_sessions_are_as_long_as_asked() -> None:
    records = wire_records(Workload(n=4_000, clients=400, median_calls=10, sigma=0))

    sizes = Counter(record.key for record in records)

    assert sum(size % 10 == 0 for size in sizes.values()) > len(sizes) / 2


def test_endpoints_follow_each_other_by_habit() -> None:
    """Random endpoints would make every session's graph as large as its calls, which no API's traffic is."""
    endpoints = 50
    records = wire_records(Workload(n=5_000, clients=4, endpoints=endpoints, median_calls=5_000, sigma=0))

    calls = [decode_call(record.value).endpoint for record in records]

    edges = Counter(pairwise(calls))
    assert len(edges) < endpoints**2 / 2
