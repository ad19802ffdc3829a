"""The numpy ensemble is the CatBoost model: to rounding, for any row."""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from catboost import CatBoostClassifier
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.catboost_recipe import CatBoostRecipe, compile_catboost
from scorer.ensemble import Ensemble
from scorer.explanation import contributions
from scorer.oblivious import from_catboost, greatest_left
from scorer.training import compiled, fit
from tests.labelled_sessions import make_examples

BIG = float(np.finfo(np.float32).max)
"""CatBoost's border between missing values and all others."""


@lru_cache(maxsize=8)
def fitted(nan_mode: str, depth: int = 4) -> tuple[CatBoostClassifier, Ensemble]:
    """A model of coarse data with gaps, but for the last column, which has none in training."""
    rng = np.random.default_rng(depth)
    rows = rng.normal(size=(800, 5)).round(1)
    rows[:, :4][rng.random((800, 4)) < 0.1] = np.nan
    labels = (np.nan_to_num(rows[:, 0]) * rows[:, 4] + np.isnan(rows[:, 2]) * 2 + rng.normal(scale=0.5, size=800)) > 0.3
    estimator = CatBoostClassifier(
        iterations=20,
        depth=depth,
        nan_mode=nan_mode,
        random_seed=0,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    )
    estimator.fit(rows, labels.astype(int), sample_weight=rng.uniform(0.1, 1, 800))
    return estimator, compile_catboost(estimator)


def raw(estimator: CatBoostClassifier, rows: Any) -> Any:
    return estimator.predict(rows, prediction_type="RawFormulaVal")


@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
@pytest.mark.parametrize("depth", [1, 4, 6])
def test_scores_are_those_of_catboost(nan_mode: str, depth: int) -> None:
    estimator, ensemble = fitted(nan_mode, depth)
    rng = np.random.default_rng(1)
    cuts = np.unique(ensemble.trees.threshold[ensemble.trees.inner])
    near = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)])
    values = [*near, np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, BIG, -BIG]
    rows = np.concatenate([rng.choice(values, size=(3000, 5)), rng.normal(size=(300, 5))])
    np.testing.assert_allclose(ensemble.raw(rows), raw(estimator, rows), rtol=0, atol=1e-9)
    np.testing.assert_allclose(ensemble.probabilities(rows), estimator.predict_proba(rows)[:, 1], rtol=0, atol=1e-9)


@settings(deadline=None)
@given(data=st.data(), nan_mode=st.sampled_from(["Min", "Max"]))
def test_any_row_scores_as_in_catboost(data: st.DataObject, nan_mode: str) -> None:
    estimator, ensemble = fitted(nan_mode)
    cut = st.sampled_from(sorted(set(ensemble.trees.threshold[ensemble.trees.inner].tolist())))
    value = st.one_of(st.floats(), cut, cut.map(lambda v: float(np.nextafter(v, np.inf))))
    row = np.array([data.draw(st.lists(value, min_size=5, max_size=5))])
    assert abs(ensemble.raw(row)[0] - raw(estimator, row)[0]) < 1e-9


@settings(deadline=None)
@given(border=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_threshold_is_the_last_value_that_rounds_to_the_border_or_less(border: float) -> None:
    threshold = greatest_left(np.array([border], dtype=np.float32))[0]
    with np.errstate(over="ignore"):
        assert np.float64(threshold).astype(np.float32) <= np.float32(border)
        assert np.nextafter(threshold, np.inf).astype(np.float32) > np.float32(border)


def test_contributions_add_up_and_the_base_is_the_mean_over_training_rows() -> None:
    examples = make_examples()
    ensemble = compiled(fit(examples, CatBoostRecipe(iterations=20), 0))
    shares, base = contributions(ensemble, examples.features[:20])
    np.testing.assert_allclose(shares.sum(axis=1) + base, ensemble.raw(examples.features[:20]), atol=1e-9)
    plain = compiled(fit(examples, CatBoostRecipe(iterations=20, class_weight=None), 0))
    assert plain.expected == pytest.approx(plain.raw(examples.features).mean(), abs=1e-3)


def test_a_compiled_model_survives_its_file() -> None:
    _, ensemble = fitted("Min")
    rows = np.random.default_rng(3).normal(size=(50, 5))
    np.testing.assert_array_equal(Ensemble.from_arrays(ensemble.to_arrays()).raw(rows), ensemble.raw(rows))


def test_the_same_seed_gives_the_same_trees_and_another_seed_others() -> None:
    examples = make_examples()
    once, again, other = (compiled(fit(examples, CatBoostRecipe(iterations=5), seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once.raw(examples.features), again.raw(examples.features))
    assert (once.raw(examples.features) != other.raw(examples.features)).any()


def test_balanced_classes_weigh_the_same() -> None:
    """The mean raw score of balanced classes is higher where anomalies are few."""
    examples = make_examples()
    balanced, plain = (
        compiled(fit(examples, CatBoostRecipe(iterations=20, class_weight=weight), 0)) for weight in ("balanced", None)
    )
    few = examples.anomalous.mean() < 0.5
    assert (balanced.raw(examples.features).mean() > plain.raw(examples.features).mean()) == few


@pytest.mark.parametrize("parameters", [{"grow_policy": "Depthwise"}, {"loss_function": "MultiClass"}])
def test_other_models_are_refused(parameters: dict[str, str]) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 2))
    estimator = CatBoostClassifier(
        iterations=2, depth=2, thread_count=1, verbose=False, allow_writing_files=False, **parameters
    )
    estimator.fit(rows, np.arange(100) % (3 if "loss_function" in parameters else 2))
    with pytest.raises(ValueError, match=r"only (oblivious trees|binary classifiers)"):
        compile_catboost(estimator)


def test_a_model_with_other_than_numerical_splits_is_refused() -> None:
    split = {"split_type": "OneHotFeature", "cat_feature_index": 0, "value": 3}
    tree = {"leaf_values": [0, 1], "leaf_weights": [1, 1], "splits": [split]}
    model = {"features_info": {"float_features": []}, "oblivious_trees": [tree], "scale_and_bias": [1, [0]]}
    with pytest.raises(ValueError, match="numerical features"):
        from_catboost(json.dumps(model).encode(), 1)
