"""How good a model of call logs is: found attacks by kind, time to detect, false alerts; on clients it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scorer.call_fits import FittedRows
from scorer.call_recipe import examples_of, ready
from scorer.evaluation import Quality, quality
from scorer.holdout import Holdout
from scorer.judged import Detection, Judged, Share
from scorer.labelling import LabelledVectors
from scorer.thresholds import Thresholds
from scorer.training import predict


@dataclass(frozen=True, eq=False)
class CallReport:
    """Quality on held-out sessions, by a model and thresholds that saw none of their clients.

    Attributes:
        split: how sessions were held out, in words.
        train_sessions: sessions fitted to.
        test_sessions: sessions judged by.
        thresholds: chosen on the training sessions.
        complete: quality over complete sessions, at the threshold for closed ones.
        overall: detection of all attacks together.
        kinds: detection by kind of attack.
        false_alerts: benign sessions with an alert, early or closing.
        false_early: benign sessions with an early alert.
        premature: attacked sessions with an alert before their first hostile call.
        woven: the attacks were woven in: what is said of detection holds for woven attacks only.
    """

    split: str
    train_sessions: int
    test_sessions: int
    thresholds: Thresholds
    complete: Quality
    overall: Detection
    kinds: Sequence[Detection]
    false_alerts: Share
    false_early: Share
    premature: Share
    woven: bool = False

    def metrics(self) -> dict[str, float]:
        """Return what the manifest records."""
        own = {
            name: getattr(self.complete, name) for name in ("roc_auc", "average_precision", "f1", "calibration_error")
        }
        attacks = "woven_attacks" if self.woven else "attacks"
        numbers = {
            **own,
            f"{attacks}_found": self.overall.found.value,
            f"{attacks}_found_early": self.overall.early.value,
            f"{attacks}_found_before_half": self.overall.before_half.value,
            "false_alerts_per_1000_benign": 1000 * self.false_alerts.value,
            "false_early_alerts_per_1000_benign": 1000 * self.false_early.value,
        }
        if self.overall.calls is not None:
            numbers["median_calls_to_detect"] = self.overall.calls
        return {name: round(value, 4) for name, value in numbers.items()}


def evaluate_calls(
    vectors: LabelledVectors, split: Holdout, fitted: FittedRows, thresholds: Thresholds, *, woven: bool
) -> CallReport:
    """Judge a model of a part of the sessions by sessions of other clients, later in time where possible.

    Args:
        vectors: labelled vectors.
        split: which sessions it was trained on, and which judge it.
        fitted: the model.
        thresholds: chosen on the sessions it was trained on.
        woven: the attacks were woven in.

    Raises:
        ValueError: a side of the split holds no attacked or no benign session.
    """
    test = ready(vectors) & split.test[vectors.session]
    scores = predict(fitted.estimator, examples_of(vectors, test).features)
    complete = vectors.closed[test]
    alerting = scores >= np.where(complete, thresholds.closed, thresholds.open)
    judged = Judged(vectors, np.flatnonzero(test), alerting)
    kinds = sorted({kind for kind, there in zip(vectors.attacks, judged.there, strict=True) if kind and there})
    attacked = vectors.attacked
    return CallReport(
        split=split.how,
        train_sessions=len(np.unique(vectors.session[fitted.rows])),
        test_sessions=int(judged.there.sum()),
        thresholds=thresholds,
        complete=quality(vectors.anomalous[test][complete], scores[complete], thresholds.closed),
        overall=judged.detection("all", attacked),
        kinds=[judged.detection(kind, np.array([own == kind for own in vectors.attacks])) for kind in kinds],
        false_alerts=judged.share(judged.any_alert, ~attacked),
        false_early=judged.share(judged.early_alert, ~attacked),
        premature=judged.share(judged.premature, attacked),
        woven=woven,
    )
