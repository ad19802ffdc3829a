"""Contributions are Shapley values, and add up to the score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.ensemble import Ensemble
from scorer.explanation import MAX_TABLED_FEATURES, Explainer, contributions
from scorer.paths import paths_of
from tests.model_factory import fit, make_rows
from tests.random_trees import ensembles, expectation, random_ensemble, rows_of, shapley


@settings(deadline=None, max_examples=60)
@given(ensemble=ensembles(max_features=5, max_trees=2, max_leaves=10), data=st.data())
def test_contributions_are_shapley_values_by_their_definition(ensemble: Ensemble, data: st.DataObject) -> None:
    rows = data.draw(rows_of(ensemble.n_features, max_rows=2))
    found, base = contributions(ensemble, rows)
    np.testing.assert_allclose(found, [shapley(ensemble, row) for row in rows], rtol=0, atol=1e-10)
    assert base == pytest.approx(expectation(ensemble, rows[0], frozenset()), abs=1e-10)


@settings(deadline=None)
@given(ensemble=ensembles(max_features=12), data=st.data())
def test_contributions_and_base_sum_to_the_raw_score(ensemble: Ensemble, data: st.DataObject) -> None:
    rows = data.draw(rows_of(ensemble.n_features))
    found, base = contributions(ensemble, rows)
    np.testing.assert_allclose(found.sum(axis=1) + base, ensemble.raw(rows), rtol=0, atol=1e-9)


@pytest.mark.parametrize("leaves", [16, 64])
def test_a_trained_model_of_many_trees_is_additive(leaves: int) -> None:
    rows, labels = make_rows(800)
    ensemble = Ensemble.from_estimator(fit(rows, labels, max_iter=60, max_leaf_nodes=leaves, min_samples_leaf=5))
    probe, _ = make_rows(100, seed=1)
    probe[np.random.default_rng(0).random(probe.shape) < 0.1] = np.nan
    found, base = contributions(ensemble, probe)
    np.testing.assert_allclose(found.sum(axis=1) + base, ensemble.raw(probe), rtol=0, atol=1e-9)


def test_a_trained_model_is_explained_as_by_the_definition() -> None:
    rows, labels = make_rows(400)
    ensemble = Ensemble.from_estimator(fit(rows[:, :6], labels, max_iter=3, max_leaf_nodes=12))
    probe = rows[:3, :6].copy()
    probe[0, 2] = np.nan
    found, _ = contributions(ensemble, probe)
    np.testing.assert_allclose(found, [shapley(ensemble, row) for row in probe], rtol=0, atol=1e-10)


def test_a_path_through_nine_features_is_integrated_exactly() -> None:
    """Two more features on a path need one more quadrature node."""
    ensemble = random_ensemble(np.random.default_rng(4), 9, [60])
    assert max(len(path.steps) for path in paths_of(ensemble)) == 9
    row = np.random.default_rng(6).normal(size=(1, 9))
    found, _ = contributions(ensemble, row)
    np.testing.assert_allclose(found[0], shapley(ensemble, row[0]), rtol=0, atol=1e-10)


@settings(deadline=None)
@given(ensemble=ensembles(max_features=12), room=st.integers(0, 100_000), data=st.data())
def test_contributions_do_not_depend_on_the_room_for_tables(ensemble: Ensemble, room: int, data: st.DataObject) -> None:
    (row,) = data.draw(rows_of(ensemble.n_features, max_rows=1))
    cramped = np.zeros(ensemble.n_features)
    Explainer(ensemble, table_bytes=room).add(cramped, ensemble.intervals.numbers(row))
    np.testing.assert_allclose(contributions(ensemble, row[None])[0][0], cramped, rtol=0, atol=1e-9)


def test_a_path_of_too_many_features_for_a_table_is_explained_all_the_same() -> None:
    ensemble = random_ensemble(np.random.default_rng(1), 40, [64] * 3)
    assert max(len(path.steps) for path in paths_of(ensemble)) > MAX_TABLED_FEATURES
    rows = np.random.default_rng(6).normal(size=(5, 40))
    found, base = contributions(ensemble, rows)
    np.testing.assert_allclose(found.sum(axis=1) + base, ensemble.raw(rows), rtol=0, atol=1e-9)


def test_a_feature_that_no_tree_uses_contributes_nothing() -> None:
    rows, labels = make_rows(300)
    rows[:, 4] = 1.0
    found, _ = contributions(Ensemble.from_estimator(fit(rows, labels)), rows[:20])
    assert (found[:, 4] == 0).all()
    assert (found[:, [0, 1]] != 0).any()


def test_trees_without_splits_contribute_nothing() -> None:
    ensemble = random_ensemble(np.random.default_rng(0), 3, [1, 1])
    found, base = contributions(ensemble, [[1.0, np.nan, 3.0]])
    assert found.tolist() == [[0.0, 0.0, 0.0]]
    assert base == ensemble.raw([[1.0, np.nan, 3.0]])[0]


def test_no_rows_give_no_contributions() -> None:
    found, _ = contributions(random_ensemble(np.random.default_rng(0), 3, [4]), np.empty((0, 3)))
    assert found.shape == (0, 3)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(n, 3\)"):
        contributions(random_ensemble(np.random.default_rng(0), 3, [4]), [[1.0]])
