"""What becomes of records on a real Kafka: calls by client, dead letters with reasons, each call in one session."""

import json
import subprocess
from pathlib import Path

import pytest

from featurizer.calls import decode_call
from stream.clock import now_ms
from stream.errors import ExitCode
from tests.kafka_fixture import Kafka
from tests.kafka_workers import GATEWATCH, LIVELY, PARTITIONS, Gatewatch, Load, alarmed, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


def own_json(client: str, path: str) -> bytes:
    """Return a call in gatewatch's own format."""
    return json.dumps({"time": now_ms(), "client": client, "method": "GET", "path": path, "status": 200}).encode()


def test_mixed_formats_become_calls_by_client_and_the_rest_dead_letters(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = Gatewatch(kafka, tmp_path, {**LIVELY, "model.bundle": "demo"})
    gatewatch.start = None
    gatewatch.create_topics()
    array = b"[" + b",".join([own_json("ann", "/orders/1"), b'{"client": "ann"}', own_json("bob", "/me")]) + b"]"
    records = [own_json("ann", "/orders/2?token=secret"), array, b"\xff\xfe not text", b"no known format at all"]
    with gatewatch.worker() as worker:
        worker.wait_ready()
        producer = gatewatch.producer()
        for record in records:
            producer.produce(gatewatch.logs, record, b"constant", partition=2)
        assert producer.flush(30) == 0
        wait_for(lambda: sum(own["calls"] for own in gatewatch.closed_sessions()) >= 3, "the calls' sessions to close")
        wait_for(lambda: len(gatewatch.read(gatewatch.dead_letters)) >= 3, "the dead letters")
        assert worker.stop() == 0

    calls = [(record.key(), decode_call(record.value() or b"")) for record in gatewatch.read(gatewatch.api_calls)]
    assert sorted((key, call.endpoint) for key, call in calls) == [
        (b"ann", "GET /orders/{id}"),
        (b"ann", "GET /orders/{id}"),
        (b"bob", "GET /me"),
    ]
    assert b"secret" not in b"".join(record.value() or b"" for record in gatewatch.read(gatewatch.api_calls))
    letters = {record.value(): dict(record.headers() or []) for record in gatewatch.read(gatewatch.dead_letters)}
    assert letters.keys() == {b'{"client": "ann"}', records[2], records[3]}
    part = letters[b'{"client": "ann"}']
    assert (part["gatewatch.reason"], part["gatewatch.index"]) == (b"missing_field", b"1")
    for offset in (2, 3):
        headers = letters[records[offset]]
        place = [headers[f"gatewatch.{name}"] for name in ("topic", "partition", "offset")]
        assert place == [gatewatch.logs.encode(), b"2", str(offset).encode()]


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_a_worker_that_joins_takes_its_share_and_no_call_counts_twice(
    guarantee: str, kafka: Kafka, tmp_path: Path
) -> None:
    """Sessions of the partitions that move go on at the other worker."""
    gatewatch = Gatewatch(kafka, tmp_path, {**LIVELY, **alarmed(tmp_path), "delivery.guarantee": guarantee})
    gatewatch.create_topics()
    with gatewatch.worker("detect") as one:
        one.wait_ready()
        with Load(gatewatch.producer(), gatewatch.api_calls, rate=500, keyed=True) as load:
            wait_for(lambda: len(load.requests) > 500, "load")
            with gatewatch.worker("detect") as other:
                wait_for(lambda: one.partitions("detect") == other.partitions("detect") == PARTITIONS / 2, "halves")
                load.__exit__()
                gatewatch.wait_until_read("detect", gatewatch.api_calls)
                wait_for(lambda: gatewatch.calls_known() == len(load.requests), "all sessions to close")
                assert other.metric("gatewatch_restored_sessions_total") > 0
                assert [other.stop(), one.stop()] == [0, 0]
    assert {own["close_reason"] for own in gatewatch.closed_sessions()} == {"inactivity"}


def test_an_input_keyed_by_client_skips_the_hop(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = Gatewatch(kafka, tmp_path, {**LIVELY, "model.bundle": "demo"})
    gatewatch.settings["inputs"] = [{"topic": gatewatch.logs, "format": "gatewatch", "keyed": True}]
    gatewatch.create_topics()
    with gatewatch.worker("detect") as worker:
        worker.wait_ready()
        producer = gatewatch.producer()
        for client in ("ann", "bob", "ann"):
            producer.produce(gatewatch.logs, own_json(client, "/me"), client)
        assert producer.flush(30) == 0
        wait_for(lambda: sum(own["calls"] for own in gatewatch.closed_sessions()) >= 3, "the sessions to close")
        assert worker.stop() == 0
    assert {(own["client"], own["calls"]) for own in gatewatch.closed_sessions()} == {("ann", 2), ("bob", 1)}
    assert gatewatch.read(gatewatch.api_calls) == []


def test_missing_topics_are_named_with_the_command_that_makes_them(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = Gatewatch(kafka, tmp_path)
    command = [*GATEWATCH, "run", *gatewatch.flags()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == ExitCode.UNREACHABLE
    for topic in (gatewatch.logs, gatewatch.api_calls, gatewatch.anomalies, gatewatch.dead_letters):
        assert topic in done.stderr
    assert "gatewatch topics create" in done.stderr
