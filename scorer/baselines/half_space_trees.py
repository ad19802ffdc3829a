"""Streaming half-space trees over the feature vectors, as ``river`` has them.

S. C. Tan, K. M. Ting, T. F. Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011. A vector is scored before the
trees learn it, as in a stream.
"""

from river.anomaly import HalfSpaceTrees

import numpy as np

from featurizer.features import Matrix
from scorer.baselines.columns import unit_ranks
from scorer.examples import Labels, Scores

TREES = 25
HEIGHT = 8
WINDOW = 250
"""Vectors after which the trees take over the mass profile learnt meanwhile. TREES and WINDOW are the paper's."""


def half_space_scores(values: Matrix, training: Labels, seed: int = 0) -> Scores:
    """Return the anomaly score of each vector, 0 to 1; 0 within the first WINDOW vectors. Shape (n,).

    Args:
        values: features in log order, NaN where missing, shape (n, f); every column becomes ranks, 0 to 1, which is
            the range that the trees cut. A missing value goes the way most vectors go.
        training: vectors that the ranks are taken from, shape (n,).
        seed: of the cuts.
    """
    trees = HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOW, seed=seed)
    ranks = unit_ranks(values, values[training])
    # The trees are cut over the features of the first vector they learn: it has to have all of them.
    first = {column: 0.5 for column in range(ranks.shape[1])}
    trees.learn_one(first)
    scores = np.zeros(len(ranks))
    for number, row in enumerate(ranks.tolist()):
        known = {column: value for column, value in enumerate(row) if value == value}
        scores[number] = trees.score_one(known)
        trees.learn_one(known)
    return scores
