"""The recipe of isolation forests: how easily a session is told from the benign ones, without a look at attacks.

F. T. Liu, K. M. Ting, Z.-H. Zhou, Isolation Forest, ICDM 2008.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from featurizer.features import Matrix
from scorer.baselines.columns import without_gaps
from scorer.ensemble import Ensemble
from scorer.examples import Labels, Scores
from scorer.oblivious import greatest_left
from scorer.trees import LEAF, MAX_LEAVES, Trees

UNUSUAL = 0.999
"""Quantile of the benign training rows whose score is one half."""
USUAL_SCORE = 0.01
"""Score of their median."""


@dataclass(frozen=True, eq=False)
class Isolation:
    """A fitted forest, and what makes scores of path lengths.

    Attributes:
        forest: fitted to benign rows, gaps filled.
        filling: what stands for a missing value of each feature, the median, shape (f,).
        median: isolation of the median benign row; isolation is -E(h) / c, the logarithm (base 2) of the paper's score.
        unusual: isolation at the quantile UNUSUAL.
    """

    forest: IsolationForest
    filling: Scores
    median: float
    unusual: float


class IsolationRecipe(msgspec.Struct, frozen=True):
    """Parameters of the forest. Names as in scikit-learn.

    The paper takes 256 rows a tree and finds that fewer do; a tree of 64 has leaves that fit a machine word.
    """

    NAME: ClassVar[str] = "isolation-forest"
    ESTIMATOR: ClassVar[str] = "scikit-learn's IsolationForest, fitted to the benign rows alone"
    SPACE: ClassVar[Mapping[str, Sequence[float]]] = {}
    """Nothing to search: which recipe is best can't be told without labels."""
    class_weight: ClassVar[None] = None

    n_estimators: int = 100
    max_samples: int = MAX_LEAVES

    def fit(self, features: Matrix, anomalous: Labels, weights: Scores, seed: int) -> Isolation:  # noqa: ARG002 -- as other recipes
        """Return the forest fitted to the benign rows, whatever their weights.

        Raises:
            ValueError: the benign rows are all alike.
        """
        benign = features[~anomalous]
        filled = without_gaps(benign, benign)
        filling = without_gaps(np.full((1, features.shape[1]), np.nan), benign)[0]
        forest = IsolationForest(
            n_estimators=self.n_estimators, max_samples=min(self.max_samples, len(benign)), random_state=seed
        ).fit(filled)
        median, unusual = np.quantile(np.log2(-forest.score_samples(filled)), (0.5, UNUSUAL)).tolist()
        if not median < unusual:
            raise ValueError("the benign sessions are all alike: an isolation forest learns nothing from them")
        return Isolation(forest, filling, median, unusual)


def compile_isolation(fitted: Isolation) -> Ensemble:
    """Return a forest as an ensemble, whose raw score grows linearly with isolation.

    It is 0 (a score of one half) at ``unusual`` and the log-odds of USUAL_SCORE at ``median``, so that scores order
    sessions as the paper's do and thresholds and explanations read as those of other models. A score is no probability.
    """
    forest = fitted.forest
    slope = -math.log(USUAL_SCORE / (1 - USUAL_SCORE)) / (fitted.unusual - fitted.median)
    longest = average_path_lengths(np.array([forest.max_samples_]))[0]
    value = -slope / (len(forest.estimators_) * longest)
    trees = [_nodes(own.tree_, fitted.filling, value) for own in forest.estimators_]
    n_features = len(fitted.filling)
    return Ensemble(Trees.joined(trees, n_features), -slope * fitted.unusual, n_features)


def average_path_lengths(rows: NDArray[Any]) -> Scores:
    """Return c(n), the average path length of a search in a binary tree of n rows (equation 1 of the paper)."""
    n = np.maximum(rows.astype(np.float64), 2)
    lengths = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.select([rows <= 1, rows == 2], [0.0, 1.0], lengths)


def _nodes(tree: Any, filling: Scores, value: float) -> dict[str, NDArray[Any]]:
    """Return a tree's nodes; a leaf adds ``value`` for each step of its path, those not taken below it included."""
    leaf = tree.children_left < 0
    depth = np.zeros(tree.node_count)
    for node in np.flatnonzero(~leaf):  # children come after their parents
        depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    # scikit-learn rounds every value to float32 before it compares.
    border = tree.threshold.astype(np.float32)
    border = np.where(border > tree.threshold, np.nextafter(border, np.float32(-np.inf)), border)
    threshold = np.where(leaf, 0.0, greatest_left(border))
    return {
        "feature": np.where(leaf, LEAF, tree.feature),
        "threshold": threshold,
        "missing_left": ~leaf & (filling[tree.feature] <= threshold),
        "left": tree.children_left,
        "right": tree.children_right,
        "value": np.where(leaf, value * (depth + average_path_lengths(tree.n_node_samples)), 0.0),
        "cover": tree.n_node_samples.astype(np.float64),
    }
