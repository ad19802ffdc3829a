"""Random ensembles of any shape, and the plainest way to use them: the oracles of the scorer's tests."""

from collections.abc import Sequence
from itertools import combinations
from math import factorial, isnan
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from scorer.ensemble import Ensemble
from scorer.trees import LEAF, Trees

Matrix = NDArray[np.float64]

# Few values, so that thresholds repeat within and between trees and rows fall exactly on them.
_NUMBERS = (-np.inf, -2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, 1e300, np.inf)


@st.composite
def ensembles(draw: st.DrawFn, max_features: int = 6, max_trees: int = 6, max_leaves: int = 64) -> Ensemble:
    """Ensembles with every kind of split: repeated features, infinite thresholds, missing values either way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_features = draw(st.integers(1, max_features))
    sizes = draw(st.lists(st.integers(1, max_leaves), min_size=1, max_size=max_trees))
    return random_ensemble(rng, n_features, sizes)


def rows_of(n_features: int, max_rows: int = 8) -> st.SearchStrategy[Matrix]:
    """Rows of thresholds, their neighbours, infinities, any other number and missing values."""
    near = [float(np.nextafter(v, side)) for v in _NUMBERS for side in (-np.inf, np.inf)]
    value = st.one_of(st.sampled_from([*_NUMBERS, *near, np.nan]), st.floats(-4, 4), st.floats())
    row = st.lists(value, min_size=n_features, max_size=n_features)
    return st.lists(row, min_size=1, max_size=max_rows).map(lambda rows: np.array(rows, dtype=np.float64))


def random_ensemble(rng: np.random.Generator, n_features: int, sizes: Sequence[int]) -> Ensemble:
    """Return an ensemble whose trees have so many leaves."""
    trees: list[dict[str, list[Any]]] = [_random_tree(rng, n_features, size) for size in sizes]
    roots = np.cumsum([0, *(len(tree["feature"]) for tree in trees)])
    arrays: dict[str, NDArray[Any]] = {"starts": roots}
    for name in trees[0]:
        parts = [np.array(tree[name]) for tree in trees]
        if name in {"left", "right"}:
            parts = [np.where(part == LEAF, LEAF, part + root) for part, root in zip(parts, roots, strict=False)]
        arrays[name] = np.concatenate(parts)
    return Ensemble(Trees.from_arrays(arrays, n_features), float(rng.normal()), n_features)


def _random_tree(rng: np.random.Generator, n_features: int, leaves: int) -> dict[str, list[Any]]:
    names = ("feature", "threshold", "missing_left", "left", "right", "value", "cover")
    tree: dict[str, list[Any]] = {name: [] for name in names}

    def grow(leaves: int, cover: int) -> int:
        node = len(tree["feature"])
        for name, value in zip(names, (LEAF, 0.0, False, LEAF, LEAF, float(rng.normal()), float(cover)), strict=True):
            tree[name].append(value)
        if leaves > 1:
            on_left = int(rng.integers(1, leaves))
            covered = int(rng.integers(on_left, cover - (leaves - on_left) + 1))
            tree["feature"][node] = int(rng.integers(n_features))
            tree["threshold"][node] = float(rng.choice(_NUMBERS))
            tree["missing_left"][node] = bool(rng.random() < 0.5)
            tree["value"][node] = 0.0
            tree["left"][node] = grow(on_left, covered)
            tree["right"][node] = grow(leaves - on_left, cover - covered)
        return node

    grow(leaves, leaves + int(rng.integers(0, 200)))
    return tree


def _goes_left(trees: Trees, node: int, value: float) -> bool:
    return bool(trees.missing_left[node]) if isnan(value) else value <= trees.threshold[node]


def walk(ensemble: Ensemble, row: NDArray[np.float64]) -> float:
    """Return the raw score by walking down every tree."""
    trees, total = ensemble.trees, ensemble.baseline
    for root in trees.starts[:-1]:
        node = int(root)
        while trees.feature[node] != LEAF:
            left = _goes_left(trees, node, row[trees.feature[node]])
            node = int((trees.left if left else trees.right)[node])
        total += float(trees.value[node])
    return total


def expectation(ensemble: Ensemble, row: NDArray[np.float64], known: frozenset[int]) -> float:
    """Return the raw score when only some features are known: at the others, both ways, by cover."""
    trees = ensemble.trees

    def below(node: int) -> float:
        feature = int(trees.feature[node])
        if feature == LEAF:
            return float(trees.value[node])
        left, right = int(trees.left[node]), int(trees.right[node])
        if feature in known:
            return below(left if _goes_left(trees, node, row[feature]) else right)
        cover = trees.cover
        return float((cover[left] * below(left) + cover[right] * below(right)) / cover[node])

    return ensemble.baseline + sum(below(int(root)) for root in trees.starts[:-1])


def shapley(ensemble: Ensemble, row: NDArray[np.float64]) -> list[float]:
    """Return Shapley values by their definition, over every subset of the features."""
    n = ensemble.n_features
    subsets = [frozenset(chosen) for size in range(n + 1) for chosen in combinations(range(n), size)]
    worth = {known: expectation(ensemble, row, known) for known in subsets}
    return [
        sum(
            factorial(len(known)) * factorial(n - len(known) - 1) / factorial(n) * (worth[known | {j}] - worth[known])
            for known in subsets
            if j not in known
        )
        for j in range(n)
    ]
