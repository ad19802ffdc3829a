"""Bins: how many values lie between which edges; the histograms that drift is measured by."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Counts = NDArray[np.int64]


def bin_counts(values: Matrix, edges: Matrix) -> Counts:
    """Count the values of each variable by bin.

    Args:
        values: shape (n, variables), NaN where missing.
        edges: of each variable, ascending; a value that equals an edge lies above it. Shape (variables, edges).

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


def spaced_edges(quantiles: Matrix, narrowest: Vector) -> Matrix:
    """Return edges half way between neighbouring quantiles, where these lie far enough apart.

    Edges at the quantiles themselves would cut a value that most rows have nearly alike, such as how common the
    commonest endpoint is, into bins far narrower than it varies from day to day: measured between hours of equal
    traffic of the simulator, the index of such a feature was 2 to 4.5 by quantiles, and 0.01 or less by these edges.

    Args:
        quantiles: ascending, shape (variables, levels).
        narrowest: distance of two quantiles up to which there is no edge between them, shape (variables,).

    Returns:
        Ascending, the absent ones infinite, so that nothing lies above them; shape (variables, levels - 1).
    """
    gaps = np.diff(quantiles, axis=1)
    edges: Matrix = np.where(gaps > narrowest[:, None], quantiles[:, :-1] + gaps / 2, np.inf)
    return np.sort(edges, axis=1)
