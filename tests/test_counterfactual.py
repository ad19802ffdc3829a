"""The nearest other value that would have been enough, held against scoring the changed rows."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scorer.counterfactual import nearest_under
from scorer.ensemble import Ensemble
from tests.random_trees import ensembles, random_ensemble, rows_of

Row = NDArray[np.float64]


def score(ensemble: Ensemble, row: Row, feature: int, value: float) -> float:
    """Return the score of a row with another value of a feature."""
    changed = row.copy()
    changed[feature] = value
    return float(ensemble.probabilities(np.array([changed, changed]))[0])


def thresholds(ensemble: Ensemble, feature: int) -> list[float]:
    """Return the finite values at which trees split a feature."""
    trees = ensemble.trees
    found = {float(trees.threshold[node]) for node in trees.inner if trees.feature[node] == feature}
    return sorted(value for value in found if math.isfinite(value))


def candidates(ensemble: Ensemble, feature: int, own: float, *, whole: bool) -> list[float]:
    """Return every value that can be nearest: the own one, each split and the next number above it, or whole ones."""
    splits = thresholds(ensemble, feature)
    above = [float(np.nextafter(split, np.inf)) for split in splits]
    if whole:
        return [own, *(float(math.floor(value)) for value in splits), *(float(math.ceil(value)) for value in above)]
    return [own, *splits, *above]


@settings(deadline=None, max_examples=300)
@given(ensemble=ensembles(max_features=4), data=st.data(), whole=st.booleans())
def test_it_is_under_the_threshold_and_no_nearer_value_is(
    ensemble: Ensemble, data: st.DataObject, *, whole: bool
) -> None:
    (row,) = data.draw(rows_of(ensemble.n_features, max_rows=1))
    feature = data.draw(st.integers(0, ensemble.n_features - 1))
    assume(math.isfinite(row[feature]) and abs(row[feature]) < 1e9)
    if whole:
        row[feature] = round(row[feature])
    own = float(row[feature])
    values = candidates(ensemble, feature, own, whole=whole)
    scores = [score(ensemble, row, feature, value) for value in values]
    threshold = data.draw(st.sampled_from(sorted({*scores, *(float(np.nextafter(one, 1)) for one in scores)})))

    found = nearest_under(ensemble, row, feature, threshold, whole=whole)

    enough = [abs(value - own) for value, own_score in zip(values, scores, strict=True) if own_score < threshold]
    if found is None:
        assert not enough
        return
    value, its_score = found
    assert its_score == score(ensemble, row, feature, value) < threshold
    assert abs(value - own) == min(enough)
    assert not whole or value.is_integer()


@pytest.mark.parametrize("own", [math.nan, math.inf, -math.inf])
def test_nothing_is_near_to_a_missing_or_infinite_value(own: float) -> None:
    ensemble = random_ensemble(np.random.default_rng(0), 1, [8])
    assert nearest_under(ensemble, np.array([own]), 0, 1.1) is None


def test_a_score_under_the_threshold_keeps_its_value() -> None:
    ensemble = random_ensemble(np.random.default_rng(0), 2, [8])
    found = nearest_under(ensemble, np.array([0.3, 1.0]), 0, 1.1)
    assert found is not None
    assert found[0] == 0.3


def test_a_feature_that_no_tree_uses_changes_nothing() -> None:
    ensemble = random_ensemble(np.random.default_rng(0), 2, [1])
    row = np.array([0.3, 1.0])
    assert nearest_under(ensemble, row, 0, score(ensemble, row, 0, 0.3)) is None
