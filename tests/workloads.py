"""Workloads for throughput benchmarks: many calls in their wire form, made fast, the same every time."""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from featurizer.calls import ApiCall, encode_call

_TABLE_BITS = 10
_TABLE_SIZE = 1 << _TABLE_BITS
_METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE")


class WireRecord(NamedTuple):
    """One record of the topic ``api-calls``: key, value and Kafka timestamp in epoch milliseconds."""

    key: bytes
    value: bytes
    timestamp: int


class Workload(NamedTuple):
    """What the records are like.

    Attributes:
        n: number of records.
        clients: clients there are; a quarter of them is active at a time and each returns after all others.
        endpoints: endpoints there are; each is followed by one of eight others, and now and then by any.
        median_calls: median length of a session.
        sigma: spread of the lengths (standard deviation of the logarithm); 0 makes all equal.
        rate: calls per second of event time.
        start: event time of the first call, epoch milliseconds.
        seed: varies everything that is random.
    """

    n: int
    clients: int = 5_000
    endpoints: int = 200
    median_calls: float = 20.0
    sigma: float = 1.0
    rate: float = 10_000.0
    start: int = 1_767_225_600_000
    seed: int = 0


class _Slot:
    """A client in the middle of a session."""

    __slots__ = ("address", "at", "client", "key", "left")

    def __init__(self, number: int, at: int, left: int) -> None:
        self.client = f"client-{number:06d}"
        self.key = self.client.encode()
        self.address = f"198.{18 + (number >> 16 & 1)}.{number >> 8 & 255}.{number & 255}"
        self.at = at
        self.left = left


def endpoint_names(endpoints: int) -> list[str]:
    """Return the endpoints of a workload."""
    return [f"{_METHODS[i % len(_METHODS)]} /v1/resource{i // 4}/{{id}}/part{i % 4}" for i in range(endpoints)]


def wire_records(workload: Workload) -> Iterator[WireRecord]:
    """Yield the records in event-time order; the calls of all active clients are interleaved at random."""
    rng = random.Random(workload.seed)  # noqa: S311 -- not secret
    names = endpoint_names(workload.endpoints)
    following = _following(workload.endpoints, rng)
    lengths = [
        max(1, round(workload.median_calls * math.exp(rng.gauss(0.0, workload.sigma)))) for _ in range(_TABLE_SIZE)
    ]
    active = max(1, workload.clients // 4)
    slots = [_Slot(i, rng.randrange(workload.endpoints), rng.choice(lengths)) for i in range(active)]
    coming = active
    step_ms = 1000 / workload.rate
    bits, mask = rng.getrandbits, _TABLE_SIZE - 1
    for i in range(workload.n):
        draw = bits(64)
        place = (draw >> 20) % active
        slot = slots[place]
        time = workload.start + int(i * step_ms)
        call = ApiCall(
            time,
            slot.client,
            names[slot.at],
            200,
            (draw & mask) / 10,
            f"{draw:016x}{i:016x}",
            "user",
            slot.address,
            (draw >> 40 & 7) * 0x9E3779B1 & 0xFFFFFFFF,  # one of eight objects
        )
        yield WireRecord(slot.key, encode_call(call), time)
        slot.left -= 1
        if slot.left:
            slot.at = following[slot.at][draw >> _TABLE_BITS & mask]
        else:
            slots[place] = _Slot(coming % workload.clients, rng.randrange(workload.endpoints), rng.choice(lengths))
            coming += 1


def _following(endpoints: int, rng: random.Random) -> list[list[int]]:
    """Return, for each endpoint, the endpoints that may come next: few of them often, any of them rarely."""
    tables = []
    for _ in range(endpoints):
        usual = [rng.randrange(endpoints) for _ in range(8)]
        table = [usual[min(int(rng.expovariate(0.6)), 7)] for _ in range(_TABLE_SIZE)]
        for _ in range(_TABLE_SIZE // 32):
            table[rng.randrange(_TABLE_SIZE)] = rng.randrange(endpoints)
        tables.append(table)
    return tables
