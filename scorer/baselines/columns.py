"""Columns of a feature matrix made ready for detectors that want a bounded range or no gaps."""

import numpy as np

from featurizer.features import Matrix


def unit_ranks(values: Matrix, training: Matrix) -> Matrix:
    """Return each value's rank among the training values of its column: the share below, ties half; NaN stays NaN.

    Features have long tails. Scaled between least and greatest value, nearly all of them would fall into one cut.

    Args:
        values: shape (n, f).
        training: shape (m, f).
    """
    ranks = np.full(values.shape, np.nan)
    for number in range(values.shape[1]):
        column = values[:, number]
        known = ~np.isnan(column)
        ordered = np.sort(training[:, number][~np.isnan(training[:, number])])
        below = np.searchsorted(ordered, column[known]) + np.searchsorted(ordered, column[known], "right")
        ranks[known, number] = below / max(2 * len(ordered), 1)
    return ranks


def without_gaps(values: Matrix, training: Matrix) -> Matrix:
    """Return the values, missing ones replaced by the median of the training values; 0 where there is none."""
    filled = np.array(values, dtype=np.float64)
    for number in range(values.shape[1]):
        known = training[:, number][~np.isnan(training[:, number])]
        filled[np.isnan(filled[:, number]), number] = np.median(known) if len(known) else 0.0
    return filled
