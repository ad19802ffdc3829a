"""Explanations: what each feature added to a raw score, as exact Shapley values."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorer.ensemble import Ensemble
from scorer.paths import Numbers, Pairs, Path, Vector, paths_of

Matrix = NDArray[np.float64]

MAX_TABLED_FEATURES = 10
"""Paths that compare more features are too many cases for a table."""
MAX_TABLE_BYTES = 64 * 1024 * 1024
"""Tables of one model; what does not fit is integrated for every row."""


def contributions(ensemble: Ensemble, rows: ArrayLike) -> tuple[Matrix, float]:
    """Return the contribution of every feature to the raw score (log-odds) of every row.

    These are the values of path-dependent TreeSHAP (Lundberg, Erion, Lee: Consistent Individualized Feature
    Attribution for Tree Ensembles, arXiv:1802.03888, 2018; Lundberg et al.: From local explanations to global
    understanding with explainable AI for trees, Nature Machine Intelligence 2, 2020): a feature that is not in the
    coalition sends a row to both children of a node, in proportion to their cover.

    For a leaf of value v, let z_k be the product of the cover shares of the steps on its path that compare feature k,
    and o_k be 1 if the row passes all of them, else 0. A coalition S sees v ∏_{k∈S} o_k ∏_{k∉S} z_k, and the Shapley
    value of feature j is, with the weights |S|! (d-1-|S|)! / d! written as the integral over t of t^|S| (1-t)^(d-1-|S|)
    (the multilinear extension: Owen, Multilinear Extensions of Games, Management Science 18, 1972),

        v (o_j - z_j) ∫ ∏_{k≠j} (t o_k + (1-t) z_k) dt   over t from 0 to 1.

    The integrand is a polynomial of degree d - 1, which Gauss-Legendre quadrature with ⌈d/2⌉ nodes integrates exactly.

    A leaf knows a row by o alone, which has 2^d cases. They are integrated once a model, at its first explanation, and
    looked up from then on (Yang: Fast TreeSHAP, arXiv:2109.09847, 2021), for all but leaves with very many features.

    Args:
        ensemble: the model.
        rows: shape (n, n_features); NaN where missing.

    Returns:
        The contributions, shape (n, n_features), and the base: the mean raw score over the training rows. The sum of
        a row's contributions and the base is its raw score.

    Raises:
        ValueError: the rows are not a matrix of n_features columns.
    """
    matrix = ensemble.matrix(rows)
    explainer = _explainer(ensemble)
    result = np.zeros(matrix.shape)
    for row, numbers in zip(result, ensemble.intervals.numbers(matrix), strict=True):
        explainer.add(row, numbers)
    return result, ensemble.expected


class Explainer:
    """Shapley values of one ensemble.

    Args:
        ensemble: the model.
        table_bytes: room for tables; paths of fewest features come first.
    """

    def __init__(self, ensemble: Ensemble, table_bytes: int = MAX_TABLE_BYTES) -> None:
        paths = sorted(paths_of(ensemble), key=lambda path: len(path.steps))
        sizes = np.array([len(path.steps) for path in paths], dtype=np.intp)
        sizes = sizes[sizes <= MAX_TABLED_FEATURES]
        tabled = int(np.sum(np.cumsum(8 * sizes * 2**sizes + 2 * ensemble.intervals.count) <= table_bytes))
        self._tables = _Tables(paths[:tabled], ensemble) if tabled else None
        self._others = Pairs.of(paths[tabled:], ensemble) if tabled < len(paths) else None

    def add(self, row: Vector, numbers: Numbers) -> None:
        """Add the contributions to a row of zeros, shape (n_features,).

        Args:
            row: where they go.
            numbers: number of the interval that each feature's value lies in; shape (n_features,).
        """
        if self._tables is not None:
            self._tables.add(row, numbers)
        if self._others is not None:
            pairs = self._others
            effects = pairs.effects(pairs.passes(numbers.take(pairs.feature)))
            row += np.bincount(pairs.feature, weights=effects, minlength=len(row))


class _Tables:
    """What leaves contribute, looked up by which features of their path a row passes.

    A leaf's case is a number with a bit for each feature of its path. Each (feature, interval) has one row with the
    bits that it sets in every leaf's case, as the masks of the ensemble have one for the leaves that survive.
    """

    def __init__(self, paths: Sequence[Path], ensemble: Ensemble) -> None:
        self._bits = _bits(paths, ensemble)  # (intervals, leaves)
        effects, features, leaves, begins = [], [], [], []
        leaf = begin = 0
        for size, group in groupby(paths, key=lambda path: len(path.steps)):
            alike = list(group)
            pairs = Pairs.of(alike, ensemble)
            cases = (np.arange(2**size)[:, None] >> np.arange(size)) & 1 == 1  # (cases, size)
            effects.append(np.array([pairs.effects(case.repeat(len(alike))) for case in cases]).T.ravel())
            features.append(pairs.feature)
            leaves.append(np.tile(np.arange(leaf, leaf + len(alike)), size))
            begins.append(np.arange(len(pairs.feature)) * len(cases) + begin)
            leaf, begin = leaf + len(alike), begin + len(effects[-1])
        self._effects = np.concatenate(effects)  # of every case of every pair
        feature = np.concatenate(features)
        by_feature = np.argsort(feature, kind="stable")
        self._leaf = np.concatenate(leaves)[by_feature]  # (pairs,)
        self._begin = np.concatenate(begins)[by_feature]  # (pairs,) where a pair's cases begin
        self._used, self._starts = np.unique(feature[by_feature], return_index=True)  # features, where theirs begin

    def add(self, row: Vector, numbers: Numbers) -> None:
        """Add the contributions of the row with these interval numbers."""
        case = np.bitwise_or.reduce(self._bits.take(numbers, axis=0))  # (leaves,)
        effects = self._effects.take(self._begin + case.take(self._leaf))
        row[self._used] += np.add.reduceat(effects, self._starts)


def _bits(paths: Sequence[Path], ensemble: Ensemble) -> NDArray[np.uint16]:
    bits = np.zeros((ensemble.intervals.count, len(paths)), dtype=np.uint16)
    for leaf, path in enumerate(paths):
        for slot, step in enumerate(path.steps):
            bits[step.lowest : step.highest + 1, leaf] |= 1 << slot
            if step.missing:
                bits[ensemble.intervals.missing(step.feature), leaf] |= 1 << slot
    return bits


@lru_cache(maxsize=4)
def _explainer(ensemble: Ensemble) -> Explainer:
    """Return the explainer of an ensemble; kept for the last few, since all explanations of a model share them."""
    return Explainer(ensemble)
