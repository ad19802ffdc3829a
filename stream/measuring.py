"""Measuring: from durable cycles and live state to metrics. Nothing is counted before it is durable."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from featurizer.features import FeatureVector, Occasion
from featurizer.sessions import CloseReason, Outcome
from scorer.judge import Judge
from scorer.verdicts import Leg, Verdict
from stream.batches import Batch, Sample
from stream.clock import now_ms
from stream.cycle import Cycle
from stream.drift_watch import DriftWatch
from stream.intake import Intake
from stream.pipeline import Detector
from stream.telemetry import HOLDING_BACK, Telemetry

_CAP_OF_REASON = {
    CloseReason.MAX_CALLS: "max_calls",
    CloseReason.MAX_DURATION: "max_duration",
    CloseReason.EVICTED: "max_open",
}


class Recorder:
    """Counts what durable cycles led to.

    Args:
        telemetry: the metrics.
        max_edges: edges that a session can hold, to count those that reached it.
        drift: measures drift of the vectors; None for a role without a model.
    """

    def __init__(self, telemetry: Telemetry, max_edges: int, drift: DriftWatch | None = None) -> None:
        self._telemetry = telemetry
        self._max_edges = max_edges
        self._drift = drift

    def committed(self, cycle: Cycle, seconds: float) -> None:
        """Count a durable cycle.

        Args:
            cycle: what was committed.
            seconds: how long the commit took.
        """
        self._telemetry.commit_duration.observe(seconds)
        now = now_ms()
        for batch in cycle.batches:
            self._batch(batch, now)

    def _batch(self, batch: Batch, now: int) -> None:
        telemetry = self._telemetry
        telemetry.batch_size.observe(batch.records)
        for name, calls in batch.formats.items():
            telemetry.calls.labels(name).inc(calls)
        telemetry.ignored.inc(batch.ignored)
        for letter in batch.dead_letters:
            telemetry.dead_letters.labels(letter.reason).inc()
        telemetry.session_calls.inc(batch.accepted)
        telemetry.checkpoints.inc(batch.checkpoints)
        telemetry.checkpoint_bytes.inc(sum(len(own.key or b"") + len(own.value or b"") for own in batch.checkpoint))
        telemetry.late_calls.inc(batch.outcomes[Outcome.LATE])
        telemetry.duplicate_calls.inc(batch.outcomes[Outcome.DUPLICATE])
        for reason in HOLDING_BACK:
            telemetry.alerts_held_back.labels(reason).inc(batch.decisions[reason])
        self._vectors(batch.samples)
        for (readiness, anomalous), count in Counter(
            [(verdict.readiness.value, verdict.anomalous) for verdict in batch.verdicts]
        ).items():
            telemetry.verdicts.labels(readiness, str(anomalous).lower()).inc(count)
        self._challenger(batch)
        if self._drift is not None:
            self._drift.observe(batch)
        for alert in batch.alerts:
            telemetry.alerts.labels(alert.kind, alert.severity, alert.leg).inc()
            if alert.suppression is not None:
                telemetry.alerts_suppressed.labels(alert.suppression.rule).inc()
            if alert.occasion is Occasion.GROWING:
                # Other alerts wait for a pause or for the end by design: their age says nothing of the worker's speed.
                telemetry.alert_event_latency.observe((now - alert.position.call_time) / 1000)
                telemetry.alert_record_latency.observe((now - alert.position.record_time) / 1000)

    def _challenger(self, batch: Batch) -> None:
        telemetry = self._telemetry
        if batch.challenger_verdicts:
            pairs = zip(batch.verdicts, batch.challenger_verdicts, strict=True)
            for (champion, challenger), count in Counter(
                (_called(own), _called(other)) for own, other in pairs if own.leg is not Leg.LEARNING
            ).items():
                telemetry.challenger_verdicts.labels(champion, challenger).inc(count)
        for kind, severity in batch.challenger_alerts:
            telemetry.challenger_alerts.labels(kind, severity).inc()

    def _vectors(self, samples: Sequence[Sample]) -> None:
        """Count vectors and closed sessions; a metric is touched once a batch, not once a vector."""
        telemetry = self._telemetry
        for occasion, count in Counter([sample.vector.occasion.value for sample in samples]).items():
            telemetry.vectors.labels(occasion).inc(count)
        closed = [sample for sample in samples if sample.vector.occasion is Occasion.CLOSED]
        for name, count in Counter([str(sample.vector.close_reason) for sample in closed]).items():
            reason = CloseReason(name)
            telemetry.sessions_closed.labels(reason).inc(count)
            if reason in _CAP_OF_REASON:
                telemetry.caps_reached.labels(_CAP_OF_REASON[reason]).inc(count)
            if reason is CloseReason.EVICTED:
                telemetry.evictions.inc(count)
        telemetry.caps_reached.labels("max_edges").inc(sum(own.n_edges >= self._max_edges for own in closed))


def _called(verdict: Verdict) -> str:
    return "anomalous" if verdict.anomalous else "normal"


class TimedJudge(Judge):
    """A judge whose scoring time is measured."""

    telemetry: Telemetry

    def verdicts(self, vectors: Sequence[FeatureVector]) -> list[Verdict]:
        """Return one verdict per vector."""
        if not vectors:
            return []
        with self.telemetry.scoring_duration.time():
            return super().verdicts(vectors)


class StateGauges:
    """Shows the state of a worker: lag, watermarks, sessions, tables. Refreshed by a timer.

    Args:
        telemetry: the metrics.
        intakes: the worker's intakes.
        detector: its detector, when it has the role.
    """

    def __init__(self, telemetry: Telemetry, intakes: Iterable[Intake], detector: Detector | None) -> None:
        self._telemetry = telemetry
        self._intakes = tuple(intakes)
        self._detector = detector
        self._overflowed = 0
        self._uncounted = 0

    def refresh(self) -> None:
        """Set every gauge to the present."""
        telemetry = self._telemetry
        telemetry.consumer_lag.clear()  # partitions that went to another worker must not stay behind
        telemetry.restoring.set(sum(len(intake.restoring) for intake in self._intakes))
        for intake in self._intakes:
            telemetry.partitions_assigned.labels(intake.name).set(len(intake.assigned))
            for name, lag in intake.lags().items():
                telemetry.consumer_lag.labels(name.topic, name.partition).set(lag)
        if self._detector is not None:
            self._detect(self._detector)

    def _detect(self, detector: Detector) -> None:
        telemetry, now = self._telemetry, time.time()
        telemetry.watermark_delay.clear()
        telemetry.checkpoint_age.clear()
        telemetry.alert_budget_spent.clear()
        telemetry.alert_budget_limit.clear()
        idle = {name for intake in self._intakes for name in intake.idle}
        for name, state in detector.partitions.items():
            if state.windows.max_time:
                # The clock of an idle partition stands still while nothing is due.
                delay = 0.0 if name in idle else now - state.windows.watermark / 1000
                telemetry.watermark_delay.labels(name.topic, name.partition).set(delay)
            if state.live:
                age = max(0, state.offset + 1 - max(0, state.checkpointed))
                telemetry.checkpoint_age.labels(name.topic, name.partition).set(age)
                spent, budget = state.history.spending.in_hour(state.windows.max_time), state.history.policy.budget
                telemetry.alert_budget_spent.labels(name.topic, name.partition).set(spent)
                limit = math.inf if budget is None else budget
                telemetry.alert_budget_limit.labels(name.topic, name.partition).set(limit)
        limits = [state.windows.policy.max_open for state in detector.partitions.values()]
        telemetry.open_sessions_limit.set(sum(limits))
        telemetry.clock_steps.set(max(intake.clock.steps for intake in self._intakes))
        telemetry.open_sessions.set(detector.open_sessions)
        telemetry.degree_edges.set(detector.degrees.total_edges)
        telemetry.degree_endpoints.set(len(detector.degrees.ids))
        telemetry.learning_edges_needed.set(detector.judge.minimum_edges)
        at_work = detector.judge.leg_at(detector.degrees.total_edges)
        for leg in Leg:
            telemetry.leg.labels(leg).set(leg is at_work)
        overflowed = sum(state.table.overflowed for state in detector.partitions.values())
        telemetry.caps_reached.labels("max_endpoints").inc(max(0, overflowed - self._overflowed))
        self._overflowed = overflowed
        uncounted = sum(state.table.uncounted for state in detector.partitions.values())
        telemetry.caps_reached.labels("max_transitions").inc(max(0, uncounted - self._uncounted))
        self._uncounted = uncounted
