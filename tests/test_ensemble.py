"""The numpy ensemble is the scikit-learn estimator, bit for bit."""

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from scorer.ensemble import Ensemble
from tests.model_factory import fit, make_rows
from tests.random_trees import ensembles, random_ensemble, rows_of, walk

Arrays = dict[str, NDArray[Any]]


@lru_cache(maxsize=8)
def fitted(leaves: int, *, rounds: int = 15) -> tuple[HistGradientBoostingClassifier, Ensemble]:
    """An estimator on coarse data with gaps: thresholds repeat, and some splits are on missing values alone."""
    rng = np.random.default_rng(leaves)
    rows = rng.normal(size=(1500, 5)).round(1)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    noise = rng.normal(scale=0.5, size=1500)
    labels = (np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) + np.isnan(rows[:, 2]) * 2 + noise) > 0.3
    estimator = fit(rows, labels, max_iter=rounds, max_leaf_nodes=leaves, class_weight="balanced")
    return estimator, Ensemble.from_estimator(estimator)


def thresholds_of(ensemble: Ensemble) -> list[float]:
    return sorted(set(ensemble.trees.threshold[ensemble.trees.inner].tolist()))


@pytest.mark.parametrize("leaves", [2, 7, 8, 9, 16, 17, 31, 32, 33, 64])
def test_scores_are_the_bits_of_scikit_learn_for_every_word_size(leaves: int) -> None:
    estimator, ensemble = fitted(leaves)
    rng = np.random.default_rng(1)
    values = [*thresholds_of(ensemble), np.inf, -np.inf, np.nan, 1e300, -1e300]
    rows = np.concatenate([rng.choice(values, size=(1200, 5)), rng.normal(size=(300, 5))])
    expected = estimator._raw_predict(rows)[:, 0]
    assert np.array_equal(ensemble.raw(rows), expected)
    assert np.array_equal([ensemble.raw(row[None])[0] for row in rows], expected)
    np.testing.assert_allclose(ensemble.probabilities(rows), estimator.predict_proba(rows)[:, 1], rtol=0, atol=1e-15)


@settings(deadline=None)
@given(data=st.data(), leaves=st.sampled_from([2, 16, 31, 64]))
def test_any_row_scores_as_in_scikit_learn(data: st.DataObject, leaves: int) -> None:
    estimator, ensemble = fitted(leaves)
    cuts = thresholds_of(ensemble)
    value = st.one_of(st.floats(), st.sampled_from(cuts), st.sampled_from(cuts).map(lambda v: np.nextafter(v, np.inf)))
    row = np.array([data.draw(st.lists(value, min_size=5, max_size=5))])
    assert ensemble.raw(row)[0] == estimator._raw_predict(row)[0, 0]
    assert abs(ensemble.probabilities(row)[0] - estimator.predict_proba(row)[0, 1]) < 1e-15


@given(ensemble=ensembles(), data=st.data())
def test_any_ensemble_scores_as_walking_down_its_trees(ensemble: Ensemble, data: st.DataObject) -> None:
    rows = data.draw(rows_of(ensemble.n_features))
    expected = [walk(ensemble, row) for row in rows]
    assert ensemble.raw(rows).tolist() == expected
    assert [ensemble.raw(row[None]).item() for row in rows] == expected


@given(ensemble=ensembles(max_trees=3, max_leaves=8), data=st.data())
def test_scoring_does_not_change_its_input(ensemble: Ensemble, data: st.DataObject) -> None:
    rows = data.draw(rows_of(ensemble.n_features))
    before = rows.copy()
    ensemble.probabilities(rows)
    assert np.array_equal(rows, before, equal_nan=True)


def test_a_feature_that_only_ever_splits_missing_from_known_is_scored() -> None:
    """Such a split has the threshold +inf in scikit-learn: every number goes left."""
    rows = np.zeros((200, 2))
    rows[::2, 0] = np.nan
    estimator = fit(rows, np.isnan(rows[:, 0]), max_iter=3)
    ensemble = Ensemble.from_estimator(estimator)
    assert np.inf in thresholds_of(ensemble)
    probe = np.array([[np.nan, 0], [0, 0], [np.inf, 0], [-np.inf, np.nan]])
    assert np.array_equal(ensemble.raw(probe), estimator._raw_predict(probe)[:, 0])


def test_trees_without_any_split_are_scored() -> None:
    rows, labels = np.zeros((50, 3)), np.arange(50) % 3 == 0
    estimator = fit(rows, labels, max_iter=2)
    ensemble = Ensemble.from_estimator(estimator)
    assert len(ensemble.trees.inner) == 0
    assert np.array_equal(ensemble.raw(rows[:4]), estimator._raw_predict(rows[:4])[:, 0])


def test_the_last_row_of_many_scores_as_the_others() -> None:
    """Rows are scored in pieces; the last can be a single row."""
    rows, labels = make_rows(1025)
    estimator = fit(rows, labels, max_iter=60)
    np.testing.assert_array_equal(Ensemble.from_estimator(estimator).raw(rows), estimator._raw_predict(rows)[:, 0])


@given(ensemble=ensembles(), data=st.data())
def test_scores_along_a_feature_are_those_of_rows_with_other_values(ensemble: Ensemble, data: st.DataObject) -> None:
    (row,) = data.draw(rows_of(ensemble.n_features, max_rows=1))
    feature = data.draw(st.integers(0, ensemble.n_features - 1))
    highest = ensemble.intervals.upper_bounds(feature)
    rows = np.tile(row, (len(highest), 1))
    rows[:, feature] = highest
    found = ensemble.probabilities_along(row, feature)
    np.testing.assert_array_equal(found, ensemble.probabilities(np.vstack([rows, rows]))[: len(highest)])


def test_the_expected_score_is_the_mean_over_the_training_rows() -> None:
    rows, labels = make_rows(500)
    ensemble = Ensemble.from_estimator(fit(rows, labels))
    assert ensemble.expected == pytest.approx(ensemble.raw(rows).mean(), abs=1e-9)


def test_extreme_scores_become_probabilities_without_overflow() -> None:
    trees = random_ensemble(np.random.default_rng(0), 1, [1]).trees
    for raw, expected in ((-2000.0, 0.0), (2000.0, 1.0)):
        ensemble = Ensemble(trees, raw, 1)
        assert ensemble.probabilities([[0.0]]).tolist() == [expected]
        assert ensemble.probabilities([[0.0], [1.0]]).tolist() == [expected] * 2


def test_no_rows_give_no_scores() -> None:
    ensemble = random_ensemble(np.random.default_rng(0), 3, [4])
    assert ensemble.probabilities(np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("rows", [[1.0, 2.0, 3.0], [[1.0, 2.0]], [[[1.0, 2.0, 3.0]]]])
def test_rows_of_another_width_are_refused(rows: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \(n, 3\)"):
        random_ensemble(np.random.default_rng(0), 3, [4]).raw(rows)


@given(ensemble=ensembles(), data=st.data())
def test_arrays_round_trip(ensemble: Ensemble, data: st.DataObject) -> None:
    rows = data.draw(rows_of(ensemble.n_features))
    arrays = ensemble.to_arrays()
    again = Ensemble.from_arrays(arrays)
    assert np.array_equal(again.raw(rows), ensemble.raw(rows))
    assert {name: array.tolist() for name, array in again.to_arrays().items()} == {
        name: array.tolist() for name, array in arrays.items()
    }


def _set(name: str, index: int, value: float) -> Callable[[Arrays], None]:
    def damage(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][index] = value

    return damage


def _replace(name: str, value: Any) -> Callable[[Arrays], None]:
    def damage(arrays: Arrays) -> None:
        arrays[name] = value(arrays[name]) if callable(value) else np.array(value)

    return damage


DAMAGE = {
    "another link": (_replace("link", "identity"), "link 'identity' is not supported"),
    "link of another type": (_replace("link", 3), "array 'link'"),
    "no columns": (_replace("n_features", 0), "n_features 0"),
    "fewer columns than compared": (_replace("n_features", 1), "compares a feature outside"),
    "baseline NaN": (_replace("baseline", np.nan), "baseline nan is not finite"),
    "baseline of two values": (_replace("baseline", [0.0, 1.0]), "array 'baseline'"),
    "shorter array": (_replace("value", lambda a: a[:-1]), "differ in length"),
    "matrix": (_replace("threshold", lambda a: a[None]), "one dimension"),
    "empty": (_replace("starts", np.array([], dtype=np.int32)), "at least one element"),
    "floats for numbers": (_replace("left", lambda a: a.astype(float)), "array 'left' has type float64"),
    "objects": (_replace("value", lambda a: a.astype(object)), "array 'value' has type object"),
    "beyond 32 bits": (_replace("right", lambda a: a.astype(np.int64) + 2**32), "beyond int32"),
    "starts not at 0": (_set("starts", 0, 1), "'starts' does not divide"),
    "starts beyond the nodes": (_set("starts", -1, 10_000), "'starts' does not divide"),
    "a tree without nodes": (_set("starts", 1, 0), "'starts' does not divide"),
    "cycle": (_set("left", 0, 0), "node 0 has a left child that is not later"),
    "child in another tree": (_set("right", 0, 9), "node 0 has a right child that is not later"),
    "negative child": (_set("left", 0, -7), "node 0 has a left child"),
    "shared child": (_set("right", 0, 1), "does not have exactly one parent"),
    "leaf with a child": (_set("right", 8, 8), "node 8 is a leaf with a right child"),
    "feature below the leaf mark": (_set("feature", 0, -2), "node 0 compares a feature outside"),
    "threshold NaN": (_set("threshold", 0, np.nan), "node 0 has no threshold"),
    "value infinite": (_set("value", 8, np.inf), "node 8 has a value that is not finite"),
    "cover zero": (_set("cover", 8, 0), "node 8 has a cover that is not positive"),
    "cover of children": (_set("cover", 0, 10_000), "node 0 has a cover other than the sum"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_malformed_arrays_are_refused_with_what_is_wrong(case: str) -> None:
    damage, message = DAMAGE[case]
    arrays = random_ensemble(np.random.default_rng(3), 2, [5, 5]).to_arrays()
    assert arrays["feature"][8] == -1  # the leaf that cases speak of
    damage(arrays)
    with pytest.raises(ValueError, match=message):
        Ensemble.from_arrays(arrays)


@pytest.mark.parametrize("name", list(random_ensemble(np.random.default_rng(0), 2, [3]).to_arrays()))
def test_a_missing_array_is_named(name: str) -> None:
    arrays = random_ensemble(np.random.default_rng(0), 2, [3]).to_arrays()
    del arrays[name]
    with pytest.raises(ValueError, match=f"array '{name}' is missing"):
        Ensemble.from_arrays(arrays)


@given(
    seed=st.integers(0, 1000),
    name=st.sampled_from(["starts", "feature", "threshold", "left", "right", "value", "cover"]),
    position=st.integers(0, 1000),
    value=st.one_of(st.integers(-3, 40), st.sampled_from([np.nan, np.inf, -np.inf, 1e9])),
)
def test_changed_arrays_are_refused_or_still_trees(seed: int, name: str, position: int, value: float) -> None:
    """Whatever passes the checks scores every row with exactly one leaf a tree."""
    arrays = random_ensemble(np.random.default_rng(seed), 2, [6, 1, 4]).to_arrays()
    array = arrays[name] = arrays[name].copy()
    if array.dtype.kind == "f" or np.isfinite(value):
        array[position % len(array)] = value
    rows = np.random.default_rng(seed).normal(size=(5, 2))
    try:
        ensemble = Ensemble.from_arrays(arrays)
    except ValueError:
        return
    assert ensemble.raw(rows).tolist() == [walk(ensemble, row) for row in rows]


def test_more_than_64_leaves_are_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"tree 1 has 65 leaves.*max_leaf_nodes=64"):
        random_ensemble(np.random.default_rng(0), 2, [3, 65])


def test_only_binary_classifiers_are_compiled() -> None:
    rows, _ = make_rows(300)
    with pytest.raises(ValueError, match="only binary classifiers"):
        Ensemble.from_estimator(fit(rows, np.arange(300) % 3, max_iter=2))


def test_categorical_splits_are_refused() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 6, size=(400, 1)).astype(float)
    estimator = fit(rows, (rows[:, 0] % 2).astype(bool), max_iter=2, categorical_features=[0])
    with pytest.raises(ValueError, match="categorical splits are not supported"):
        Ensemble.from_estimator(estimator)


def test_only_the_fitted_attributes_are_read() -> None:
    """No scikit-learn object is needed: any with the same attributes compiles to the same scores."""
    estimator, ensemble = fitted(16)
    plain = SimpleNamespace(
        _predictors=[[SimpleNamespace(nodes=tree.nodes) for tree in trees] for trees in estimator._predictors],
        _baseline_prediction=estimator._baseline_prediction,
        classes_=estimator.classes_,
        n_features_in_=5,
    )
    rows = np.random.default_rng(0).normal(size=(50, 5))
    assert np.array_equal(Ensemble.from_estimator(plain).raw(rows), ensemble.raw(rows))
