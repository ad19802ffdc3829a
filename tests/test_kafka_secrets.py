"""What must go no further than the first stage, on a real Kafka: a worker's output topics are searched for secrets."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from stream.adapters import FORMATS
from stream.settings import Settings
from tests.kafka_fixture import Kafka
from tests.kafka_workers import LIVELY, Gatewatch, alarmed
from tests.test_planted_secrets import KEYS, ORDER, PLANT, SECRETS, clients, found_in, records_of

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


def bytes_of(record: Message) -> bytes:
    """Return everything of a record: key, value, headers."""
    headers: dict[str, Any] = dict(record.headers() or [])
    named = [part for name, value in headers.items() for part in (name.encode(), value or b"")]
    return b"\0".join([record.key() or b"", record.value() or b"", *named])


def outputs(gatewatch: Gatewatch, settings: Settings) -> dict[str, list[bytes]]:
    """Return all that is on the topics that a worker writes to."""
    own = settings.topics
    names = (own.api_calls, own.features, own.anomalies, own.dead_letters, own.state, own.degrees)
    return {name.removeprefix(gatewatch.prefix): [*map(bytes_of, gatewatch.read(name))] for name in names}


def test_no_topic_that_a_worker_writes_holds_a_planted_secret_or_a_name(kafka: Kafka, tmp_path: Path) -> None:
    """Secrets are in records, and in their Kafka headers; clients and addresses are to be pseudonyms, keys included.

    Every format is there once by the way of both roles and once keyed by client. Nothing closes the last sessions, so
    that the checkpoint at the stop holds them.
    """
    inputs = [
        {"topic": kafka.prefix + prefix + name, "format": name, "keyed": bool(prefix)}
        for name in FORMATS
        for prefix in ("", "keyed-")
    ]
    gatewatch = Gatewatch(
        kafka,
        tmp_path,
        {
            **LIVELY,
            **alarmed(tmp_path),
            **KEYS,
            "sessions.first_vector_calls": 2,
            "sessions.idle_after_s": 600,
            "identity.order": ORDER,
            "inputs": inputs,
            "topics.partitions": 1,
            "dead_letters.limit_share": 1,
            "dead_letters.originals": False,
        },
    )
    settings = gatewatch.create_topics()
    headers: dict[str, str | bytes | None] = {"authorization": f"Bearer {PLANT}token", f"{PLANT}header": ""}
    with gatewatch.worker() as worker:
        worker.wait_ready()
        producer = gatewatch.producer()
        for record in [*records_of(), *records_of("keyed-")]:
            producer.produce(kafka.prefix + record.topic(), record.value(), record.key(), headers=headers)
        assert producer.flush(30) == 0
        for entry in inputs:
            gatewatch.wait_until_read("detect" if entry["keyed"] else "normalise", str(entry["topic"]))
        gatewatch.wait_until_read("detect", gatewatch.api_calls)
        assert worker.stop() == 0

    written = outputs(gatewatch, settings)
    assert min(map(len, written.values())) > 0
    keyed = {str(entry["topic"]) for entry in inputs if entry["keyed"]}
    assert {record.partition(b"\0")[0].decode() for record in written["state"]} == {*keyed, gatewatch.api_calls}
    assert any(b"\0shmac:k2:" in record for record in written["state"]), "an open session"
    assert found_in(written, SECRETS) == []
    assert found_in(written, clients()) == []
