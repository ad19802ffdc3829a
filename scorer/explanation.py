"""Explanations: what each feature added to a raw score, as exact Shapley values."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorer.ensemble import Ensemble
from scorer.trees import LEAF

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Numbers = NDArray[np.intp]


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
    paths = _paths(ensemble)
    result = np.zeros(matrix.shape)
    for row, numbers in zip(result, ensemble.intervals.numbers(matrix), strict=True):
        row[:] = paths.shapley(numbers)
    return result, ensemble.expected


@dataclass(frozen=True, eq=False)
class _Paths:
    """The leaves' paths as (leaf, feature) pairs, slot by slot.

    Leaves are sorted by their number of features, greatest first. Slot s holds the s-th feature of every leaf that has
    so many, which are the first leaves: each slot is one piece of the pairs' arrays and lines up with the leaves'.
    What differs by quadrature node has the nodes of a pair (or leaf) side by side in one flat array, so that every
    step is one pass over contiguous memory.
    """

    slots: tuple[slice, ...]  # the pairs of each slot, times q
    feature: Numbers  # (pairs,)
    lowest: Numbers  # (pairs,) first interval of the feature that stays on the path
    width: NDArray[np.uintp]  # (pairs,) last such interval, counted from the lowest
    missing: Numbers  # (pairs,) the feature's interval for the missing value if it stays on the path, else -1
    absent: Vector  # (pairs,) z: share of the cover that stays on the path
    nodes: Vector  # (pairs x q,) quadrature nodes t
    faded: Vector  # (pairs x q,) (1 - t) z
    weighted: Vector  # (leaves x q,) quadrature weight x leaf value
    quadrature: int  # q
    n_features: int

    def shapley(self, numbers: Numbers) -> Vector:
        """Return the contributions of the row with these interval numbers, shape (n_features,)."""
        own = numbers.take(self.feature)
        passes = (own - self.lowest).view(np.uintp) <= self.width  # below the lowest wraps around to huge
        passes |= own == self.missing
        factors = passes.astype(np.float64).repeat(self.quadrature)
        factors *= self.nodes
        factors += self.faded  # t o + (1 - t) z
        product = self.weighted.copy()
        for slot in self.slots:
            product[: slot.stop - slot.start] *= factors[slot]
        for slot in self.slots:
            # No factor is 0: nodes lie inside (0, 1), and every step of a path has cover.
            np.divide(product[: slot.stop - slot.start], factors[slot], out=factors[slot])
        effects = factors[0 :: self.quadrature]
        for node in range(1, self.quadrature):
            effects = effects + factors[node :: self.quadrature]
        effects = effects * (passes - self.absent)
        totals: Vector = np.bincount(self.feature, weights=effects, minlength=self.n_features)  # type: ignore[assignment]  # numpy's stub forgets that weights make floats
        return totals


class _Step(NamedTuple):
    """What a path asks of one feature: intervals ``lowest`` to ``highest``, and whether the missing value stays."""

    feature: int
    lowest: int
    highest: int
    missing: bool
    absent: float


@lru_cache(maxsize=8)
def _paths(ensemble: Ensemble) -> _Paths:
    """Return the paths of an ensemble; kept for the last few, since all explanations of a model share them."""
    leaves = [found for root in ensemble.trees.starts[:-1] for found in _walk(ensemble, int(root))]
    leaves.sort(key=lambda found: -len(found[1]))
    deepest = len(leaves[0][1])
    pairs: list[_Step] = []
    slots: list[slice] = []
    for slot in range(deepest):
        start = len(pairs)
        pairs.extend(path[slot] for _, path in leaves if len(path) > slot)
        slots.append(slice(start, len(pairs)))
    absent = np.array([step.absent for step in pairs])
    quadrature = max(1, (deepest + 1) // 2)
    points, weights = np.polynomial.legendre.leggauss(quadrature)
    nodes = (points + 1.0) / 2.0  # from [-1, 1] to [0, 1], where the weights halve
    lowest, highest = (
        np.array(ends, dtype=np.intp) for ends in ([p.lowest for p in pairs], [p.highest for p in pairs])
    )
    closed = lowest > highest  # only the missing value gets through: an interval that no value has
    lowest[closed] = highest[closed] = ensemble.intervals.count
    return _Paths(
        slots=tuple(slice(slot.start * quadrature, slot.stop * quadrature) for slot in slots),
        feature=np.array([step.feature for step in pairs], dtype=np.intp),
        lowest=lowest,
        width=(highest - lowest).astype(np.uintp),
        missing=np.array(
            [ensemble.intervals.missing(step.feature) if step.missing else -1 for step in pairs], dtype=np.intp
        ),
        absent=absent,
        nodes=np.tile(nodes, len(pairs)),
        faded=np.multiply.outer(absent, 1.0 - nodes).ravel(),
        weighted=np.multiply.outer(ensemble.trees.value[[leaf for leaf, _ in leaves]], weights / 2.0).ravel(),
        quadrature=quadrature,
        n_features=ensemble.n_features,
    )


def _walk(ensemble: Ensemble, root: int) -> Iterator[tuple[int, list[_Step]]]:
    """Yield the leaves below a root, each with what its path asks of the features."""
    trees, intervals = ensemble.trees, ensemble.intervals
    waiting: list[tuple[int, dict[int, _Step]]] = [(root, {})]
    while waiting:
        node, path = waiting.pop()
        feature = int(trees.feature[node])
        if feature == LEAF:
            yield node, list(path.values())
            continue
        step = path.get(feature)
        if step is None:
            step = _Step(feature, int(intervals.first[feature]), int(intervals.last[feature]), missing=True, absent=1.0)
        split, missing_left = int(intervals.split[node]), bool(trees.missing_left[node])
        left, right = int(trees.left[node]), int(trees.right[node])
        for child, lowest, highest, missing in (
            (left, step.lowest, min(step.highest, split), missing_left),
            (right, max(step.lowest, split + 1), step.highest, not missing_left),
        ):
            share = float(trees.cover[child] / trees.cover[node])
            narrowed = _Step(feature, lowest, highest, step.missing and missing, step.absent * share)
            waiting.append((child, {**path, feature: narrowed}))
