"""Columns of a feature matrix made ready for detectors that want a bounded range or no gaps."""

import numpy as np

from featurizer.features import Matrix


def unit_range(values: Matrix, training: Matrix) -> Matrix:
    """Scale each column to 0 to 1: from the 1 % to the 99 % quantile of the training values; NaN stays NaN.

    Values beyond become 0 and 1. Features have long tails: between the least and the greatest value, nearly all
    would fall into one cut of a tree.

    Args:
        values: shape (n, f).
        training: shape (m, f).
    """
    scaled = np.full(values.shape, np.nan)
    for number in range(values.shape[1]):
        known = training[:, number][~np.isnan(training[:, number])]
        if len(known):
            low, high = np.quantile(known, (0.01, 0.99))
            scaled[:, number] = np.clip((values[:, number] - low) / ((high - low) or 1.0), 0, 1)
    return scaled


def without_gaps(values: Matrix, training: Matrix) -> Matrix:
    """Return the values, missing ones replaced by the median of the training values; 0 where there is none."""
    filled = np.array(values, dtype=np.float64)
    for number in range(values.shape[1]):
        known = training[:, number][~np.isnan(training[:, number])]
        filled[np.isnan(filled[:, number]), number] = np.median(known) if len(known) else 0.0
    return filled
