"""Bootstrap by client: how far a figure would vary over other clients of the same kind.

A client's sessions resemble each other, so they are drawn together: drawing rows would make intervals too narrow
(Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). Percentile intervals.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.examples import Indices, Labels, Scores

RESAMPLES = 500
LEVEL = 0.95
RECALLS = np.linspace(0, 1, 101)
"""Recalls at which the precision-recall curve is drawn."""
FALSE_SHARES = np.geomspace(1e-4, 1, 101)
"""Shares of benign sessions at which the ROC curve is drawn."""

Weights = NDArray[np.float64]
Statistic = Callable[[Weights], NDArray[np.float64]]
"""Figures of weighted sessions, shape (k,)."""


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its interval of 95 %; the bounds are NaN (null in JSON) where nothing could be resampled."""

    value: float
    low: float
    high: float


def by_client(
    statistic: Statistic, client: Indices, seed: int, resamples: int = RESAMPLES
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return figures over all sessions with lower and upper bounds, each of shape (k,).

    Args:
        statistic: the figures, of a weight for each session.
        client: number of each session's client, shape (sessions,).
        seed: of the resampling.
        resamples: how often clients are drawn, as many as there are, with replacement.
    """
    rng = np.random.default_rng(seed)
    _, member = np.unique(client, return_inverse=True)
    count = int(member.max(initial=-1)) + 1
    value = statistic(np.ones(len(client)))
    drawn = np.array(
        [
            statistic(np.bincount(rng.integers(0, count, count), minlength=count)[member].astype(np.float64))
            for _ in range(resamples)
        ]
    )
    known = ~np.isnan(drawn).all(axis=0)
    low, high = np.full(len(value), np.nan), np.full(len(value), np.nan)
    tail = 100 * (1 - LEVEL) / 2
    low[known], high[known] = np.nanpercentile(drawn[:, known], (tail, 100 - tail), axis=0)
    return value, low, high


def share_by_client(hits: Labels, client: Indices, seed: int) -> Estimate:
    """Return a share of sessions with its interval; NaN without sessions."""
    if not len(hits):
        return Estimate(float("nan"), float("nan"), float("nan"))

    def share(weights: Weights) -> Weights:
        total = weights.sum()
        return np.array([weights[hits].sum() / total if total else np.nan])

    value, low, high = by_client(share, client, seed)
    return Estimate(float(value[0]), float(low[0]), float(high[0]))


def rate_by_client(counts: NDArray[np.intp], client: Indices, units: float, seed: int) -> Estimate:
    """Return the sum of a count over sessions, by so many units of time, with its interval; NaN without sessions.

    Args:
        counts: one entry a session.
        client: number of each session's client.
        units: what the sum is divided by: the time in which the sessions were counted.
        seed: of the resampling.
    """
    if not len(counts):
        return Estimate(float("nan"), float("nan"), float("nan"))
    value, low, high = by_client(lambda weights: np.array([weights @ counts / units]), client, seed)
    return Estimate(float(value[0]), float(low[0]), float(high[0]))


class Ranking:
    """How well scores put attacked sessions before benign ones, for any weights of the sessions.

    Args:
        attacked: which sessions are attacks.
        scores: their scores.
    """

    def __init__(self, attacked: Labels, scores: Scores) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._last_of_ties = np.append(ranked[:-1] != ranked[1:], np.ones(min(len(ranked), 1), dtype=bool))
        self._attacked = attacked[self._order]

    def counts(self, weights: Weights) -> tuple[Weights, Weights]:
        """Return attacked and benign sessions flagged at each distinct threshold, the greatest first."""
        ranked = weights[self._order]
        found = np.cumsum(np.where(self._attacked, ranked, 0.0))[self._last_of_ties]
        false = np.cumsum(np.where(self._attacked, 0.0, ranked))[self._last_of_ties]
        return found, false

    def average_precision(self, weights: Weights) -> float:
        """Return the first of the figures; NaN where no attacked or no benign session has weight."""
        found, false = self.counts(weights)
        if not len(found) or not found[-1] or not false[-1]:
            return float("nan")
        return float((np.diff(found, prepend=0.0) * _precision(found, false)).sum() / found[-1])

    def figures(self, weights: Weights) -> Weights:
        """Return average precision, area under the ROC curve, precision at RECALLS, recall at FALSE_SHARES; or NaN.

        Average precision is the sum of precision times the step of recall; the ROC area is by trapezoids. Precision at
        a recall is that of the greatest threshold that reaches it; recall at a false share that of the lowest one
        that keeps within it.
        """
        found, false = self.counts(weights)
        if not len(found) or not found[-1] or not false[-1]:
            return np.full(2 + len(RECALLS) + len(FALSE_SHARES), np.nan)
        recall, false_share, precision = found / found[-1], false / false[-1], _precision(found, false)
        steps = np.diff(recall, prepend=0.0)
        area = np.trapezoid(np.append(0.0, recall), np.append(0.0, false_share))
        reached = np.searchsorted(recall, RECALLS - 1e-12)
        within = np.searchsorted(false_share, FALSE_SHARES + 1e-12, side="right")
        return np.concatenate(
            [
                [float((steps * precision).sum()), float(area)],
                precision[np.minimum(reached, len(precision) - 1)],
                np.append(0.0, recall)[within],
            ]
        )


def _precision(found: Weights, false: Weights) -> Weights:
    flagged = found + false
    return np.divide(found, flagged, out=np.ones_like(found), where=flagged > 0)


class Curve(msgspec.Struct, frozen=True):
    """A curve with its band: x, and y with lower and upper bounds, each a list of numbers."""

    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


class Ranked(msgspec.Struct, frozen=True):
    """How well scores put attacked sessions before benign ones, with intervals by client."""

    average_precision: Estimate
    roc_auc: Estimate
    precision_recall: Curve
    roc: Curve


def ranked(attacked: Labels, scores: Scores, client: Indices, seed: int) -> Ranked:
    """Return how well scores rank sessions; arrays have one entry a session."""
    value, low, high = (part.tolist() for part in by_client(Ranking(attacked, scores).figures, client, seed))

    def curve(x: Any, start: int) -> Curve:
        part = slice(start, start + len(x))
        return Curve(x.tolist(), value[part], low[part], high[part])

    return Ranked(
        average_precision=Estimate(value[0], low[0], high[0]),
        roc_auc=Estimate(value[1], low[1], high[1]),
        precision_recall=curve(RECALLS, 2),
        roc=curve(FALSE_SHARES, 2 + len(RECALLS)),
    )
