"""What is counted, and when."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from featurizer.features import Occasion
from scorer.alerts import AlertKind, AlertPolicy, Decision
from scorer.budget import HOUR_MS
from scorer.severity import Severity
from scorer.verdicts import Leg
from stream.batches import Batch
from stream.cycle import Cycle
from stream.measuring import Recorder, StateGauges
from stream.records import TopicPartition
from stream.telemetry import Telemetry
from tests.alerting import alert_of, vector
from tests.records import CALLS as PARTITION
from tests.records import make_detector

CALLS = TopicPartition("api-calls", 0)


def recorded(occasion: Occasion) -> Telemetry:
    """Return the metrics after one durable alert."""
    telemetry = Telemetry(CollectorRegistry())
    cycle = Cycle()
    batch = Batch(records=1, accepted=1, alerts=[alert_of(vector(occasion=occasion))], positions={CALLS: 1})
    cycle.add(batch, [])
    Recorder(telemetry, max_edges=10).committed(cycle, 0.01)
    return telemetry


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(("occasion", "observed"), [(Occasion.GROWING, 1), (Occasion.QUIET, 0), (Occasion.CLOSED, 0)])
def test_latency_is_that_of_alerts_which_do_not_wait_by_design(occasion: Occasion, observed: int) -> None:
    telemetry = recorded(occasion)
    for name in ("gatewatch_alert_event_latency_seconds_count", "gatewatch_alert_record_latency_seconds_count"):
        assert value(telemetry, name) == observed


@pytest.mark.parametrize("occasion", list(Occasion))
def test_every_durable_alert_and_call_is_counted_once(occasion: Occasion) -> None:
    telemetry = recorded(occasion)
    kind = AlertKind.CLOSING if occasion is Occasion.CLOSED else AlertKind.EARLY
    counted = [
        value(telemetry, "gatewatch_alerts_total", kind=kind, severity=severity, leg=Leg.TRAINED)
        for severity in Severity
    ]
    assert sum(count or 0 for count in counted) == 1
    assert value(telemetry, "gatewatch_session_calls_total") == 1
    assert value(telemetry, "gatewatch_commit_duration_seconds_count") == 1


@pytest.mark.parametrize(("budget", "limit"), [(3, 3), (None, math.inf)])
def test_gauges_show_what_a_partition_has_spent_of_its_budget_in_the_hour_of_its_log(
    budget: int | None, limit: float
) -> None:
    noon = 490_000 * HOUR_MS
    detector, telemetry = make_detector(alerts=AlertPolicy(budget=budget)), Telemetry(CollectorRegistry())
    intake: Any = SimpleNamespace(
        name="detect", restoring=(), assigned=(), idle=(), lags=dict, clock=SimpleNamespace(steps=0)
    )
    gauges, state = StateGauges(telemetry, [intake], detector), detector.partitions[PARTITION]
    for client in ("ann", "bob"):
        state.history.follow(Decision.ALERT, client, noon, client)
    labels = {"topic": PARTITION.topic, "partition": str(PARTITION.partition)}
    for clock, spent in ((noon + HOUR_MS - 1, 2), (noon + HOUR_MS, 0)):
        state.windows.max_time = clock
        gauges.refresh()
        assert value(telemetry, "gatewatch_alert_budget_spent", **labels) == spent
        assert value(telemetry, "gatewatch_alert_budget_limit", **labels) == limit
    detector.partitions.clear()
    gauges.refresh()
    assert value(telemetry, "gatewatch_alert_budget_spent", **labels) is None, "it went to another worker"
