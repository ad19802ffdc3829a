"""Counterfactual: the least change of one feature that would have kept a score under its threshold."""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.ensemble import Ensemble


class Counterfactual(msgspec.Struct, frozen=True):
    """Another value of one feature with which, all else equal, there would have been no alert.

    Attributes:
        feature: name in the FeatureSchema.
        value: its value.
        enough: the value nearest to it that keeps the score under the threshold.
        score: the score with that value.
    """

    feature: str
    value: float
    enough: float
    score: float


def nearest_under(
    ensemble: Ensemble, row: NDArray[np.float64], feature: int, threshold: float, *, whole: bool = False
) -> tuple[float, float] | None:
    """Return the value of a feature nearest to its own with which the score is under a threshold, and that score.

    A score is constant between two neighbouring thresholds of the trees, so each interval is scored once: the answer is
    exact. Of two values as near the lower is returned.

    Args:
        ensemble: the model.
        row: shape (n_features,); NaN where missing.
        feature: position of the feature.
        threshold: score to stay under.
        whole: only whole numbers are possible; its own value is one.

    Returns:
        None when no finite value of the feature would do, or its own is missing or infinite: nothing is near to that.
    """
    own = float(row[feature])
    if not math.isfinite(own):
        return None
    scores = ensemble.probabilities_along(row, feature)
    highest = ensemble.intervals.upper_bounds(feature)
    lowest = np.concatenate(([-np.inf], np.nextafter(highest[:-1], np.inf)))  # an interval does not hold its lower end
    if whole:
        lowest, highest = np.ceil(lowest), np.floor(highest)
    nearest = np.clip(own, lowest, highest)
    possible = np.flatnonzero((scores < threshold) & (lowest <= highest) & np.isfinite(nearest))
    if not len(possible):
        return None
    best = possible[np.abs(nearest[possible] - own).argmin()]
    return float(nearest[best]), float(scores[best])
