"""The numpy ensemble orders sessions as scikit-learn's isolation forest does."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import Matrix
from scorer.baselines.columns import without_gaps
from scorer.ensemble import Ensemble
from scorer.examples import Scores
from scorer.explanation import contributions
from scorer.isolation_recipe import (
    UNUSUAL,
    USUAL_SCORE,
    Isolation,
    IsolationRecipe,
    average_path_lengths,
    compile_isolation,
)
from scorer.training import compiled, fit, predict
from tests.labelled_sessions import make_examples

RECIPE = IsolationRecipe(n_estimators=20)


@lru_cache
def fitted() -> tuple[Isolation, Ensemble]:
    """A forest of coarse rows with gaps."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 5)).round(1)
    rows[rng.random((500, 5)) < 0.1] = np.nan
    forest = RECIPE.fit(rows, np.zeros(500, dtype=bool), np.ones(500), 0)
    return forest, compile_isolation(forest)


def isolation(forest: Isolation, rows: Matrix) -> Scores:
    filled = np.where(np.isnan(rows), forest.filling, rows)
    return np.asarray(np.log2(-forest.forest.score_samples(filled)))


@settings(deadline=None)
@given(data=st.data())
def test_the_raw_score_of_any_row_is_linear_in_its_isolation(data: st.DataObject) -> None:
    forest, ensemble = fitted()
    cut = st.sampled_from(sorted(set(ensemble.trees.threshold[ensemble.trees.inner].tolist())))
    near = cut.map(lambda value: float(np.nextafter(value, np.inf)))
    value = st.one_of(st.floats(-1e30, 1e30), st.just(np.nan), cut, near)
    row = np.array([data.draw(st.lists(value, min_size=5, max_size=5))])
    share = (isolation(forest, row)[0] - forest.unusual) / (forest.unusual - forest.median)
    assert ensemble.raw(row)[0] == pytest.approx(share * np.log((1 - USUAL_SCORE) / USUAL_SCORE), abs=1e-9)


def test_the_median_benign_row_scores_a_hundredth_and_one_in_a_thousand_a_half() -> None:
    examples = make_examples(2000)
    scores = predict(fit(examples, RECIPE, 0), examples.features[~examples.anomalous])
    assert np.median(scores) == pytest.approx(USUAL_SCORE, rel=0.01)
    assert (scores >= 0.5).mean() == pytest.approx(1 - UNUSUAL, abs=0.001)


def test_attacks_have_no_say() -> None:
    examples = make_examples()
    hostile = examples.features.copy()
    hostile[examples.anomalous] += 100.0
    same = [RECIPE.fit(rows, examples.anomalous, examples.weights, 0) for rows in (examples.features, hostile)]
    without, far = (compiled(own).raw(examples.features) for own in same)
    assert np.array_equal(without, far)


def test_a_row_far_from_all_benign_ones_scores_higher_than_any_of_them() -> None:
    examples = make_examples()
    ensemble = compiled(fit(examples, RECIPE, 0))
    far = ensemble.probabilities(np.full((1, 4), 50.0))[0]
    assert far > ensemble.probabilities(examples.features[~examples.anomalous]).max()


def test_contributions_add_up_to_the_raw_score() -> None:
    _, ensemble = fitted()
    rows = without_gaps(np.random.default_rng(3).normal(size=(20, 5)), np.zeros((1, 5)))
    effects, base = contributions(ensemble, rows)
    np.testing.assert_allclose(effects.sum(axis=1) + base, ensemble.raw(rows), atol=1e-9)


def test_benign_rows_that_are_all_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="all alike"):
        RECIPE.fit(np.ones((50, 3)), np.zeros(50, dtype=bool), np.ones(50), 0)


def test_average_path_lengths_are_those_of_the_paper() -> None:
    """c(n) = 2 H(n - 1) - 2 (n - 1) / n, with the harmonic number H(i) about ln(i) + Euler's constant."""
    harmonic = sum(1 / i for i in range(1, 256))
    assert average_path_lengths(np.array([0, 1, 2])).tolist() == [0.0, 0.0, 1.0]
    assert average_path_lengths(np.array([256]))[0] == pytest.approx(2 * harmonic - 2 * 255 / 256, abs=0.01)
