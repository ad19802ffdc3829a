"""Suppression rules on their topic, on a real Kafka: workers follow ``gatewatch suppress`` without a restart."""

from pathlib import Path
from typing import Any

import pytest

from featurizer.calls import ApiCall, encode_call
from stream.clock import now_ms
from tests.kafka_fixture import Kafka
from tests.kafka_workers import LIVELY, Gatewatch, alarmed, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

RULES = "gatewatch_suppression_rules"


def suppress(gatewatch: Gatewatch, *arguments: str) -> None:
    """Run a command on the topic's rules."""
    code, _, complaint = gatewatch.command("suppress", *arguments)
    assert code == 0, complaint


def alerted(gatewatch: Gatewatch, *clients: str) -> dict[str, dict[str, Any]]:
    """Let clients make calls; return the first finding of each. Every vector is anomalous here."""
    producer = gatewatch.producer()
    for client in clients:
        for to in "abcd":
            producer.produce(gatewatch.api_calls, encode_call(ApiCall(now_ms(), client, f"GET /{to}")), client)
    assert producer.flush(30) == 0
    found: dict[str, dict[str, Any]] = {}

    def look() -> bool:
        for own in gatewatch.documents(gatewatch.anomalies):
            found.setdefault(own["evidences"][0]["actor"]["user"]["uid"], own)
        return found.keys() >= set(clients)

    wait_for(look, f"alerts of {clients}")
    return {client: found[client] for client in clients}


def statuses(findings: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {client: own["status"] for client, own in findings.items()}


def test_rules_hold_from_their_adding_to_their_removal_while_the_worker_runs(kafka: Kafka, tmp_path: Path) -> None:
    topic = kafka.prefix + "suppressions"
    follow = {"alerts.suppressions": "topic:", "topics.suppressions": topic}
    gatewatch = Gatewatch(kafka, tmp_path, {**LIVELY, **alarmed(tmp_path), **follow})
    gatewatch.create_topics()
    rule = ["export", "--client=svc-*", "--reason", "Nightly export, CHG-7", "--expires", "1d"]
    with gatewatch.worker("detect") as worker:
        worker.wait_ready()
        assert statuses(alerted(gatewatch, "ann-1", "svc-1")) == {"ann-1": "New", "svc-1": "New"}

        suppress(gatewatch, "add", *rule)
        wait_for(lambda: worker.metric(RULES) == 1, "the rule to be in force")
        producer = gatewatch.producer()
        producer.produce(topic, b"broken", b"broken", partition=0)
        assert producer.flush(30) == 0
        wait_for(lambda: worker.metric("gatewatch_suppression_reloads_total", result="refused") == 1, "a refusal")
        findings = alerted(gatewatch, "ann-2", "svc-2")
        assert statuses(findings) == {"ann-2": "New", "svc-2": "Suppressed"}, "the other rule stays in force"
        suppressed = findings["svc-2"]
        assert (suppressed["status_id"], suppressed["is_alert"]) == (3, False)
        assert "export" in suppressed["status_detail"]
        assert "Nightly export, CHG-7" in suppressed["status_detail"]
        assert worker.metric("gatewatch_alerts_suppressed_total", rule="export") > 0

        suppress(gatewatch, "remove", "export")
        wait_for(lambda: worker.metric(RULES) == 0, "the rule to be gone")
        assert statuses(alerted(gatewatch, "ann-3", "svc-3")) == {"ann-3": "New", "svc-3": "New"}
        assert worker.stop() == 0
