"""Thresholds: from which score a session counts as anomalous.

A threshold is chosen on scores of rows that the model was not fitted to (out of fold) and is then fixed; choosing it
on the rows that judge the model flatters the result.
"""

import math
from bisect import bisect_right
from typing import NamedTuple

import msgspec
import numpy as np

from scorer.examples import Indices, Labels, Scores
from scorer.judged import Share

_SPLITS = 101


class SweepRow(msgspec.Struct, frozen=True):
    """What a threshold would do.

    Attributes:
        threshold: score from which a row counts as anomalous.
        precision: anomalous among the flagged; 1 when nothing is flagged.
        recall: flagged among the anomalous.
        f1: harmonic mean of both.
        false_alerts: flagged among 1,000 benign.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    false_alerts: float


class Thresholds(msgspec.Struct, frozen=True):
    """The two thresholds of a model: for sessions that go on, and for those that have ended."""

    open: float
    closed: float


def choose(anomalous: Labels, scores: Scores, per_thousand: float) -> Thresholds:
    """Return thresholds from out-of-fold scores of complete sessions alone.

    ``closed`` has the greatest F1. ``open`` flags at most ``per_thousand`` of 1,000 complete benign sessions, and never
    less than ``closed`` demands: nothing is known here of sessions that are still short, so it errs on the strict side.
    """
    closed = best_f1(anomalous, scores)
    return Thresholds(open=max(closed, within_budget(scores[~anomalous], per_thousand)), closed=closed)


def best_f1(anomalous: Labels, scores: Scores) -> float:
    """Return the threshold of greatest F1: half way between the lowest score it flags and the next lower one.

    Of equal maxima the greatest threshold is taken: fewer alerts for the same F1.

    Raises:
        ValueError: there is no anomalous row, so F1 says nothing.
    """
    if not anomalous.any():
        raise ValueError("no anomalous row to choose a threshold by")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    found = np.cumsum(anomalous[order])
    f1 = 2 * found / (np.arange(1, len(ranked) + 1) + anomalous.sum())
    last_of_ties = np.append(ranked[:-1] != ranked[1:], [True])
    best = int(np.argmax(np.where(last_of_ties, f1, -1.0)))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)


def within_budget(benign: Scores, per_thousand: float) -> float:
    """Return the lowest threshold that flags at most ``per_thousand`` of 1,000 benign sessions.

    With fewer than 1,000 / per_thousand benign sessions none of them may be flagged.

    Args:
        benign: greatest score of each benign session, shape (n,).
        per_thousand: the budget of false alerts.

    Raises:
        ValueError: there is no benign session.
    """
    if not len(benign):
        raise ValueError("no benign session to choose a threshold by")
    return _flagging(benign, math.floor(per_thousand * len(benign) / 1000))


def allowed_alerts(sessions: int, per_thousand: float) -> int:
    """Return how many of some benign sessions may alert if a budget is to hold for others like them.

    As many as keep the upper end of the interval of 95 % (Wilson) within it: the share among a few thousand sessions is
    known to a factor of two or so, and thresholds that use up the budget on them exceed it on every second other day.
    Of fewer than 5,661 / per_thousand sessions none may alert, and of fewer than 3,838 that is no proof either.

    Args:
        sessions: how many there are.
        per_thousand: the budget, alerting sessions in 1,000.
    """
    return max(0, bisect_right(range(sessions + 1), per_thousand / 1000, key=lambda hits: highest(hits, sessions)) - 1)


def highest(hits: int, sessions: int) -> float:
    """Return the upper end of the interval of a share of sessions."""
    return Share(hits, sessions).interval[1]


class Greatest(NamedTuple):
    """Greatest scores of some sessions, over vectors with hostile calls if they are attacks; 0 without such a vector.

    Attributes:
        early: while it was open; shape (n,).
        late: at its end.
        soon: while it was open and fewer than half of its calls were made.
    """

    early: Scores
    late: Scores
    soon: Scores

    def of(self, sessions: Indices) -> "Greatest":
        """Return those of some of the sessions."""
        return Greatest(*(scores[sessions] for scores in self))


def most_found(benign: Greatest, attacked: Greatest, allowed: int) -> Thresholds:
    """Return the two thresholds that find the most attacks, and the most of them soon, with so many false alerts.

    A benign session is one false alert, whether it is flagged early, at its end, or both. What is allowed is shared out
    between the two thresholds in up to 101 ways. An attack found before half of its calls are made counts twice: an
    alert at its end is the surer one, but comes when the harm is done. Of equally good pairs the one with the
    strictest ``open`` is taken. Unlike ``best_f1`` it does not depend on how many attacks there are among the rows.

    Args:
        benign: scores of the benign sessions.
        attacked: scores of the attacked ones.
        allowed: benign sessions that may be flagged.

    Raises:
        ValueError: there is no benign session.
    """
    early, late, _ = benign
    if not len(early):
        raise ValueError("no benign session to choose thresholds by")
    allowed = min(allowed, len(early))
    best, most = Thresholds(open=1.0, closed=1.0), -1
    for share in np.unique(np.linspace(0, allowed, _SPLITS).astype(int)):
        opened = min(_flagging(early, share), 1.0)
        quiet = early < opened
        closed = min(_flagging(late[quiet], max(0, allowed - int((~quiet).sum()))), 1.0)
        found = int(((attacked.early >= opened) | (attacked.late >= closed)).sum() + (attacked.soon >= opened).sum())
        if found > most:
            best, most = Thresholds(open=opened, closed=closed), found
    return best


def _flagging(scores: Scores, allowed: int) -> float:
    """Return the lowest threshold that flags at most so many of the scores."""
    if allowed >= len(scores):
        return 0.0
    place = len(scores) - 1 - allowed
    return float(np.nextafter(np.partition(scores, place)[place], math.inf))


def sweep(anomalous: Labels, scores: Scores, steps: int = 20) -> list[SweepRow]:
    """Return what thresholds 0, 1/steps, … 1 would do."""
    return [sweep_row(anomalous, scores, step / steps) for step in range(steps + 1)]


def sweep_row(anomalous: Labels, scores: Scores, threshold: float) -> SweepRow:
    """Return what one threshold does."""
    flagged = scores >= threshold
    hits = int((flagged & anomalous).sum())
    precision = hits / flagged.sum() if flagged.any() else 1.0
    recall = hits / anomalous.sum() if anomalous.any() else 1.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    benign = int((~anomalous).sum())
    false = 1000 * (int(flagged.sum()) - hits) / benign if benign else 0.0
    return SweepRow(threshold, float(precision), float(recall), float(f1), false)
