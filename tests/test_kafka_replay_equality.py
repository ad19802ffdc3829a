"""The real web server log gives the same sessions through Kafka and two workers as it does read from its file."""

import json
import math
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.kafka_broker import CHECKOUT
from tests.kafka_fixture import Kafka
from tests.kafka_workers import GATEWATCH, PARTITIONS, Gatewatch, Worker, wait_for

LOG = CHECKOUT / "tests/data/elastic_apache_access.log"

SETTINGS = {
    "model.bundle": "demo",
    "inputs": [],
    # The log's lines are out of order by up to a minute, and between the partitions by as much as is under way.
    "sessions.lateness_s": 60.0,
    # The wall clock closes what the log left open: six seconds after the last line.
    "sessions.linger_s": 3.0,
    "sessions.idle_after_s": 3.0,
}


class Key(NamedTuple):
    """What makes a session the same in both runs; its id also says where in the log it began."""

    client: str
    start: int
    end: int
    calls: int


Features = dict[Key, dict[str, float | None]]


def replay(gatewatch: Gatewatch, folder: Path) -> tuple[Features, dict[str, Any]]:
    """Read the file twice, the second time with the final degrees of the first; return sessions and summary."""
    degrees = folder / "degrees.json"
    first = [*GATEWATCH, "replay", str(LOG), "--json", *gatewatch.flags()]
    subprocess.run([*first, "--degrees-out", str(degrees)], capture_output=True, timeout=60, check=True)
    gatewatch.settings["degrees.frozen"] = str(degrees)
    second = [*GATEWATCH, "replay", str(LOG), "--json", *gatewatch.flags()]
    done = subprocess.run(second, capture_output=True, timeout=60, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return sessions_of([line for line in lines if line["type"] == "session"]), lines[-1]


def sessions_of(documents: list[dict[str, Any]]) -> Features:
    """Return the features of closed sessions."""
    found = {Key(own["client"], own["start"], own["end"], own["calls"]): own["features"] for own in documents}
    assert len(found) == len(documents), "no session twice"
    return found


def differing(left: Features, right: Features) -> list[tuple[Key, str]]:
    """Return the sessions with the features that differ by more than 1e-9 of their value."""
    return [
        (key, name)
        for key, features in left.items()
        for name, value in features.items()
        if not same(value, right[key][name])
    ]


def same(left: float | None, right: float | None) -> bool:
    """Compare two features; None is missing."""
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_workers_find_the_sessions_of_the_file(kafka: Kafka, tmp_path: Path) -> None:
    """Each client's lines are in one partition, as a shipper writes them that keys by address."""
    gatewatch = Gatewatch(kafka, tmp_path, SETTINGS)
    gatewatch.settings["inputs"] = [{"topic": gatewatch.logs, "format": "combined"}]
    expected, summary = replay(gatewatch, tmp_path)
    assert summary["lines"] == summary["calls"] == 10_000

    gatewatch.create_topics()
    with gatewatch.worker() as one, gatewatch.worker() as other:
        for worker in (one, other):
            worker.wait_ready()
        wait_for(lambda: halves(one, other), "the two workers to share the partitions")
        produce(gatewatch)
        wait_for(lambda: sum(own["calls"] for own in gatewatch.closed_sessions()) >= 10_000, "all sessions to close")
        shares = [worker.metric("gatewatch_sessions_closed_total") for worker in (one, other)]
        assert [one.stop(), other.stop()] == [0, 0]

    found = sessions_of(gatewatch.closed_sessions())
    assert found.keys() == expected.keys()
    assert differing(expected, found) == []
    assert min(shares) > 0, "both workers took part"
    assert sum(shares) == len(found)
    assert gatewatch.read(gatewatch.dead_letters) == []


def halves(one: Worker, other: Worker) -> bool:
    """Tell whether two workers have half of the partitions each, in both roles."""
    shares = [worker.partitions(role) for worker in (one, other) for role in ("normalise", "detect")]
    return shares == [PARTITIONS / 2] * 4


def produce(gatewatch: Gatewatch) -> None:
    """Write the log's lines to the topic, each client's to one partition, as a shipper does that keys by address."""
    producer = gatewatch.producer()
    for line in LOG.read_bytes().splitlines():
        producer.produce(gatewatch.logs, line, line.split(b" ", 1)[0])
    assert producer.flush(30) == 0
