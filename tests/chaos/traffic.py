"""Traffic: the input of a trial, the same for a seed but for when it begins.

Clients come in sessions of 1 to 60 calls and come back after a pause longer than the gap. One client in eight
walks endpoints that the others do not use. One record in sixty or so is
bad, late, from the future, a copy, or an array.
"""

import math
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from stream.migration import partition_of
from stream.wire import client_key

PARTITIONS = 4
GAP_S = 25.0
QUIET_S = 5.0
LATENESS_S = 4.0
LINGER_S = 3.0
MOST_CALLS = 48
"""Setting ``sessions.max_calls``: below the longest sessions, so that some are split."""
SPAN_S = 600
"""Event time from the first call to the last."""
_MARKER_S = 1200
_CALLS_A_CLIENT = 130
_FUTURE_MS = 400_000
_ENDPOINTS = 20
_RARE = 200
_ODDITY = (0, 0, 0, 0, 0, 0, 0, 7)
"""Of sixteen calls of a client, those to rare endpoints, by the client's number modulo eight."""
_STEPS = (0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 19, 19, 19, 19, 2, 18)
_PAUSES_MS = tuple(int(-900 * math.log(1 - place / 1024)) for place in range(1024))
"""Exponential, with a mean of 900 ms."""
_METHODS = ("GET", "GET", "POST", "PUT")
_STATUSES = (200,) * 12 + (201, 304, 403, 500)


class LogRecord(NamedTuple):
    """One record of the topic of gateway logs; the timestamp in epoch milliseconds."""

    partition: int
    key: bytes | None
    value: bytes
    timestamp: int


class _Call(NamedTuple):
    """A call on its way to a record; times in milliseconds since the traffic began."""

    sent: int
    time: int
    client: int
    endpoint: int
    first: int
    """When its session began."""


def make_traffic(seed: int, start: int, calls: int) -> list[LogRecord]:
    """Return the records in the order in which they are written.

    Args:
        seed: varies all but the number.
        start: event time of the beginning, epoch milliseconds.
        calls: about how many calls.
    """
    rng = Random(f"traffic {seed}")  # noqa: S311 -- not secret
    clients = max(PARTITIONS, calls // _CALLS_A_CLIENT)
    scheduled = [call for client in range(clients) for call in _calls_of(rng, client)]
    scheduled.sort()
    records = [record for number, call in enumerate(scheduled) for record in _records_of(rng, number, call, start)]
    records.sort(key=lambda record: record.timestamp)
    return records


def markers(start: int) -> list[LogRecord]:
    """Return the tail: a call in each partition of the calls, so much later that every other session closes."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < PARTITIONS:
        client = f"marker-{number}"
        found.setdefault(partition_of(client_key(client), PARTITIONS), client)
        number += 1
    time = start + _MARKER_S * 1000
    return [
        LogRecord(partition, client.encode(), _entry(time, client, 0, f"marker {client}"), time)
        for partition, client in sorted(found.items())
    ]


def _calls_of(rng: Random, client: int) -> Iterator[_Call]:
    """Yield a client's calls: sessions with pauses between them, all within the span."""
    oddity = _ODDITY[client % len(_ODDITY)]
    time = int(rng.uniform(0, 120_000))
    bits = rng.getrandbits
    while True:
        first, at = time, bits(16)
        for _ in range(min(60, 1 + int(rng.expovariate(1 / 30)))):
            if time >= SPAN_S * 1000:
                return
            draw = bits(46)
            if draw & 15 < oddity:
                at = _ENDPOINTS + (draw >> 4 & 0xFFF) % _RARE
            else:
                at = (at + _STEPS[draw >> 4 & 15]) % _ENDPOINTS
            late = draw >> 16 & 1023
            sent = time + (late * 4 if late > 1010 else late >> 3)
            yield _Call(sent, time, client, at, first)
            time += 1 + (6000 + (draw >> 26 & 8191) if draw >> 40 < 2 else _PAUSES_MS[draw >> 26 & 1023])
        pause = rng.uniform(100, 15_000) if rng.random() < 0.4 else rng.expovariate(1 / 90_000)
        time += int(GAP_S * 1000 + pause) + 1


def _records_of(rng: Random, number: int, call: _Call, start: int) -> Iterator[LogRecord]:
    """Yield the call's record, and now and then what a gateway's log holds besides."""
    client = f"client-{call.client:05d}"
    key: bytes | None = client_key(client)
    partition = partition_of(client_key(client), PARTITIONS)
    if partition == 0 and call.client % 4 == 0:  # some clients come by two gateways, which lag each other
        key, partition = None, rng.randrange(2)
    value = _entry(start + call.time, client, call.endpoint, f"{number:08x}-{rng.getrandbits(48):012x}")
    sent = start + call.sent
    yield LogRecord(partition, key, value, sent)
    draw = rng.random()
    if draw > 0.021:
        return
    other: bytes
    if draw < 0.003:
        other = b"\xff\x00" + value[:20]
    elif draw < 0.006:
        other = value.replace(b'"client"', b'"nobody"')
    elif draw < 0.008:
        broken = value.replace(b'"method"', b'"verb"')
        other = b"[" + b",".join((_entry(start + call.time, client, 3, f"{number:08x}-a"), broken)) + b"]"
    elif draw < 0.011:
        other = _entry(sent + _FUTURE_MS, client, call.endpoint, f"{number:08x}-f")
    elif draw < 0.016:
        other = value
    else:
        time = start + call.first - int(GAP_S * 1000) - rng.randrange(1, 60_000)
        other = _entry(time, client, call.endpoint, f"{number:08x}-l")
    yield LogRecord(partition, key, other, sent + rng.randrange(1500))


def _entry(time: int, client: str, endpoint: int, request: str) -> bytes:
    """Return a record of format ``gatewatch``."""
    method = _METHODS[endpoint % len(_METHODS)]
    return (
        f'{{"time":{time},"client":"{client}","method":"{method}","path":"/area{endpoint % 13}/part{endpoint}/'
        f'{time % 97}","status":{_STATUSES[time % len(_STATUSES)]},"request_id":"{request}","identity":"user",'
        f'"address":"192.0.2.{time // 60_000 % 5}"}}'
    ).encode()
