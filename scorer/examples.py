"""Examples: labelled feature vectors, ready to train on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurizer.features import Matrix

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled feature vectors; all arrays have one entry a row.

    Attributes:
        features: features, shape (n, f); NaN where missing.
        anomalous: the label.
        groups: rows of one group are never on both sides of a split (equal vectors, or one client's).
        weights: what a row counts; the rows of one session share what it counts.
    """

    features: Matrix
    anomalous: Labels
    groups: Indices
    weights: Scores

    def __len__(self) -> int:
        return len(self.anomalous)

    def take(self, rows: NDArray[Any]) -> "Examples":
        """Return only these rows (positions or a mask)."""
        return Examples(self.features[rows], self.anomalous[rows], self.groups[rows], self.weights[rows])


def greatest(scores: Scores, session: Indices, count: int, least: float = 0.0) -> Scores:
    """Return the greatest score of each session, shape (count,).

    Args:
        scores: shape (n,).
        session: number of each score's session, shape (n,).
        count: number of sessions.
        least: of a session without a score, and at least that of any.
    """
    found = np.full(count, least)
    np.maximum.at(found, session, scores)
    return found


def groups_of(features: Matrix) -> Indices:
    """Number the distinct rows of a matrix: equal rows get the same number; missing values are equal to each other."""
    comparable = np.where(np.isnan(features), -np.inf, features)
    return np.unique(comparable, axis=0, return_inverse=True)[1].reshape(-1).astype(np.intp)
