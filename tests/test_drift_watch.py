"""Drift of durable batches as metrics: which vectors count, and what happens when the model changes."""

from typing import Any

import numpy as np
import pytest
import structlog
from prometheus_client import CollectorRegistry

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector
from scorer.drift import SCORE, DriftPolicy
from scorer.judge import Judge
from stream.batches import Batch, Sample
from stream.cycle import Cycle
from stream.drift_watch import DriftWatch
from stream.measuring import Recorder
from stream.telemetry import Telemetry
from tests.alerting import vector, verdict_of
from tests.model_factory import TABLE_EDGES, Matrix, make_bundle, make_rows
from tests.records import CALLS, make_detector

SCHEMA = ACCESS_BEHAVIOUR_V1
POLICY = DriftPolicy(minimum_vectors=300)
ROWS, ANOMALOUS = make_rows(3000, seed=11)
BENIGN = ROWS[~ANOMALOUS]


class Watched:
    """A detector with its metrics."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(CollectorRegistry())
        self.detector = make_detector(judge=Judge(make_bundle()))
        self.watch = DriftWatch(self.detector, POLICY, self.telemetry)

    def batch(self, rows: Matrix, total: int = int(TABLE_EDGES)) -> Batch:
        """Return a batch of vectors with the verdicts of the detector's model."""
        vectors = [vector(session_id=f"s{at}", values=tuple(row), total_edges=total) for at, row in enumerate(rows)]
        state = self.detector.partitions[CALLS]
        session: Any = None  # nothing is read of it
        samples = [Sample(state, session, own, 0, own.end, own.end) for own in vectors]
        return Batch(samples=samples, verdicts=self.detector.judge.verdicts(vectors))

    def psi(self, variable: str) -> float | None:
        return self.telemetry.registry.get_sample_value("gatewatch_drift_psi", {"variable": variable})

    def raised(self) -> list[str]:
        """Return the variables whose drift the metrics call raised."""
        (family,) = [own for own in self.telemetry.registry.collect() if own.name == "gatewatch_drift_raised"]
        return [sample.labels["variable"] for sample in family.samples if sample.value]

    def vectors(self) -> float | None:
        return self.telemetry.registry.get_sample_value("gatewatch_drift_window_vectors")


def shifted(name: str) -> Matrix:
    """Return benign rows of which one feature is four times as great."""
    rows = BENIGN.copy()
    rows[:, SCHEMA.names.index(name)] *= 4
    return rows


def test_traffic_like_the_training_s_is_quiet() -> None:
    own = Watched()
    own.watch.observe(own.batch(BENIGN))
    assert (own.raised(), own.vectors()) == ([], len(BENIGN))
    assert all((own.psi(name) or 0) < 0.1 for name in SCHEMA.names)


@pytest.mark.parametrize("name", ["n_apis", "std_local_dest_degrees", "avg_dest_share"])
def test_a_shifted_feature_is_named_in_metrics_and_log(name: str) -> None:
    own = Watched()
    with structlog.testing.capture_logs() as lines:
        own.watch.observe(own.batch(shifted(name)))
        own.watch.observe(own.batch(shifted(name)))
    assert name in own.raised()
    assert set(own.raised()) <= {name, SCORE}
    assert [line["variable"] for line in lines if line["log_level"] == "warning"].count(name) == 1


def test_a_series_of_each_variable_is_there_from_the_start() -> None:
    own = Watched()
    for name in (*SCHEMA.names, SCORE):
        sample = own.telemetry.registry.get_sample_value("gatewatch_drift_raised", {"variable": name})
        assert (sample, own.psi(name)) == (0, None)


def test_vectors_of_tables_that_are_learning_do_not_count() -> None:
    own = Watched()
    own.watch.observe(own.batch(shifted("n_apis"), total=99))
    assert (own.vectors(), own.raised()) == (0, [])


def test_another_model_is_watched_from_the_start() -> None:
    own = Watched()
    before = own.batch(shifted("n_apis"))
    own.watch.observe(before)
    own.detector.judge = Judge(make_bundle(seed=1))
    own.watch.observe(before)
    assert (own.vectors(), own.raised(), own.psi("n_apis")) == (0, [], None)
    own.watch.observe(own.batch(BENIGN))
    assert own.vectors() == len(BENIGN)


def test_drift_that_ends_is_cleared() -> None:
    own = Watched()
    own.watch = DriftWatch(own.detector, DriftPolicy(minimum_vectors=300, window_vectors=2000), own.telemetry)
    own.watch.observe(own.batch(shifted("n_apis")))
    assert "n_apis" in own.raised()
    own.watch.observe(own.batch(BENIGN))
    assert own.raised() == []


def test_only_what_is_durable_counts() -> None:
    """The recorder is told of a cycle when it is committed."""
    own = Watched()
    cycle = Cycle()
    cycle.add(own.batch(BENIGN), [])
    assert own.vectors() == 0
    Recorder(own.telemetry, 10, own.watch).committed(cycle, 0.01)
    assert own.vectors() == len(BENIGN)


def test_both_verdicts_on_a_vector_are_counted_side_by_side() -> None:
    own = Watched()
    batch = own.batch(ROWS[:4])
    vectors: list[FeatureVector] = [sample.vector for sample in batch.samples]
    batch.verdicts = [verdict_of(one, score=score) for one, score in zip(vectors, (0.9, 0.9, 0.1, 0.1), strict=True)]
    batch.challenger_verdicts = [
        verdict_of(one, score=score) for one, score in zip(vectors, (0.9, 0.1, 0.9, 0.9), strict=True)
    ]
    cycle = Cycle()
    cycle.add(batch, [])
    Recorder(own.telemetry, 10).committed(cycle, 0.01)

    def counted(champion: str, challenger: str) -> float | None:
        labels = {"champion": champion, "challenger": challenger}
        return own.telemetry.registry.get_sample_value("gatewatch_challenger_verdicts_total", labels)

    assert np.array(
        [[counted(own_, other) for other in ("anomalous", "normal")] for own_ in ("anomalous", "normal")]
    ).tolist() == [[1, 1], [2, 0]]
