"""The topology of docker-compose.yml works as a whole: Kafka, topics, two workers, simulator, Prometheus."""

import os
import time
from pathlib import Path

import pytest

from tests.kafka_broker import running_broker
from tests.programs import find_program
from tests.topology import Topology

EMPTY = ("ALERTS{", "gatewatch_labelled_sessions", "gatewatch_model_precision")
"""Queries of what need not be there: no rule fires, and nobody has labelled a session."""


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(180)
@pytest.mark.skipif(find_program("prometheus") is None, reason="prometheus is missing: apt-get install prometheus")
@pytest.mark.skipif("KAFKA_BOOTSTRAP" in os.environ, reason="would use the default topics of your cluster")
def test_prometheus_sees_two_workers_at_work(tmp_path: Path) -> None:
    """Every panel of the dashboard has a series: names, labels, token and addresses fit together."""
    with running_broker() as broker, Topology(broker.bootstrap, tmp_path, rate=100, workers=2) as topology:
        deadline = time.monotonic() + 90
        while not topology.calls_seen() and time.monotonic() < deadline:
            time.sleep(1)
        outcome = topology.outcome()
    assert list(outcome.targets.values()) == ["up", "up"]
    assert set(outcome.exits.values()) == {0}, "every program ends in good order"
    asked = {query: found for query, found in outcome.queries.items() if not any(own in query for own in EMPTY)}
    empty = [query for query, samples in asked.items() if not samples]
    assert empty == []
    assert outcome.alerts in ([], ["GatewatchLearning"])
