"""Streaming half-space trees over the feature vectors, as ``river`` has them.

S. C. Tan, K. M. Ting, T. F. Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011. A vector is scored before the
trees learn it, as in a stream.
"""

from typing import Any

import numpy as np
from river.anomaly import HalfSpaceTrees

from featurizer.features import Matrix
from scorer.baselines.columns import unit_range
from scorer.examples import Labels, Scores

TREES = 25
HEIGHT = 8
WINDOW = 250
"""Vectors after which the trees take over the mass profile learnt meanwhile. TREES and WINDOW are the paper's."""


def half_space_scores(values: Matrix, training: Labels, seed: int = 0) -> Scores:
    """Return the anomaly score of each vector, 0 to 1; 0 within the first WINDOW vectors. Shape (n,).

    Args:
        values: features in log order, NaN where missing, shape (n, f). Every column is scaled to 0 to 1, the
            range that the trees cut; a missing value takes the middle.
        training: vectors that the scale is taken from, shape (n,).
        seed: of the cuts.
    """
    trees: Any = HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOW, seed=seed)
    scaled = np.nan_to_num(unit_range(values, values[training]), nan=0.5)
    scores = np.zeros(len(scaled))
    for number, row in enumerate(scaled.tolist()):
        named = dict(enumerate(row))
        scores[number] = trees.score_one(named)
        trees.learn_one(named)
    return scores
