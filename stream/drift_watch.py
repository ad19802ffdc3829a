"""DriftWatch: shows, from durable batches, whether live vectors still look like what the model was trained on."""

import numpy as np
import structlog

from featurizer.features import matrix_of
from scorer.drift import DriftMonitor, DriftPolicy
from scorer.judge import Judge
from scorer.verdicts import Readiness
from stream.batches import Batch
from stream.pipeline import Detector
from stream.telemetry import Telemetry

log = structlog.get_logger(__name__)


class DriftWatch:
    """Measures drift against the reference of a detector's model; another model starts anew.

    Vectors judged while the degree tables were learning are left out: they differ from the training's by that alone.

    Args:
        detector: whose model it is.
        policy: window and limits.
        telemetry: the metrics.
    """

    def __init__(self, detector: Detector, policy: DriftPolicy, telemetry: Telemetry) -> None:
        self._detector = detector
        self._policy = policy
        self._telemetry = telemetry
        self._begin(detector.judge)

    def observe(self, batch: Batch) -> None:
        """Take the vectors of a durable batch into the window, and show the drift."""
        judge = self._detector.judge
        if judge.bundle.uid != self._uid:
            self._begin(judge)
        # A batch judged just before a reload holds scores of the model before.
        taken = [
            (sample, verdict.score)
            for sample, verdict in zip(batch.samples, batch.verdicts, strict=True)
            if verdict.readiness is Readiness.READY and verdict.model == self._uid
        ]
        if not taken:
            return
        before = self.monitor.raised
        rows = matrix_of([sample.vector for sample, _ in taken], judge.schema)
        self.monitor.observe(rows, np.array([score for _, score in taken]), max(sample.clock for sample, _ in taken))
        self._show(self.monitor, before)

    def _begin(self, judge: Judge) -> None:
        self._uid = judge.bundle.uid
        self.monitor = DriftMonitor(judge.bundle.reference, judge.schema.names, self._policy)
        self._telemetry.drift_vectors.set(0)
        self._telemetry.drift_psi.clear()
        self._telemetry.drift_raised.clear()
        for name in self.monitor.variables:
            self._telemetry.drift_raised.labels(name).set(0)

    def _show(self, monitor: DriftMonitor, before: tuple[str, ...]) -> None:
        telemetry = self._telemetry
        raised, psi = monitor.raised, monitor.psi
        telemetry.drift_vectors.set(monitor.vectors)
        if not psi:
            telemetry.drift_psi.clear()  # a window that has become too small says nothing
        for name, value in psi.items():
            telemetry.drift_psi.labels(name).set(value)
            telemetry.drift_raised.labels(name).set(name in raised)
        for name in sorted({*raised} - {*before}):
            log.warning("drift: the model was trained on other values", variable=name, psi=round(psi[name], 3))
        for name in sorted({*before} - {*raised}):
            log.info("drift is over", variable=name, psi=round(psi[name], 3))
