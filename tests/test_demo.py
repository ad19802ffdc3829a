"""The demo: the whole path in one process, on an embedded broker."""

import json
import subprocess
import sys

import pytest

from stream.demo import EmbeddedBroker, SeenAlert, Traffic, percentile, summarise
from stream.simulator import AttackLabel
from stream.simulator.attacks import AttackKind

NOW = 1_700_000_000_000


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_it_ends_by_itself_with_a_summary_that_adds_up() -> None:
    command = [sys.executable, "-m", "stream.cli", "demo", "--duration", "4", "--rate", "100", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert "at_least_once only" in done.stderr
    assert summary["calls"] > 100 * 240 * 0.5, "the backlog and the live traffic"
    assert summary["sessions"] > 100
    for kind, simulated in summary["simulated"].items():
        found = [summary[column][kind] for column in ("alerted", "missed", "under_way")]
        assert sum(found) == simulated


class LabelledTraffic(Traffic):
    """Traffic that was written long ago, as far as the summary is concerned."""

    def __init__(self, ended: list[AttackLabel], under_way: list[AttackLabel]) -> None:
        self.calls = 1000
        self.live_from = NOW
        self.ended = ended
        self.under_way = under_way


def seen(client: str, start: int, *, occasion: str = "growing", age: int = 100) -> SeenAlert:
    """Return an alert on a session of ten seconds."""
    return SeenAlert(client, occasion, start, start + 10_000, start + 10_000, start + 10_000 + age)


@pytest.fixture
def labels() -> list[AttackLabel]:
    return [
        AttackLabel("mallory", AttackKind.SCRAPING, NOW + 1000, NOW + 9000, 50),
        AttackLabel("oscar", AttackKind.SCRAPING, NOW + 1000, NOW + 9000, 50),
    ]


def test_an_attack_is_found_by_an_alert_on_its_client_at_its_time(labels: list[AttackLabel]) -> None:
    alerts = [seen("mallory", NOW), seen("oscar", NOW + 60_000), seen("ann", NOW)]
    summary = summarise(LabelledTraffic(labels, []), alerts, sessions=7)
    assert (summary.simulated, summary.alerted, summary.missed) == ({"scraping": 2}, {"scraping": 1}, {"scraping": 1})
    assert (summary.alerts, summary.false_alerts, summary.sessions) == (3, 2, 7)


def test_two_alerts_of_one_session_are_one_false_alert(labels: list[AttackLabel]) -> None:
    alerts = [seen("ann", NOW), seen("ann", NOW, occasion="closed")]
    assert summarise(LabelledTraffic(labels, []), alerts, sessions=7).false_alerts == 1


def test_an_attack_still_under_way_is_not_missed(labels: list[AttackLabel]) -> None:
    summary = summarise(LabelledTraffic([], labels), [seen("mallory", NOW)], sessions=7)
    assert (summary.alerted, summary.missed, summary.under_way) == ({"scraping": 1}, {"scraping": 0}, {"scraping": 1})


def test_latency_is_that_of_live_calls_of_growing_sessions(labels: list[AttackLabel]) -> None:
    alerts = [
        seen("a", NOW, age=120),
        seen("b", NOW, occasion="quiet", age=9),
        seen("c", NOW - 60_000, age=5000),
    ]
    summary = summarise(LabelledTraffic(labels, []), alerts, sessions=7)
    assert (summary.latency_p50_ms, summary.latency_p99_ms) == (120, 120)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 4), (0.0, 1)])
def test_a_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([1, 2, 3, 4], share) == value


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile([], 0.5) is None


def test_the_embedded_broker_makes_topics_of_four_partitions() -> None:
    broker = EmbeddedBroker()
    broker.make_topics(["logs"])
    assert broker.partitions("logs") == 4
