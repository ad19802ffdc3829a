"""Oblivious trees: a CatBoost model compiled into an Ensemble of ordinary trees."""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.ensemble import Ensemble
from scorer.trees import LEAF, Trees

EMPTY = 1e-6
"""Cover of a leaf without training rows, as a share of the tree's: rows of service can reach it."""


class _Split(msgspec.Struct):
    border: float
    float_feature_index: int
    split_type: Literal["FloatFeature"]


class _Tree(msgspec.Struct):
    leaf_values: list[float]
    leaf_weights: list[float]
    splits: list[_Split] = []


class _Feature(msgspec.Struct):
    flat_feature_index: int
    nan_value_treatment: Literal["AsIs", "AsFalse", "AsTrue"]


class _Features(msgspec.Struct):
    float_features: list[_Feature]


class _Model(msgspec.Struct):
    features_info: _Features
    oblivious_trees: list[_Tree]
    scale_and_bias: tuple[float, list[float]]


def from_catboost(model: bytes, n_features: int) -> Ensemble:
    """Compile a fitted binary ``CatBoostClassifier`` with oblivious trees and numerical features.

    All nodes of a level compare the same feature with the same border, so a tree of depth d is a full binary tree of
    2^d leaves. The raw scores are CatBoost's to rounding (it sums in another order).

    Args:
        model: what CatBoost's ``save_model(…, format="json")`` writes.
        n_features: columns of a row.

    Raises:
        ValueError: the model is not binary, not oblivious, or splits on something other than numbers.
    """
    try:
        parts = msgspec.json.decode(model, type=_Model)
    except msgspec.DecodeError as error:
        raise ValueError(f"only oblivious trees on numerical features can be compiled: {error}") from error
    scale, bias = parts.scale_and_bias
    if len(bias) != 1 or any(len(tree.leaf_values) != 1 << len(tree.splits) for tree in parts.oblivious_trees):
        raise ValueError("only binary classifiers can be compiled: one value a leaf")
    trees = [_nodes(tree, parts.features_info.float_features, scale) for tree in parts.oblivious_trees]
    return Ensemble(Trees.joined(trees, n_features), bias[0], n_features)


def _nodes(tree: _Tree, features: list[_Feature], scale: float) -> dict[str, NDArray[Any]]:
    """Return a tree's nodes, level by level: the children of node i are 2i + 1 and 2i + 2.

    Bit i of a leaf's number says whether the value is greater than the border of split i. The last split has the
    highest bit, so with it at the root the leaves are in order.
    """
    depth = len(tree.splits)
    inner, leaves = (1 << depth) - 1, 1 << depth
    level = np.repeat(np.arange(depth), 1 << np.arange(depth))  # (inner,)
    splits = tree.splits[::-1]
    compared = [features[split.float_feature_index] for split in splits]
    columns = np.array([feature.flat_feature_index for feature in compared], dtype=np.int64)
    thresholds = greatest_left(np.array([split.border for split in splits], dtype=np.float32))
    # NaN is greater than no border; only where CatBoost was told so it stands for a value above all.
    missing_left = np.array([feature.nan_value_treatment != "AsTrue" for feature in compared], dtype=bool)
    cover = np.empty(inner + leaves)
    cover[inner:] = np.maximum(tree.leaf_weights, EMPTY * np.sum(tree.leaf_weights))
    for node in range(inner - 1, -1, -1):
        cover[node] = cover[2 * node + 1] + cover[2 * node + 2]
    number = np.arange(inner + leaves)
    return {
        "feature": np.concatenate((columns[level], np.full(leaves, LEAF))),
        "threshold": np.concatenate((thresholds[level], np.zeros(leaves))),
        "missing_left": np.concatenate((missing_left[level], np.zeros(leaves, dtype=bool))),
        "left": 2 * number + 1,
        "right": 2 * number + 2,
        "value": np.concatenate((np.zeros(inner), scale * np.array(tree.leaf_values))),
        "cover": cover,
    }


def greatest_left(borders: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the greatest float64 that CatBoost does not find greater than each border; same shape.

    It rounds every value to float32 first: what lies less than half way to the next float32 becomes the border itself,
    and so does the value half way, if the border's last bit is even.
    """
    with np.errstate(over="ignore"):
        above = np.nextafter(borders, np.float32(np.inf)).astype(np.float64)
        above[np.isinf(above)] = 2.0**128  # what rounds to infinity lies half way to the float32 that would come next
        middle = (borders.astype(np.float64) + above) / 2
        stays = middle.astype(np.float32) == borders
    return np.where(stays, middle, np.nextafter(middle, -np.inf))
