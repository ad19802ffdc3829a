"""Partitions added to api-calls tear no session: a migration moves the open ones to where their calls go now."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stub does not export it
    NewPartitions,
)

from featurizer.calls import ApiCall, encode_call
from featurizer.features import GATEWAY_V1
from featurizer.session import SessionPolicy
from scorer.alerts import AlertPolicy
from stream.clock import now_ms
from stream.errors import ExitCode
from stream.migration import partition_of
from stream.pipeline import Sessionizer
from stream.records import TopicPartition
from tests.kafka_fixture import Kafka
from tests.kafka_workers import Gatewatch, alarmed, wait_for
from tests.records import Made

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

BEFORE, AFTER = 2, 4
CLIENTS = [f"client-{number}" for number in range(24)]
MOVING = [own for own in CLIENTS if partition_of(own.encode(), BEFORE) != partition_of(own.encode(), AFTER)]
ROUNDS = 24
STEP_MS = 1000
SETTINGS = {
    "topics.partitions": BEFORE,
    # What was read since the first checkpoint has to be replayed.
    "state.checkpoint_interval_s": 3600,
    # The log alone closes sessions.
    "sessions.idle_after_s": 3600,
    "kafka.properties.topic.metadata.refresh.interval.ms": 500,
}


class Whole(NamedTuple):
    """What a closed session has to be, however its calls came."""

    client: str
    start: int
    end: int
    calls: int
    edges: float
    endpoints: float


class Traffic:
    """Calls of all clients in rounds, the first of them eleven hours ago.

    Args:
        gatewatch: where to.
    """

    def __init__(self, gatewatch: Gatewatch) -> None:
        self.began = now_ms() - 11 * 3_600_000
        self._gatewatch = gatewatch

    def calls(self, rounds: Iterable[int]) -> Iterator[ApiCall]:
        for step in rounds:
            for number, client in enumerate(CLIENTS):
                endpoint = f"GET /{(step * step + number * step) % (3 + number % 5)}"
                yield ApiCall(self.began + step * STEP_MS, client, endpoint, request_id=f"{client}-{step}")

    def write(self, rounds: Iterable[int], partitions: int) -> None:
        """Write rounds of calls as producers do that know of so many partitions."""
        self._write(self.calls(rounds), partitions)

    def end(self, partitions: int) -> None:
        """Let one more client call in every partition, long after the others."""
        late = self.began + 10 * 3_600_000
        spare = {partition_of(f"late-{number}".encode(), partitions): f"late-{number}" for number in range(100)}
        self._write((ApiCall(late, client, "GET /late") for client in spare.values()), partitions)

    def _write(self, calls: Iterable[ApiCall], partitions: int) -> None:
        producer = self._gatewatch.producer()
        for call in calls:
            key = call.client.encode()
            number = partition_of(key, partitions)
            producer.produce(self._gatewatch.api_calls, encode_call(call), key, number, timestamp=call.time)
        assert producer.flush(20) == 0

    def whole(self) -> list[Whole]:
        """Return the sessions of all calls in one partition, without Kafka."""
        name = TopicPartition("calls", 0)
        own = Sessionizer(
            {"calls": None},
            sessions=SessionPolicy(),
            alerts=AlertPolicy(),
            schema=GATEWAY_V1,
            max_endpoints=1000,
            excluded_methods=("HEAD", "OPTIONS"),
        )
        own.assign(name)
        batch = own.sessionize(
            [Made(encode_call(call), at, name, call.time) for at, call in enumerate(self.calls(range(ROUNDS)))]
        )
        own.advance([name], self.began + 10 * 3_600_000, batch)
        vectors = [sample.vector for sample in batch.samples if sample.vector.close_reason]
        shape = [GATEWAY_V1.names.index(name) for name in ("n_connections", "n_apis")]
        return sorted(
            Whole(own.client, own.start, own.end, own.calls, *(own.values[index] for index in shape)) for own in vectors
        )


def found(gatewatch: Gatewatch) -> list[Whole]:
    """Return the sessions that the workers closed."""
    return sorted(
        Whole(own["client"], own["start"], own["end"], own["calls"], shape["n_connections"], shape["n_apis"])
        for own in gatewatch.closed_sessions()
        for shape in [own["features"]]
    )


def add_partitions(kafka: Kafka, topic: str) -> None:
    kafka.admin().create_partitions([NewPartitions(topic, AFTER)])[topic].result(timeout=20)


def interrupted(kafka: Kafka, folder: Path) -> tuple[Gatewatch, Traffic]:
    """Let a worker read half of all calls, and add partitions under it; every session is an alert from the start."""
    gatewatch = Gatewatch(kafka, folder, SETTINGS | alarmed(folder))
    gatewatch.create_topics()
    traffic = Traffic(gatewatch)
    with gatewatch.worker("detect") as worker:
        for rounds in (range(ROUNDS // 4), range(ROUNDS // 4, ROUNDS // 2)):
            traffic.write(rounds, BEFORE)
            gatewatch.wait_until_read("detect", gatewatch.api_calls)
        add_partitions(kafka, gatewatch.api_calls)
        assert worker.wait_ended() == ExitCode.STATE, worker.output()
    return gatewatch, traffic


def finish(gatewatch: Gatewatch, traffic: Traffic) -> None:
    """Let a worker read all that there is, and see every session end."""
    with gatewatch.worker("detect") as worker:
        worker.wait_ready()
        gatewatch.wait_until_read("detect", gatewatch.api_calls)
        assert worker.metric("gatewatch_lost_records_total") == 0
        traffic.end(AFTER)
        wait_for(lambda: sum(own.calls for own in found(gatewatch)) >= ROUNDS * len(CLIENTS), "all sessions to close")
        assert worker.stop() == 0
    code, _, complaint = gatewatch.command("state", "show")
    assert (code, complaint) == (0, "")


def migrated(gatewatch: Gatewatch, *flags: str) -> str:
    code, said, complaint = gatewatch.command("state", "migrate", *flags)
    assert code == 0, complaint
    return said


def test_sessions_are_whole_after_a_migration(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch, traffic = interrupted(kafka, tmp_path)
    code, _, _ = gatewatch.command("state", "show")
    assert code == ExitCode.STATE
    traffic.write(range(ROUNDS // 2, ROUNDS), AFTER)

    said = migrated(gatewatch)
    assert f"{gatewatch.state}: {AFTER - BEFORE} partitions added" in said
    assert f"moved {len(MOVING)} sessions" in said
    assert "torn" not in said
    assert "Nothing to migrate" in migrated(gatewatch)

    finish(gatewatch, traffic)
    assert found(gatewatch) == traffic.whole()
    assert_alerts_once(gatewatch.documents(gatewatch.anomalies))


def test_unread_calls_in_the_way_are_finished_first(kafka: Kafka, tmp_path: Path) -> None:
    """Producers learn of new partitions in their own time: what they write until then is where nobody reads it."""
    gatewatch, traffic = interrupted(kafka, tmp_path)
    middle = ROUNDS * 3 // 4
    traffic.write(range(ROUNDS // 2, middle), BEFORE)
    traffic.write(range(middle, ROUNDS), AFTER)

    code, _, complaint = gatewatch.command("state", "migrate")
    assert code == ExitCode.STATE
    assert "calls are unread whose sessions would be torn" in complaint
    assert "--finish" in complaint
    said = migrated(gatewatch, "--finish")
    assert "unread records processed" in said
    assert f"moved {len(MOVING)} sessions" in said

    finish(gatewatch, traffic)
    assert found(gatewatch) == traffic.whole()
    assert_alerts_once(gatewatch.documents(gatewatch.anomalies))


def test_force_tears_the_sessions_of_unread_calls_and_says_so(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch, traffic = interrupted(kafka, tmp_path)
    middle = ROUNDS * 3 // 4
    traffic.write(range(ROUNDS // 2, middle), BEFORE)
    traffic.write(range(middle, ROUNDS), AFTER)

    said = migrated(gatewatch, "--force")
    assert "torn: " in said
    assert sum(int(part.split()[0]) for part in said.partition("torn: ")[2].split(", ")) == len(MOVING) * (middle - 12)

    traffic.write([], AFTER)
    finish(gatewatch, traffic)
    whole = traffic.whole()
    assert [own for own in found(gatewatch) if own.client not in MOVING] == [
        own for own in whole if own.client not in MOVING
    ]
    assert len([own for own in found(gatewatch) if own.client in MOVING]) == 2 * len(MOVING)


def assert_alerts_once(findings: list[dict[str, Any]]) -> None:
    """Each client has one session with one early and at most one closing alert, whose ids go together."""
    told = [(own["metadata"]["correlation_uid"], own["unmapped"]["kind"]) for own in findings]
    kinds = [own for own in told if own[1] != "raised"]
    assert len(kinds) == len(set(kinds))
    assert len({uid for uid, kind in kinds if kind == "early"}) >= len(CLIENTS)
    assert len({uid for uid, _ in kinds}) <= len(CLIENTS) + AFTER, "the late ones are sessions too"
