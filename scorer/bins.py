"""Bins: how many values lie between which edges; the histograms that drift is measured by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Counts = NDArray[np.int64]


def bin_counts(values: Matrix, edges: Matrix) -> Counts:
    """Count the values of each variable by bin.

    Args:
        values: shape (n, variables), NaN where missing.
        edges: of each variable, ascending; a value that equals an edge lies above it. Equal edges have an empty bin
            between them. Shape (variables, edges).

    Returns:
        Shape (variables, edges + 2): from below the first edge to above the last, then the missing values.
    """
    variables, width = edges.shape[0], edges.shape[1] + 2
    bins = np.zeros(values.shape, dtype=np.intp)
    for edge in edges.T:
        bins += values >= edge
    bins[np.isnan(values)] = width - 1
    bins += np.arange(variables) * width
    return np.bincount(bins.ravel(), minlength=variables * width).astype(np.int64).reshape(variables, width)


def shares_of_quantiles(quantiles: Matrix, levels: Sequence[float]) -> Matrix:
    """Return the shares of the bins that the inner quantiles cut, as far as the quantiles tell them.

    Exact for a continuous variable. Of a value that many rows have, only the levels that fall on it are known, not
    its whole share: each bin can be wrong by the distance between two levels.

    Args:
        quantiles: ascending, shape (variables, levels).
        levels: share of the values below each quantile; the first is 0, the last 1.

    Returns:
        Shape (variables, levels - 1).
    """
    # Less than a quantile is what is less than the first one equal to it.
    below: Matrix = np.array([[levels[own.index(value)] for value in own] for own in quantiles.tolist()])
    below[:, -1] = 1.0
    shares: Matrix = np.diff(below, axis=1)
    return shares
