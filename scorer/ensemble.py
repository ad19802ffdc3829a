"""Ensemble: gradient-boosted trees scored in numpy, equal to the scikit-learn estimator they were compiled from."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorer.intervals import Intervals
from scorer.trees import Trees

LOGIT = "logit"
"""Link of a binary classifier: the trees' sum is the log-odds of the probability."""

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_CHUNK = 1024
"""Rows decided at once: a chunk's masks and leaf numbers stay in the processor's cache."""


class Ensemble:
    """A sum of decision trees with a link to a probability; immutable.

    Scoring follows QuickScorer (Lucchese et al., SIGIR 2015): a tree's leaves are bits of a word, and every
    comparison clears the bits of the leaves it makes unreachable. Here the comparisons of one feature are combined
    beforehand: between two neighbouring thresholds their outcome is constant, so each (feature, interval) has one row
    of words, the bits that survive in every tree; a further row per feature serves the missing value. Both outcomes of
    a comparison clear bits, so after AND-ing a row per feature exactly one bit a tree is left: its leaf.

    Leaf values are added in the order of the trees, starting with the baseline, as scikit-learn does: the raw scores
    are the same bits.

    Attributes:
        trees: the trees as flat arrays.
        baseline: raw score before any tree.
        n_features: columns of a row.
        intervals: the values that the trees can tell apart.
        link: how a raw score becomes a probability; only LOGIT.
        expected: mean raw score over the training rows, the base of explanations.
    """

    def __init__(self, trees: Trees, baseline: float, n_features: int, link: str = LOGIT) -> None:
        if link != LOGIT:
            raise ValueError(f"link {link!r} is not supported, expected {LOGIT!r}")
        if not math.isfinite(baseline):
            raise ValueError(f"baseline {baseline} is not finite")
        self.trees = trees
        self.baseline = baseline
        self.n_features = n_features
        self.link = link
        self.expected = _expected(trees, baseline)
        self.intervals = Intervals.of(trees, n_features)
        self._masks = _masks(trees, self.intervals)
        self._one = self._masks.dtype.type(1)
        leaves = trees.leaves
        # The baseline is the one leaf of a tree before the first.
        self._values = np.concatenate(([baseline], trees.value[leaves]))
        sizes = trees.leaf_last[trees.starts[:-1]] + 1
        self._offsets = np.concatenate(([0], 1 + np.cumsum(sizes) - sizes))

    @classmethod
    def from_estimator(cls, estimator: Any) -> "Ensemble":
        """Compile a fitted binary ``HistGradientBoostingClassifier`` with numerical features.

        Reads the fitted attributes only, so that scikit-learn need not be installed.

        Raises:
            ValueError: the estimator is not binary, has categorical features, or trees of more than 64 leaves.
        """
        rounds = estimator._predictors  # noqa: SLF001 -- scikit-learn has no public access to fitted trees
        baseline = np.asarray(estimator._baseline_prediction, dtype=np.float64)  # noqa: SLF001 -- same
        if baseline.size != 1 or any(len(trees) != 1 for trees in rounds) or len(estimator.classes_) != 2:
            raise ValueError("only binary classifiers can be compiled: one tree a boosting round, two classes")
        n_features = int(estimator.n_features_in_)
        trees = Trees.from_nodes([trees[0].nodes for trees in rounds], n_features)
        return cls(trees, float(baseline.item()), n_features)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays, enough for ``from_arrays`` to build an equal ensemble."""
        return {
            "link": np.array(self.link),
            "n_features": np.array(self.n_features, dtype=np.int32),
            "baseline": np.array(self.baseline, dtype=np.float64),
            **self.trees.to_arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Ensemble":
        """Build an ensemble from the arrays of ``to_arrays``.

        Raises:
            ValueError: an array is missing, of another type or shape, or the trees are malformed.
        """
        n_features = int(_scalar(arrays, "n_features", "iu"))
        if not 1 <= n_features <= 10_000:
            raise ValueError(f"n_features {n_features} is outside 1 … 10000")
        baseline = float(_scalar(arrays, "baseline", "f"))
        link = str(_scalar(arrays, "link", "U"))
        return cls(Trees.from_arrays(arrays, n_features), baseline, n_features, link)

    def raw(self, rows: ArrayLike) -> Vector:
        """Return the raw score (log-odds) of each row.

        Args:
            rows: shape (n, n_features); NaN where missing; infinities are compared as numbers.

        Returns:
            Shape (n,).

        Raises:
            ValueError: the rows are not a matrix of n_features columns.
        """
        matrix = self.matrix(rows)
        if len(matrix) == 1:
            return self._values.take(self._leaves_of_one(matrix[0])).cumsum()[-1:]
        result = np.empty(len(matrix))
        for start in range(0, len(matrix), _CHUNK):
            chunk = matrix[start : start + _CHUNK]
            result[start : start + len(chunk)] = _sums(self._values.take(self._leaves_of_many(chunk)))
        return result

    def probabilities(self, rows: ArrayLike) -> Vector:
        """Return the probability of anomaly of each row, shape (n,); arguments and errors as ``raw``."""
        raw = self.raw(rows)
        return np.array([_logistic(raw.item())]) if len(raw) == 1 else _logistics(raw)

    def probabilities_along(self, row: Vector, feature: int) -> Vector:
        """Return the probabilities of a row with a value from each interval of one feature in place of its own.

        Args:
            row: shape (n_features,); NaN where missing.
            feature: position of the feature.

        Returns:
            One for each interval, upwards; the missing value is not among them.
        """
        own = slice(int(self.intervals.first[feature]), int(self.intervals.last[feature]) + 1)
        others = np.delete(self.intervals.numbers(row), feature)
        alive = self._masks[own] & np.bitwise_and.reduce(self._masks.take(others, axis=0))  # (intervals, trees + 1)
        return _logistics(_sums(self._values.take(self._numbers(alive))))

    def _leaves_of_one(self, row: Vector) -> NDArray[np.intp]:
        alive = np.bitwise_and.reduce(self._masks.take(self.intervals.numbers(row), axis=0))  # (trees + 1,)
        return self._numbers(alive)

    def _leaves_of_many(self, rows: Matrix) -> NDArray[np.intp]:
        numbers = self.intervals.numbers(rows)  # (n, n_features)
        alive = self._masks.take(numbers[:, 0], axis=0)  # (n, trees + 1)
        for feature in range(1, self.n_features):
            alive &= self._masks.take(numbers[:, feature], axis=0)
        return self._numbers(alive)

    def _numbers(self, alive: NDArray[Any]) -> NDArray[np.intp]:
        """Return the position in the leaf values of the one bit that is left in each word."""
        below: NDArray[Any] = np.bitwise_count(alive - self._one)
        positions: NDArray[np.intp] = below + self._offsets
        return positions

    def matrix(self, rows: ArrayLike) -> Matrix:
        """Return the rows as a matrix of floats.

        Raises:
            ValueError: the rows are not a matrix of n_features columns.
        """
        matrix = np.asarray(rows, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != self.n_features:
            raise ValueError(f"rows have shape {matrix.shape}, expected (n, {self.n_features})")
        return matrix


def _logistic(raw: float) -> float:
    shrunk = math.exp(-abs(raw))
    return (1.0 if raw >= 0 else shrunk) / (1.0 + shrunk)


def _logistics(raw: Vector) -> Vector:
    # exp of a number that is not positive can't overflow.
    shrunk = np.exp(-np.abs(raw))
    return np.where(raw >= 0, 1.0, shrunk) / (1.0 + shrunk)


def _sums(values: Matrix) -> Vector:
    """Return the sums over the trees, in their order for every sample."""
    # Row after row of the transpose; of one sample alone numpy would add pieces first.
    return np.add.reduce(np.ascontiguousarray(values.T), axis=0) if len(values) > 1 else values.cumsum(axis=1)[:, -1]


def _scalar(arrays: Mapping[str, NDArray[Any]], name: str, kinds: str) -> Any:
    if name not in arrays:
        raise ValueError(f"array {name!r} is missing")
    array = np.asarray(arrays[name])
    if array.shape != () or array.dtype.kind not in kinds:
        raise ValueError(f"array {name!r} is {array.dtype} of shape {array.shape}, expected one value of kind {kinds}")
    return array.item()


def _expected(trees: Trees, baseline: float) -> float:
    """Return the mean raw score over the training rows, by cover."""
    leaves = trees.leaves
    roots = trees.starts[trees.tree_of[leaves]]
    return baseline + float(np.sum(trees.value[leaves] * trees.cover[leaves] / trees.cover[roots]))


def _masks(trees: Trees, intervals: Intervals) -> NDArray[Any]:
    """Return the surviving leaves as bits, shape (intervals, 1 + trees); column 0 is the baseline's tree."""
    widest = int(trees.leaf_last.max()) + 1
    dtype = np.dtype(next(word for word in ("u1", "u2", "u4", "u8") if np.dtype(word).itemsize * 8 >= widest))
    sizes = trees.leaf_last[trees.starts[:-1]] + 1
    full = [1, *((1 << int(size)) - 1 for size in sizes)]
    masks = np.tile(np.array(full, dtype=np.uint64), (intervals.count, 1))
    tree_of = trees.tree_of
    for node in trees.inner:
        feature, tree, split = trees.feature[node], 1 + tree_of[node], intervals.split[node]
        not_left, not_right = (~_bits(trees, child[node]) for child in (trees.left, trees.right))
        masks[intervals.first[feature] : split + 1, tree] &= not_right
        masks[split + 1 : intervals.last[feature] + 1, tree] &= not_left
        masks[intervals.missing(feature), tree] &= not_right if trees.missing_left[node] else not_left
    return masks.astype(dtype)


def _bits(trees: Trees, node: int) -> np.uint64:
    """Return the leaves below a node as bits of a word."""
    first, last = int(trees.leaf_first[node]), int(trees.leaf_last[node])
    return np.uint64((1 << (last + 1)) - (1 << first))
