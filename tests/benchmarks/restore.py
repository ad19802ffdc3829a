"""Restore: ``python -m tests.benchmarks.restore [--sessions 1000000]``: a worker comes back to a million open sessions.

Checkpoints of four partitions are written to a real Kafka; then a bare confluent-kafka consumer reads them, as the
reference, and a worker (``gatewatch run --role detect``) restores them. Reported: seconds and sessions a second, the
ratio, and the worker's resident memory.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from featurizer.degrees import DegreeTable, GlobalDegrees
from scorer.alerts import AlertHistory, AlertPolicy
from stream import assembly
from stream.batches import PartitionState
from stream.checkpoints import StateTopics, checkpoint
from stream.cycle import produce_all
from stream.kafka_config import PRODUCER_DEFAULTS
from stream.records import TopicPartition as Place
from stream.settings import load_settings
from tests.benchmarks.memory import ENDPOINTS, session_of, windows_of
from tests.benchmarks.soak import resident_mb
from tests.kafka_broker import running_broker
from tests.kafka_fixture import Kafka
from tests.kafka_workers import PARTITIONS, Gatewatch, wait_for

SLICE = 20_000


def write_state(gatewatch: Gatewatch, sessions: int) -> int:
    """Write the checkpoints of all partitions and their offsets; return the bytes of keys and values."""
    rng, size = random.Random(7), 0  # noqa: S311 -- not a secret
    producer = Producer({**PRODUCER_DEFAULTS, "bootstrap.servers": gatewatch.kafka.bootstrap, "linger.ms": 50})
    topics = StateTopics(gatewatch.prefix + "state", gatewatch.prefix + "degrees")
    for number in range(PARTITIONS):
        table = DegreeTable(GlobalDegrees(), 1000)
        for endpoint in range(ENDPOINTS):
            table.number(f"GET /endpoint/{endpoint}")
        windows = windows_of(table)
        windows.policy = assembly.session_policy(load_settings(None, gatewatch.settings))
        name = Place(gatewatch.api_calls, number)
        state = PartitionState(name, windows, AlertHistory(AlertPolicy()), None)
        for begin in range(0, sessions // PARTITIONS, SLICE):
            for at in range(begin, min(begin + SLICE, sessions // PARTITIONS)):
                client = f"client-{number}-{at:08d}"
                windows.open[client] = session_of(client, rng)
            records = checkpoint(state, topics, PARTITIONS)
            size += sum(len(record.key or b"") + len(record.value or b"") for record in records)
            produce_all(producer, records)
    producer.flush()
    member = Consumer({"bootstrap.servers": gatewatch.kafka.bootstrap, "group.id": gatewatch.group("detect")})
    member.commit(offsets=[TopicPartition(gatewatch.api_calls, n, 0) for n in range(PARTITIONS)], asynchronous=False)
    member.close()
    return size


def read_only(gatewatch: Gatewatch) -> tuple[float, int]:
    """Return how long a bare consumer takes to read the topic of state, and how many records it holds."""
    topic = gatewatch.prefix + "state"
    consumer = Consumer(
        {
            "bootstrap.servers": gatewatch.kafka.bootstrap,
            "group.id": "reference",
            "fetch.queue.backoff.ms": 10,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    begin, read, unread = time.perf_counter(), 0, PARTITIONS
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    while unread:  # offsets do not tell: compaction may be at work
        messages = consumer.consume(10_000, 0.1)
        ended = sum(message.error() is not None for message in messages)
        read, unread = read + len(messages) - ended, unread - ended
    seconds = time.perf_counter() - begin
    consumer.close()
    return seconds, read


def measure(sessions: int, folder: Path) -> dict[str, Any]:
    """Write, read, restore; return the figures."""
    with running_broker(lasting=True) as broker:
        gatewatch = Gatewatch(Kafka(broker), folder, {"model.bundle": "demo", "sessions.max_open": 10**7})
        gatewatch.create_topics()
        size = write_state(gatewatch, sessions)
        reference_s, records = read_only(gatewatch)
        with gatewatch.worker("detect") as worker:
            empty_mb = 0.0
            wait_for(lambda: worker.metric("gatewatch_partitions_restoring") > 0, "the partitions", 60)
            began, empty_mb = time.perf_counter(), resident_mb(worker.process.pid)
            worker.wait_ready(300)
            seconds, full_mb = time.perf_counter() - began, resident_mb(worker.process.pid)
            restored = worker.metric("gatewatch_restored_sessions_total")
            inside_s = worker.metric("gatewatch_restore_duration_seconds_sum")
            assert restored == sessions, f"{restored} of {sessions}"
            assert worker.stop() == 0
    return {
        "sessions": sessions,
        "state_mb": size / 1e6,
        "records": records,
        "restore_s": inside_s,
        "until_ready_s": seconds,
        "sessions_per_s": sessions / inside_s,
        "reference_s": reference_s,
        "times_the_reference": inside_s / reference_s,
        "rss_mb": full_mb,
        "rss_mb_before": empty_mb,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(flags.sessions, Path(folder))
    if flags.json:
        print(json.dumps(figures))  # noqa: T201 -- for another program
        return
    table = Table("figure", "value", title="Restoring open sessions")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
