"""Every gateway's records on a real Kafka: from what it writes, unchanged, to an alert that follows the OCSF schema."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stream.adapters import FORMATS
from stream.dead_letters import Reason
from tests import golden_records
from tests.kafka_fixture import Kafka
from tests.kafka_workers import LIVELY, Gatewatch, alarmed
from tests.ocsf_schema import errors

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

OF_SESSIONS = {str(reason).encode() for reason in (Reason.LATE_CALL, Reason.FUTURE_TIMESTAMP)}
"""Reasons that a call is told of which its record was understood."""


def corpus(format_name: str) -> tuple[list[bytes | None], int]:
    """Return a format's golden records, and how many dead letters they lead to."""
    files = golden_records.files(format_name)
    records = [own for file in files for own in golden_records.records(file)]
    return records, sum(len(own["rejects"]) for file in files for own in golden_records.cases(file))


def test_the_corpus_of_every_gateway_leads_to_alerts_that_follow_the_schema(kafka: Kafka, tmp_path: Path) -> None:
    """Inputs are read as keyed by client, so that an alert names the topic that its session is from."""
    topics = {name: f"{kafka.prefix}{name}" for name in FORMATS}
    gatewatch = Gatewatch(
        kafka,
        tmp_path,
        {
            **LIVELY,
            **alarmed(tmp_path),
            "inputs": [{"topic": topic, "format": name, "keyed": True} for name, topic in topics.items()],
            "topics.partitions": 1,
            "dead_letters.limit_share": 1,
        },
    )
    gatewatch.create_topics()
    rejects: Counter[str] = Counter()
    with gatewatch.worker("detect") as worker:
        producer = gatewatch.producer()
        for name, topic in topics.items():
            records, rejects[topic] = corpus(name)
            for record in records:
                producer.produce(topic, record, b"192.0.2.7")
        assert producer.flush(30) == 0
        for topic in topics.values():
            gatewatch.wait_until_read("detect", topic)
        assert worker.stop() == 0

    alerts = gatewatch.documents(gatewatch.anomalies)
    for alert in alerts:
        assert errors(alert) == []
    assert {alert["metadata"]["log_name"] for alert in alerts} == set(topics.values())
    letters: Counter[str] = Counter()
    for letter in gatewatch.read(gatewatch.dead_letters):
        headers: dict[str, Any] = dict(letter.headers() or [])
        if headers["gatewatch.reason"] not in OF_SESSIONS:
            letters[headers["gatewatch.topic"].decode()] += 1
    assert letters == rejects
