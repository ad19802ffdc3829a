import re
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from scorer.alerts import AlertKind
from scorer.severity import Severity
from scorer.verdicts import Leg
from stream.dead_letters import Reason
from stream.metrics import Metric
from stream.telemetry import METRICS, Telemetry, process_registry

FORBIDDEN_LABELS = {"client", "client_id", "path", "endpoint", "user", "ip", "session", "offset", "key"}


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(CollectorRegistry())


def exposed(telemetry: Telemetry) -> dict[str, float]:
    """Return every sample of the exposition text by name and labels."""
    families = text_string_to_metric_families(generate_latest(telemetry.registry).decode())
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in families
        for sample in family.samples
    }


def test_the_catalogue_is_what_is_exposed(telemetry: Telemetry) -> None:
    families = {family.name: family for family in telemetry.registry.collect()}

    assert set(families) == {metric.name for metric in METRICS}
    for metric in METRICS:
        assert families[metric.name].type == metric.type_name
        assert families[metric.name].documentation == metric.meaning


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.attribute)
def test_every_metric_is_named_by_the_rule_and_says_what_it_means(metric: Metric[Any]) -> None:
    """gatewatch_<noun>_<unit>, lower case; counters get _total, durations are seconds."""
    assert re.fullmatch(r"gatewatch(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_seconds") == (metric.unit == "s")
    assert metric.exposed_name.endswith("_total") == (metric.kind is Counter)
    assert metric.meaning.endswith(".")
    assert not FORBIDDEN_LABELS.intersection(label.name for label in metric.labels)


def test_series_with_known_labels_exist_before_anything_happens(telemetry: Telemetry) -> None:
    """Otherwise the first dead letter is invisible to ``rate`` and ``increase``."""
    samples = exposed(telemetry)

    for reason in Reason:
        assert samples[f"gatewatch_dead_letters_total[('reason', '{reason}')]"] == 0
    for kind in AlertKind:
        for severity in Severity:
            for leg in Leg:
                labels = f"[('kind', '{kind}'), ('leg', '{leg}'), ('severity', '{severity}')]"
                assert samples[f"gatewatch_alerts_total{labels}"] == 0
    assert not [name for name in samples if name.startswith("gatewatch_calls_total")]


def test_enum_members_are_label_values_as_they_are(telemetry: Telemetry) -> None:
    telemetry.alerts.labels(kind=AlertKind.EARLY, severity=Severity.HIGH, leg=Leg.TRAINED).inc()
    telemetry.dead_letters.labels(Reason.LATE_CALL).inc(3)
    telemetry.calls.labels(format="combined").inc(5)
    samples = exposed(telemetry)

    assert samples["gatewatch_alerts_total[('kind', 'early'), ('leg', 'trained'), ('severity', 'high')]"] == 1
    assert samples["gatewatch_dead_letters_total[('reason', 'late_call')]"] == 3
    assert samples["gatewatch_calls_total[('format', 'combined')]"] == 5


def test_histograms_have_buckets_around_their_goals() -> None:
    """p99 from call to alert is to be 300 ms, a commit 8 to 15 ms, so those are bounds."""
    buckets = {metric.attribute: metric.buckets for metric in METRICS if metric.kind is Histogram}

    assert all(list(bounds) == sorted(set(bounds)) for bounds in buckets.values())
    assert {0.3, 1.0} <= set(buckets["alert_event_latency"])
    assert {0.01, 0.015} <= set(buckets["commit_duration"])


def test_a_new_model_replaces_the_old_one(telemetry: Telemetry) -> None:
    telemetry.model("a-1", "a", "access-behaviour", "x" * 200)
    telemetry.model("b-2", "b", "access-behaviour", "traffic")
    (family,) = [family for family in telemetry.registry.collect() if family.name == "gatewatch_model_info"]

    assert [sample.labels["uid"] for sample in family.samples] == ["b-2"]


def test_a_long_training_sentence_is_cut(telemetry: Telemetry) -> None:
    telemetry.model("a-1", "a", "access-behaviour", "x" * 200)

    assert any("x" * 80 + "'" in name for name in exposed(telemetry))


def test_two_registries_do_not_share_counts(telemetry: Telemetry) -> None:
    other = Telemetry(CollectorRegistry())

    telemetry.late_calls.inc()

    assert exposed(other)["gatewatch_late_calls_total[]"] == 0


def test_a_second_telemetry_in_one_registry_is_an_error(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        Telemetry(telemetry.registry)


def test_a_metric_is_of_an_instance() -> None:
    with pytest.raises(AttributeError, match="make a Telemetry first"):
        _ = Telemetry.calls


def test_a_process_also_says_how_it_is() -> None:
    names = {family.name for family in process_registry().collect()}

    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_gc_collections"} <= names
