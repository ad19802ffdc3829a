"""How good a model of call logs is: found attacks by kind, time to detect, false alerts; on clients it has not seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from scorer.call_fits import FittedRows
from scorer.call_recipe import examples_of, ready
from scorer.evaluation import Quality, quality
from scorer.examples import Indices, Labels
from scorer.holdout import Holdout
from scorer.labelling import LabelledVectors
from scorer.thresholds import Thresholds
from scorer.training import predict

_Z95 = 1.959964


class Share(msgspec.Struct, frozen=True):
    """A share of cases, with its 95 % interval (Wilson, Probable Inference, JASA 22, 1927)."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """Hits by cases; 0 without cases."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound."""
        if not self.of:
            return 0.0, 1.0
        z2 = _Z95 * _Z95 / self.of
        middle = (self.value + z2 / 2) / (1 + z2)
        half = _Z95 / (1 + z2) * math.sqrt(self.value * (1 - self.value) / self.of + z2 / (4 * self.of))
        return max(0.0, middle - half), min(1.0, middle + half)


class Detection(msgspec.Struct, frozen=True):
    """How attacks of one kind were found.

    Attributes:
        attack: kind of attack.
        found: sessions that raised an alert, early or closing, once hostile calls were among theirs.
        early: sessions that raised it while they went on.
        calls: median of the calls from the first hostile one to the alert, over the found; None when none was.
        seconds: median of the event time from the first hostile call to the latest call at the alert.
    """

    attack: str
    found: Share
    early: Share
    calls: float | None
    seconds: float | None


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


class Judged:
    """Alerts that the verdicts on some vectors would raise, one entry a session; cooldown left aside.

    Args:
        vectors: all vectors.
        rows: positions of those judged, in log order.
        alerting: which of these alert.

    Attributes:
        there: sessions of which a vector was judged.
        any_alert: sessions that raised an alert.
        early_alert: sessions that raised one while they went on.
        premature: attacked sessions that raised one before their first hostile call.
        found_early: sessions that raised one while they went on, once hostile calls were among theirs.
        first: position of the first alerting vector with a hostile call; -1 where there is none.
    """

    def __init__(self, vectors: LabelledVectors, rows: Indices, alerting: Labels) -> None:
        session, closed = vectors.session[rows], vectors.closed[rows]
        hostile = vectors.anomalous[rows]
        count = len(vectors.attacks)
        self.there = _any(session, np.ones(len(rows), dtype=bool), count)
        self.any_alert = _any(session, alerting, count)
        self.early_alert = _any(session, alerting & ~closed, count)
        self.premature = _any(session, alerting & ~hostile, count) & vectors.attacked
        self.found_early = _any(session, alerting & hostile & ~closed, count)
        self.first = np.full(count, -1, dtype=np.intp)
        found = rows[alerting & hostile][::-1]
        self.first[vectors.session[found]] = found  # the last assignment wins: the earliest vector
        self._vectors = vectors

    def share(self, sessions: Labels, among: Labels) -> Share:
        """Return how many of the sessions judged."""
        return Share(int((sessions & among & self.there).sum()), int((among & self.there).sum()))

    def detection(self, attack: str, sessions: Labels) -> Detection:
        """Return how the attacks of some sessions were found."""
        vectors, found = self._vectors, self.first[sessions & self.there & (self.first >= 0)]
        seconds = (vectors.end[found] - vectors.hostile_from[vectors.session[found]]) / 1000
        calls = vectors.calls[found] - self._calls_before()[vectors.session[found]]
        return Detection(
            attack=attack,
            found=self.share(self.first >= 0, sessions),
            early=self.share(self.found_early, sessions),
            calls=float(np.median(calls)) if len(found) else None,
            seconds=float(np.median(seconds)) if len(found) else None,
        )

    def _calls_before(self) -> Indices:
        """Return each session's calls at its last vector without a hostile call: at most those before the attack."""
        vectors = self._vectors
        before = np.zeros(len(vectors.attacks), dtype=np.intp)
        rows = ~vectors.anomalous
        np.maximum.at(before, vectors.session[rows], vectors.calls[rows])
        return before


def _any(session: Indices, flags: Labels, count: int) -> Labels:
    result = np.zeros(count, dtype=bool)
    result[session[flags]] = True
    return result
