"""Trees: the binary decision trees of a fitted ensemble as flat, validated arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAF = -1
"""Value of ``feature``, ``left`` and ``right`` at a leaf."""
MAX_LEAVES = 64
"""Leaves of one tree that fit a machine word."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

_DTYPES = {
    "starts": np.int32,
    "feature": np.int32,
    "threshold": np.float64,
    "missing_left": np.bool_,
    "left": np.int32,
    "right": np.int32,
    "value": np.float64,
    "cover": np.float64,
}


@dataclass(frozen=True, eq=False)
class Trees:
    """All trees of an ensemble, node after node.

    A row goes left at a node when ``row[feature] <= threshold``, or when the value is missing (NaN) and
    ``missing_left`` holds; otherwise right. Node numbers count over all trees.

    Attributes:
        starts: root of each tree, and the number of nodes at the end; shape (trees + 1,).
        feature: column that a node compares; LEAF at a leaf. Shape (nodes,), as all that follow.
        threshold: the greatest value that goes left; +inf sends every value left and only missing ones right.
        missing_left: whether a missing value goes left.
        left: left child; LEAF at a leaf.
        right: right child; LEAF at a leaf.
        value: what a leaf adds to the score; 0 at an inner node.
        cover: training rows that reached the node.
        leaf_first: first leaf below the node, counted from the left within its tree.
        leaf_last: last leaf below the node, likewise.
    """

    starts: Integers
    feature: Integers
    threshold: Floats
    missing_left: NDArray[np.bool_]
    left: Integers
    right: Integers
    value: Floats
    cover: Floats
    leaf_first: Integers
    leaf_last: Integers

    @property
    def count(self) -> int:
        """Number of trees."""
        return len(self.starts) - 1

    @property
    def inner(self) -> NDArray[np.intp]:
        """Nodes that are not leaves, ascending."""
        return np.flatnonzero(self.feature != LEAF)

    @property
    def leaves(self) -> NDArray[np.intp]:
        """Leaves, tree by tree, from left to right."""
        found = np.flatnonzero(self.feature == LEAF)
        return found[np.lexsort((self.leaf_first[found], self.tree_of[found]))]

    @property
    def tree_of(self) -> NDArray[np.intp]:
        """Tree of each node."""
        return np.repeat(np.arange(self.count), np.diff(self.starts))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that ``from_arrays`` takes."""
        return {name: getattr(self, name) for name in _DTYPES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], n_features: int) -> "Trees":
        """Build and check the trees.

        Args:
            arrays: ``starts`` … ``cover`` as described above.
            n_features: columns of the rows that the trees decide on.

        Raises:
            ValueError: the arrays are not well-formed trees; the message names the array or the node.
        """
        columns = {name: _column(arrays, name) for name in _DTYPES}
        starts, nodes = columns["starts"], len(columns["feature"])
        lengths = {name: len(column) for name, column in columns.items() if name != "starts"}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"node arrays differ in length: {lengths}")
        if len(starts) < 2 or starts[0] != 0 or starts[-1] != nodes or (np.diff(starts) < 1).any():
            raise ValueError(f"'starts' does not divide {nodes} nodes into trees")
        _check_nodes(columns, n_features)
        first, last = _leaf_ranges(starts, columns["left"], columns["right"])
        return cls(**columns, leaf_first=first, leaf_last=last)

    @classmethod
    def from_nodes(cls, trees: list[NDArray[Any]], n_features: int) -> "Trees":
        """Build the trees from scikit-learn's node records (PREDICTOR_RECORD_DTYPE), one array a tree.

        Raises:
            ValueError: a tree splits on categories, has more than MAX_LEAVES leaves, or is malformed.
        """
        return cls.joined([_plain(tree) for tree in trees], n_features)

    @classmethod
    def joined(cls, trees: Sequence[Mapping[str, NDArray[Any]]], n_features: int) -> "Trees":
        """Build the trees from the node arrays of each, ``feature`` … ``cover``.

        Args:
            trees: one mapping a tree; ``left`` and ``right`` count within it, and are of no account at its leaves.
            n_features: columns of the rows that the trees decide on.

        Raises:
            ValueError: there is no tree, or one is malformed.
        """
        arrays = {name: np.concatenate([tree[name] for tree in trees]) for name in _DTYPES if name != "starts"}
        starts = np.concatenate(([0], np.cumsum([len(tree["feature"]) for tree in trees])))
        root = np.repeat(starts[:-1], np.diff(starts))
        for child in ("left", "right"):
            arrays[child] = np.where(arrays["feature"] == LEAF, LEAF, arrays[child] + root)
        return cls.from_arrays({"starts": starts, **arrays}, n_features)


def _plain(tree: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the node arrays of scikit-learn's node records."""
    if tree["is_categorical"].any():
        raise ValueError("categorical splits are not supported: encode categories as numbers")
    leaf = tree["is_leaf"].astype(bool)
    return {
        "feature": np.where(leaf, LEAF, tree["feature_idx"]),
        "threshold": np.where(leaf, 0.0, tree["num_threshold"]),
        "missing_left": ~leaf & tree["missing_go_to_left"].astype(bool),
        "left": tree["left"],
        "right": tree["right"],
        "value": np.where(leaf, tree["value"], 0.0),
        "cover": tree["count"].astype(np.float64),
    }


def _column(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return one array in its own type, or say what is wrong with it."""
    if name not in arrays:
        raise ValueError(f"array {name!r} is missing")
    array = np.asarray(arrays[name])
    wanted = np.dtype(_DTYPES[name])
    if array.ndim != 1 or not len(array):
        raise ValueError(f"array {name!r} has shape {array.shape}, expected one dimension and at least one element")
    kinds = "iu" if wanted.kind == "i" else wanted.kind
    if array.dtype.kind not in kinds:
        raise ValueError(f"array {name!r} has type {array.dtype}, expected {wanted}")
    converted = array.astype(wanted)
    if wanted.kind == "i" and not np.array_equal(converted, array):
        raise ValueError(f"array {name!r} holds numbers beyond {wanted}")
    return converted


def _check_nodes(columns: Mapping[str, NDArray[Any]], n_features: int) -> None:
    """Check each node by itself: its feature, its children's tree and cover, its numbers."""
    starts, feature, left, right = columns["starts"], columns["feature"], columns["left"], columns["right"]
    cover = columns["cover"]
    leaf = feature == LEAF
    end = np.repeat(starts[1:], np.diff(starts))
    number = np.arange(len(feature))
    _refuse((feature < LEAF) | (feature >= n_features), f"compares a feature outside 0 … {n_features - 1}")
    for name, child in (("left", left), ("right", right)):
        _refuse(leaf & (child != LEAF), f"is a leaf with a {name} child")
        # A child comes after its parent and within the tree: no cycles, and one pass backwards sees children first.
        _refuse(~leaf & ((child <= number) | (child >= end)), f"has a {name} child that is not later in its tree")
    _refuse(np.isnan(columns["threshold"]), "has no threshold (NaN)")
    _refuse(~np.isfinite(columns["value"]), "has a value that is not finite")
    _refuse(~np.isfinite(cover) | (cover <= 0), "has a cover that is not positive")
    parents = np.bincount(np.concatenate((left[~leaf], right[~leaf])), minlength=len(feature))
    roots = np.zeros(len(feature), dtype=bool)
    roots[starts[:-1]] = True
    _refuse(parents != ~roots, "does not have exactly one parent")
    below = cover[left[~leaf]] + cover[right[~leaf]]
    uneven = np.zeros(len(feature), dtype=bool)
    uneven[~leaf] = np.abs(below - cover[~leaf]) > 1e-9 * cover[~leaf]
    _refuse(uneven, "has a cover other than the sum of its children's")


def _refuse(bad: NDArray[np.bool_], why: str) -> None:
    """Raise for the first bad node."""
    if bad.any():
        raise ValueError(f"node {int(bad.argmax())} {why}")


def _leaf_ranges(starts: Integers, left: Integers, right: Integers) -> tuple[Integers, Integers]:
    """Number each tree's leaves from the left; return first and last leaf below every node."""
    nodes = len(left)
    size = np.ones(nodes, dtype=np.int32)
    for node in range(nodes - 1, -1, -1):  # children come after their parents
        if left[node] != LEAF:
            size[node] = size[left[node]] + size[right[node]]
    if size.max() > MAX_LEAVES:
        raise ValueError(
            f"tree {int(np.searchsorted(starts, size.argmax(), 'right')) - 1} has {size.max()} leaves, "
            f"at most {MAX_LEAVES} are supported: train with max_leaf_nodes={MAX_LEAVES} or fewer"
        )
    first = np.zeros(nodes, dtype=np.int32)
    for node in range(nodes):
        if left[node] != LEAF:
            first[left[node]] = first[node]
            first[right[node]] = first[node] + size[left[node]]
    return first, first + size - 1
