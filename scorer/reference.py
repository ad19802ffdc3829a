"""Reference: what the benign training rows looked like, to say what is usual and to notice drift."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.ensemble import Ensemble

LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
"""Shares of the rows below each quantile that is kept."""
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
    """

    quantiles: Matrix
    missing: Vector
    scores: Vector
    expected: float
    rows: int

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
        return cls(
            quantiles=np.nanquantile(benign, LEVELS, axis=0).T,
            missing=absent.mean(axis=0),
            scores=np.quantile(scores, LEVELS),
            expected=ensemble.expected,
            rows=len(scores),
        )

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
        return cls(
            quantiles=quantiles,
            missing=_checked(arrays, "missing", (n_features,)),
            scores=scores,
            expected=float(_checked(arrays, "expected", ())),
            rows=int(_checked(arrays, "rows", ())),
        )


def _checked(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if name not in arrays:
        raise ValueError(f"array {name!r} is missing")
    array = arrays[name]
    if array.shape != shape or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError(f"array {name!r} ({array.dtype}, shape {array.shape}) is not finite numbers of shape {shape}")
    return array
