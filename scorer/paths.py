"""Paths: what the way to each leaf asks of the features, and what a leaf contributes when some of that is met."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scorer.ensemble import Ensemble
from scorer.trees import LEAF

Vector = NDArray[np.float64]
Numbers = NDArray[np.intp]
Flags = NDArray[np.bool_]


class Step(NamedTuple):
    """What a path asks of one feature.

    Attributes:
        feature: position of the feature.
        lowest: first interval that stays on the path.
        highest: last such interval; below ``lowest`` when no value stays.
        missing: whether the missing value stays.
        absent: share of the training rows that stays, of those that come there.
    """

    feature: int
    lowest: int
    highest: int
    missing: bool
    absent: float


class Path(NamedTuple):
    """The way to a leaf: the leaf's value, and a step for each feature that is compared on the way."""

    value: float
    steps: tuple[Step, ...]


def paths_of(ensemble: Ensemble) -> list[Path]:
    """Return the paths to all leaves but those that are reached without a comparison."""
    found = (path for root in ensemble.trees.starts[:-1] for path in _walk(ensemble, int(root)))
    return [path for path in found if path.steps]


def _walk(ensemble: Ensemble, root: int) -> Iterator[Path]:
    trees, intervals = ensemble.trees, ensemble.intervals
    waiting: list[tuple[int, dict[int, Step]]] = [(root, {})]
    while waiting:
        node, steps = waiting.pop()
        feature = int(trees.feature[node])
        if feature == LEAF:
            yield Path(float(trees.value[node]), tuple(steps.values()))
            continue
        step = steps.get(feature)
        if step is None:
            step = Step(feature, int(intervals.first[feature]), int(intervals.last[feature]), missing=True, absent=1.0)
        split, missing_left = int(intervals.split[node]), bool(trees.missing_left[node])
        left, right = int(trees.left[node]), int(trees.right[node])
        for child, lowest, highest, missing in (
            (left, step.lowest, min(step.highest, split), missing_left),
            (right, max(step.lowest, split + 1), step.highest, not missing_left),
        ):
            share = float(trees.cover[child] / trees.cover[node])
            narrowed = Step(feature, lowest, highest, step.missing and missing, step.absent * share)
            waiting.append((child, {**steps, feature: narrowed}))


@dataclass(frozen=True, eq=False)
class Pairs:
    """The (leaf, feature) pairs of some paths, and the contributions of leaves.

    Leaves are sorted by their number of features, greatest first. Slot s holds the s-th feature of every leaf that has
    so many, which are the first leaves: each slot is one piece of the pairs' arrays and lines up with the leaves'.
    What differs by quadrature node has the nodes of a pair (or leaf) side by side in one flat array, so that every
    step is one pass over contiguous memory.

    Attributes:
        feature: feature of each pair; shape (pairs,).
    """

    feature: Numbers
    _slots: tuple[slice, ...]  # the pairs of each slot, times q
    _lowest: Numbers  # (pairs,) first interval of the feature that stays on the path
    _width: NDArray[np.uintp]  # (pairs,) last such interval, counted from the lowest
    _missing: Numbers  # (pairs,) the feature's interval for the missing value if it stays on the path, else -1
    _absent: Vector  # (pairs,) z: share of the cover that stays on the path
    _nodes: Vector  # (pairs x q,) quadrature nodes t
    _faded: Vector  # (pairs x q,) (1 - t) z
    _weighted: Vector  # (leaves x q,) quadrature weight x leaf value
    _quadrature: int  # q

    @classmethod
    def of(cls, paths: Sequence[Path], ensemble: Ensemble) -> "Pairs":
        """Return the pairs of some paths, at least one, of an ensemble."""
        intervals = ensemble.intervals
        leaves = sorted(paths, key=lambda path: -len(path.steps))
        pairs: list[Step] = []
        slots: list[slice] = []
        for slot in range(len(leaves[0].steps)):
            start = len(pairs)
            pairs.extend(path.steps[slot] for path in leaves if len(path.steps) > slot)
            slots.append(slice(start, len(pairs)))
        quadrature = (len(slots) + 1) // 2
        points, weights = np.polynomial.legendre.leggauss(quadrature)
        nodes = (points + 1.0) / 2.0  # from [-1, 1] to [0, 1], where the weights halve
        absent = np.array([step.absent for step in pairs])
        lowest, highest = (
            np.array(ends, dtype=np.intp) for ends in ([p.lowest for p in pairs], [p.highest for p in pairs])
        )
        closed = lowest > highest  # only the missing value gets through: an interval that no value has
        lowest[closed] = highest[closed] = intervals.count
        missing = [intervals.missing(step.feature) if step.missing else -1 for step in pairs]
        return cls(
            feature=np.array([step.feature for step in pairs], dtype=np.intp),
            _slots=tuple(slice(slot.start * quadrature, slot.stop * quadrature) for slot in slots),
            _lowest=lowest,
            _width=(highest - lowest).astype(np.uintp),
            _missing=np.array(missing, dtype=np.intp),
            _absent=absent,
            _nodes=np.tile(nodes, len(pairs)),
            _faded=np.multiply.outer(absent, 1.0 - nodes).ravel(),
            _weighted=np.multiply.outer([path.value for path in leaves], weights / 2.0).ravel(),
            _quadrature=quadrature,
        )

    def passes(self, own: Numbers) -> Flags:
        """Return which pairs stay on their path.

        Args:
            own: number of the interval that each pair's feature lies in; shape (pairs,), or one that broadcasts to it
                as its last axis.
        """
        stays: Flags = (own - self._lowest).view(np.uintp) <= self._width  # below the lowest wraps around to huge
        stays |= own == self._missing
        return stays

    def effects(self, passes: Flags) -> Vector:
        """Return what each pair contributes to the raw score, log-odds, shape (pairs,).

        Args:
            passes: which pairs stay on their path, shape (pairs,).
        """
        factors = passes.astype(np.float64).repeat(self._quadrature)
        factors *= self._nodes
        factors += self._faded  # t o + (1 - t) z
        product = self._weighted.copy()
        for slot in self._slots:
            product[: slot.stop - slot.start] *= factors[slot]
        for slot in self._slots:
            # No factor is 0: nodes lie inside (0, 1), and every step of a path has cover.
            np.divide(product[: slot.stop - slot.start], factors[slot], out=factors[slot])
        integrals = factors[0 :: self._quadrature]
        for node in range(1, self._quadrature):
            integrals = integrals + factors[node :: self._quadrature]
        effects: Vector = integrals * (passes - self._absent)
        return effects
