"""What becomes of state, offsets and records that somebody deleted or changed: an error that says so, and a way on."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its stub does not export them
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from featurizer.calls import ApiCall, encode_call
from stream.checkpoints import VERSION
from stream.clock import now_ms
from stream.errors import ExitCode
from tests.kafka_fixture import Kafka
from tests.kafka_workers import Gatewatch, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

CLIENTS = [f"client-{number}" for number in range(20)]


class Broken:
    """An installation that has worked and stopped, and then something happened to it."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        settings = {"model.bundle": "demo", "topics.partitions": 2, "state.checkpoint_interval_s": 3600}
        self.kafka = kafka
        self.gatewatch = Gatewatch(kafka, folder, settings)
        self.gatewatch.create_topics()
        self.work()

    def work(self, *, kill: bool = False) -> None:
        """Let a worker read some calls, and end it."""
        self.call()
        with self.gatewatch.worker("detect") as worker:
            self.gatewatch.wait_until_read("detect", self.gatewatch.api_calls)
            if kill:
                worker.kill()
                wait_for(lambda: self.gatewatch.members("detect") == 0, "the group to miss the killed worker")
            else:
                assert worker.stop() == 0

    def call(self) -> int:
        """Let every client call; return how many calls that were."""
        producer = self.gatewatch.producer()
        for client in CLIENTS:
            producer.produce(self.gatewatch.api_calls, encode_call(ApiCall(now_ms(), client, "GET /a")), client)
        assert producer.flush(20) == 0
        return len(CLIENTS)

    def delete_records(self, topic: str, before: int | None = None) -> None:
        """Delete the records of a topic's partitions: all, or as many from each end as told."""
        ends: dict[int, int] = {}
        for record in self.gatewatch.read(topic):
            ends[record.partition() or 0] = (record.offset() or 0) - (before or 0)
        places = [TopicPartition(topic, number, -1 if before is None else end) for number, end in ends.items()]
        for future in self.kafka.admin().delete_records(places).values():
            future.result(timeout=20)

    def make_anew(self, topic: str) -> None:
        """Delete a topic, and make it again as a user does."""
        admin = self.kafka.admin()
        admin.delete_topics([topic])[topic].result(timeout=20)
        wait_for(lambda: topic not in admin.list_topics(timeout=20).topics, "the topic to be gone")
        self.gatewatch.create_topics()

    def show(self) -> tuple[int, list[dict[str, Any]]]:
        """Return exit code and answer of ``gatewatch state show --json``."""
        code, out, _ = self.gatewatch.command("state", "show", "--json")
        return code, json.loads(out)


def state_is_made_anew(own: Broken) -> int:
    own.make_anew(own.gatewatch.state)
    return 0


def state_is_deleted(own: Broken) -> int:
    allow_deletion(own)
    own.delete_records(own.gatewatch.state)
    return 0


def state_is_cut(own: Broken) -> int:
    """Only the last record of each checkpoint is left."""
    allow_deletion(own)
    own.delete_records(own.gatewatch.state, before=0)
    return 0


def allow_deletion(own: Broken) -> None:
    entry = ConfigEntry("cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, own.gatewatch.state, incremental_configs=[entry])
    own.kafka.admin().incremental_alter_configs([resource])[resource].result(timeout=20)


def offsets_are_deleted(own: Broken) -> int:
    group = own.gatewatch.group("detect")
    own.kafka.admin().delete_consumer_groups([group])[group].result(timeout=20)
    return 0


def offsets_are_reset(own: Broken) -> int:
    """To before the checkpoint, by hand."""
    consumer = Consumer({"bootstrap.servers": own.kafka.bootstrap, "group.id": own.gatewatch.group("detect")})
    places = [TopicPartition(own.gatewatch.api_calls, number, 1) for number in (0, 1)]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()
    return 0


def unread_calls_expire(own: Broken) -> int:
    lost = own.call()
    own.delete_records(own.gatewatch.api_calls)
    return lost


def calls_since_the_checkpoint_expire(own: Broken) -> int:
    own.work(kill=True)
    own.delete_records(own.gatewatch.api_calls)
    return len(CLIENTS)


def calls_are_made_anew(own: Broken) -> int:
    own.make_anew(own.gatewatch.api_calls)
    return 0


def another_version_was_at_work(own: Broken) -> int:
    producer, topic = own.gatewatch.producer(), own.gatewatch.state
    meta = msgspec.msgpack.encode([99, "whatever it means"])
    for number in (0, 1):
        producer.produce(topic, meta, own.gatewatch.api_calls.encode() + b"\0m", partition=number)
    assert producer.flush(20) == 0
    return 0


Event = Callable[[Broken], int]
"""Something that happens to an installation; returns how many records are lost by it."""

ACCEPTABLE: list[tuple[Event, str]] = [
    (state_is_made_anew, "no checkpoint: the topic of state was deleted or cut"),
    (state_is_deleted, "no checkpoint: the topic of state was deleted or cut"),
    (offsets_are_deleted, "no committed offset: the group's offsets expired or are deleted"),
    (offsets_are_reset, "is before its checkpoint"),
    (unread_calls_expire, "were deleted by the topic's retention"),
    (calls_since_the_checkpoint_expire, "were deleted by the topic's retention"),
    (calls_are_made_anew, "the topic was made anew, or cut"),
]
UNREADABLE: list[tuple[Event, str]] = [
    (state_is_cut, "is not whole: its last checkpoint had"),
    (another_version_was_at_work, f"has version 99, this program reads {VERSION}"),
]


def assert_stops(own: Broken, said: str) -> None:
    """A worker stops with the error, and ``state show`` tells it beforehand."""
    code, reports = own.show()
    assert code == ExitCode.STATE
    assert any(said in report["problem"] for report in reports), reports
    assert all(report["advice"] for report in reports if report["problem"])
    with own.gatewatch.worker("detect") as worker:
        assert worker.wait_ended() == ExitCode.STATE, worker.output()
        assert said in worker.output()
        assert "hint=" in worker.output()


def assert_works(own: Broken, lost: int = 0, **more: Any) -> None:
    """A worker starts, and reads what comes."""
    with own.gatewatch.worker("detect", **more) as worker:
        worker.wait_ready()
        assert worker.metric("gatewatch_lost_records_total") == lost
        own.call()
        own.gatewatch.wait_until_read("detect", own.gatewatch.api_calls)
        assert worker.stop() == 0
    code, reports = own.show()
    assert (code, [report["problem"] for report in reports]) == (0, ["", ""])


@pytest.mark.parametrize(("event", "said"), ACCEPTABLE, ids=lambda own: getattr(own, "__name__", ""))
def test_a_worker_stops_and_goes_on_once_the_loss_is_accepted(
    event: Event, said: str, kafka: Kafka, tmp_path: Path
) -> None:
    own = Broken(kafka, tmp_path)
    lost = event(own)
    assert_stops(own, said)
    assert_works(own, lost, state__accept_loss=True)
    assert_works(own)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        *UNREADABLE,
        *(own for own in ACCEPTABLE if own[0] in {state_is_made_anew, offsets_are_reset, unread_calls_expire}),
    ],
    ids=lambda own: getattr(own, "__name__", ""),
)
def test_a_worker_begins_anew_after_a_reset(event: Event, said: str, kafka: Kafka, tmp_path: Path) -> None:
    own = Broken(kafka, tmp_path)
    event(own)
    assert_stops(own, said)
    code, _, complaint = own.gatewatch.command("state", "reset", "--yes")
    assert (code, complaint) == (0, "")
    code, reports = own.show()
    assert code == 0
    assert [(report["sessions"], report["edges"], report["version"]) for report in reports] == [(0, 0, VERSION)] * 2
    assert_works(own)


def test_what_is_durable_is_shown_while_a_worker_is_at_work(kafka: Kafka, tmp_path: Path) -> None:
    """Then nobody may give it up."""
    own = Broken(kafka, tmp_path)
    with own.gatewatch.worker("detect") as worker:
        worker.wait_ready()
        own.call()
        own.gatewatch.wait_until_read("detect", own.gatewatch.api_calls)
        code, reports = own.show()
        assert code == 0
        assert [report["partition"] for report in reports] == [f"{own.gatewatch.api_calls}-{n}" for n in (0, 1)]
        assert sum(report["sessions"] for report in reports) == len(CLIENTS)
        assert sum(report["replay"] for report in reports) == len(CLIENTS), "since the checkpoint at the stop"
        assert sum(report["endpoints"] for report in reports) == 2
        assert all(report["bytes"] > 88 * report["sessions"] for report in reports)
        for name in ("reset", "migrate"):
            code, _, complaint = own.gatewatch.command("state", name)
            assert code == ExitCode.FAILURE
            assert "has 1 member: its state is in use" in complaint
        assert worker.stop() == 0


def test_one_partition_is_given_up_and_the_other_kept(kafka: Kafka, tmp_path: Path) -> None:
    own = Broken(kafka, tmp_path)
    _, (_, before) = own.show()
    code, _, complaint = own.gatewatch.command("state", "reset", "--yes", "--partition", "no-7")
    assert (code, "no input partition: no-7" in complaint) == (ExitCode.USAGE, True)
    code, _, _ = own.gatewatch.command("state", "reset", "--partition", f"{own.gatewatch.api_calls}-0")
    assert code == ExitCode.FAILURE, "nobody has said yes"
    code, _, _ = own.gatewatch.command("state", "reset", "--yes", "--partition", f"{own.gatewatch.api_calls}-0")
    assert code == 0
    code, (given_up, kept) = own.show()
    assert (code, given_up["sessions"], given_up["checkpoint"]) == (0, 0, given_up["committed"])
    assert kept == before


def test_partitions_added_under_a_worker_stop_it(kafka: Kafka, tmp_path: Path) -> None:
    """It learns of them when it asks for the topic's shape again, which a rebalance follows."""
    own = Broken(kafka, tmp_path)
    often: dict[str, Any] = {"kafka__properties__topic.metadata.refresh.interval.ms": 500}
    topic = own.gatewatch.api_calls
    with own.gatewatch.worker("detect", **often) as worker:
        worker.wait_ready()
        kafka.admin().create_partitions([NewPartitions(topic, 4)])[topic].result(timeout=20)
        assert worker.wait_ended() == ExitCode.STATE, worker.output()
        assert f"{topic} has 4 partitions now and had 2 at a checkpoint" in worker.output()
        assert "gatewatch state migrate" in worker.output()
    own.kafka.admin().create_partitions([NewPartitions(own.gatewatch.state, 4)])
    wait_for(partial(has_partitions, own, own.gatewatch.state, 4), "the topic of state to grow")
    with own.gatewatch.worker("detect", state__accept_loss=True) as worker:
        worker.wait_ready()
        own.call()
        own.gatewatch.wait_until_read("detect", topic)
        assert worker.stop() == 0
    with own.gatewatch.worker("detect") as worker:
        worker.wait_ready()
        assert worker.stop() == 0


def has_partitions(own: Broken, topic: str, count: int) -> bool:
    return len(own.kafka.admin().list_topics(topic, timeout=20).topics[topic].partitions) == count
