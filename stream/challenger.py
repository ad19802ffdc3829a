"""Challenger: a second model that judges the champion's vectors; what it would have alerted is counted and no more."""

from collections.abc import Callable

from scorer.alerts import AlertPolicy
from scorer.challenger import WouldBeAlerts
from scorer.judge import Judge
from scorer.severity import Grade, Severity
from scorer.verdicts import Verdict
from stream.batches import Batch, Sample


class Challenger:
    """A model at trial on live traffic.

    Degree tables follow the champion's alerts, so the challenger judges the traffic as the champion has shaped it.

    Args:
        judge: its model, with the champion's schema.
        policy: the champion's limits of alerting.
    """

    def __init__(self, judge: Judge, policy: AlertPolicy) -> None:
        self.judge = judge
        self._policy = policy

    def score(self, batch: Batch, grade: Callable[[Sample, Verdict], Grade]) -> None:
        """Judge a batch's samples and note what would have been alerts; no state of the champion changes.

        Args:
            batch: the batch.
            grade: returns the severity of an alert.
        """
        uid = self.judge.bundle.uid
        batch.challenger_verdicts = self.judge.verdicts([sample.vector for sample in batch.samples])
        for sample, verdict in zip(batch.samples, batch.challenger_verdicts, strict=True):
            alerts = sample.state.would_be
            if alerts is None or alerts.model != uid:
                sample.state.would_be = alerts = WouldBeAlerts(uid, self._policy)
            # Of no account without an alert, and it takes longer than the score.
            severity = grade(sample, verdict).severity if verdict.anomalous else Severity.LOW
            kind = alerts.decide(verdict, sample.vector, sample.clock, severity)
            if kind is not None:
                batch.challenger_alerts.append((kind, severity))
