"""What is counted, and when."""

import pytest
from prometheus_client import CollectorRegistry

from featurizer.features import Occasion
from scorer.alerts import AlertKind
from scorer.severity import Severity
from scorer.verdicts import Leg
from stream.batches import Batch
from stream.cycle import Cycle
from stream.measuring import Recorder
from stream.records import TopicPartition
from stream.telemetry import Telemetry
from tests.alerting import alert_of, vector

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
