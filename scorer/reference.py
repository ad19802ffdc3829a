"""Reference: what the benign training rows looked like, to say what is usual and to notice drift."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.bins import bin_counts, spaced_edges
from scorer.ensemble import Ensemble

LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
"""Shares of the rows below each quantile that is kept."""
NARROWEST = 0.1
"""Least width of a bin for drift, as a share of the usual range: a shift by less is none."""
_USUAL = (LEVELS.index(0.05), LEVELS.index(0.95))

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reference:
    """Quantiles of the benign training rows and of their scores.

    Attributes:
        quantiles: feature values at LEVELS, missing values left out; shape (features, len(LEVELS)).
        missing: share of the rows in which each feature is missing; shape (features,).
        scores: probabilities that the ensemble gives the rows, at LEVELS; shape (len(LEVELS),).
        expected: mean raw score over all training rows, the base of explanations.
        rows: number of benign rows.
        shares: shares of the known values that lie between neighbouring ``edges``, the outer bins without end; the
            last row is of the scores. Shape (features + 1, len(LEVELS) - 2). Quantiles do not tell it of values that
            many rows have.
    """

    quantiles: Matrix
    missing: Vector
    scores: Vector
    expected: float
    rows: int
    shares: Matrix

    @classmethod
    def of(cls, benign: Matrix, ensemble: Ensemble) -> "Reference":
        """Summarise the benign training rows.

        Args:
            benign: values of the rows not labelled anomalous, shape (n, features).
            ensemble: the model trained with them.

        Raises:
            ValueError: there are no rows, or a feature is missing or infinite in a way that leaves no quantiles.
        """
        scores = ensemble.probabilities(benign)
        if not len(scores):
            raise ValueError("a reference needs benign training rows, there are none")
        absent = np.isnan(benign)
        if absent.all(axis=0).any():
            raise ValueError(f"feature {int(absent.all(axis=0).argmax())} is missing in every benign training row")
        if np.isinf(benign).any():
            raise ValueError(f"feature {int(np.isinf(benign).any(axis=0).argmax())} is infinite in a training row")
        quantiles, levels = np.nanquantile(benign, LEVELS, axis=0).T, np.quantile(scores, LEVELS)
        known = bin_counts(np.column_stack([benign, scores]), _edges(quantiles, levels))[:, :-1]
        return cls(
            quantiles=quantiles,
            missing=absent.mean(axis=0),
            scores=levels,
            expected=ensemble.expected,
            rows=len(scores),
            shares=known / known.sum(axis=1, keepdims=True),
        )

    @property
    def edges(self) -> Matrix:
        """Edges of the bins of each feature, and last of the score; shape (features + 1, len(LEVELS) - 3)."""
        return _edges(self.quantiles, self.scores)

    @property
    def bin_shares(self) -> Matrix:
        """Shares of the rows by bin, the missing values last, as ``bin_counts`` has them; rows add up to 1."""
        missing = np.append(self.missing, 0.0)[:, None]
        return np.hstack([self.shares * (1.0 - missing), missing])

    def usual_range(self, feature: int) -> tuple[float, float]:
        """Return the 5 % and 95 % quantiles of a feature (its position in the schema)."""
        low, high = _USUAL
        row = self.quantiles[feature]
        return float(row[low]), float(row[high])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays, enough for ``from_arrays``; the levels are among them for other readers."""
        return {
            "levels": np.array(LEVELS),
            "quantiles": np.asarray(self.quantiles, dtype=np.float64),
            "missing": np.asarray(self.missing, dtype=np.float64),
            "scores": np.asarray(self.scores, dtype=np.float64),
            "expected": np.array(self.expected, dtype=np.float64),
            "rows": np.array(self.rows, dtype=np.int64),
            "shares": np.asarray(self.shares, dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], n_features: int) -> "Reference":
        """Build a reference from the arrays of ``to_arrays``.

        Raises:
            ValueError: an array is missing, of another type or shape, or not in order.
        """
        levels = _checked(arrays, "levels", (len(LEVELS),))
        if tuple(levels.tolist()) != LEVELS:
            raise ValueError(f"quantiles are at levels {levels.tolist()}, expected {list(LEVELS)}")
        quantiles = _checked(arrays, "quantiles", (n_features, len(LEVELS)))
        scores = _checked(arrays, "scores", (len(LEVELS),))
        if (np.diff(quantiles, axis=1) < 0).any() or (np.diff(scores) < 0).any():
            raise ValueError("quantiles do not ascend")
        shares = _checked(arrays, "shares", (n_features + 1, len(LEVELS) - 2))
        if (shares < 0).any() or not np.allclose(shares.sum(axis=1), 1.0):
            raise ValueError("shares of bins do not add up to 1")
        return cls(
            quantiles=quantiles,
            missing=_checked(arrays, "missing", (n_features,)),
            scores=scores,
            expected=float(_checked(arrays, "expected", ())),
            rows=int(_checked(arrays, "rows", ())),
            shares=shares,
        )


def _edges(quantiles: Matrix, scores: Vector) -> Matrix:
    both = np.vstack([quantiles, scores])
    low, high = _USUAL
    return spaced_edges(both[:, 1:-1], NARROWEST * (both[:, high] - both[:, low]))


def _checked(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if name not in arrays:
        raise ValueError(f"array {name!r} is missing")
    array = arrays[name]
    if array.shape != shape or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError(f"array {name!r} ({array.dtype}, shape {array.shape}) is not finite numbers of shape {shape}")
    return array
