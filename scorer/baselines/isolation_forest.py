"""Isolation forest over the feature vectors, as scikit-learn has it.

F. T. Liu, K. M. Ting, Z.-H. Zhou, Isolation Forest, ICDM 2008.
"""

import numpy as np
from sklearn.ensemble import IsolationForest

from featurizer.features import Matrix
from scorer.baselines.columns import without_gaps
from scorer.examples import Labels, Scores

TREES = 100
SAMPLE = 256
"""Vectors that each tree is grown from; both numbers are the paper's."""


def isolation_scores(values: Matrix, training: Labels, seed: int = 0) -> Scores:
    """Return the anomaly score of each vector, 2^(-E(h) / c(SAMPLE)), 0 to 1, shape (n,).

    Args:
        values: features, NaN where missing (the training median takes its place), shape (n, f).
        training: vectors to fit to, shape (n,).
        seed: of the forest.
    """
    filled = without_gaps(values, values[training])
    forest = IsolationForest(n_estimators=TREES, max_samples=min(SAMPLE, int(training.sum())), random_state=seed)
    return -np.asarray(forest.fit(filled[training]).score_samples(filled), dtype=np.float64)
