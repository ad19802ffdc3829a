"""Curves agree with scikit-learn; intervals come from drawing clients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from scorer.bootstrap import FALSE_SHARES, RECALLS, Ranking, by_client, ranked, rate_by_client, share_by_client

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40)


@given(ROWS)
def test_areas_are_those_of_scikit_learn_for_any_weights_and_ties(rows: list[tuple[bool, int, int]]) -> None:
    attacked, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    present = [weights[attacked].sum(), weights[~attacked].sum()]

    figures = Ranking(attacked, scores / 5).figures(weights.astype(np.float64))

    alone = Ranking(attacked, scores / 5).average_precision(weights.astype(np.float64))
    if min(present) == 0:
        assert np.isnan(figures).all()
        assert np.isnan(alone)
        return
    assert alone == pytest.approx(figures[0])
    assert figures[0] == pytest.approx(average_precision_score(attacked, scores, sample_weight=weights))
    assert figures[1] == pytest.approx(roc_auc_score(attacked, scores, sample_weight=weights))


def test_curves_are_read_at_the_thresholds_there_are() -> None:
    """Ranked: attack, benign, attack, benign. Recall 1 costs one of two benign sessions."""
    curves = ranked(np.array([True, False, True, False]), np.array([4.0, 3.0, 2.0, 1.0]), np.arange(4), 0)

    precision = dict(zip(curves.precision_recall.x, curves.precision_recall.y, strict=True))
    found = dict(zip(curves.roc.x, curves.roc.y, strict=True))
    assert [precision[recall] for recall in (0.0, 0.5, 1.0)] == pytest.approx([1, 1, 2 / 3])
    assert (found[FALSE_SHARES[0]], found[1.0]) == (0.5, 1.0)
    assert len(precision) == len(RECALLS)


def test_drawing_a_weight_for_each_session_is_drawing_it_as_often() -> None:
    attacked, scores, weights = np.array([1, 0, 1, 0], dtype=bool), np.array([0.9, 0.8, 0.3, 0.1]), [2, 0, 1, 3]

    weighted = Ranking(attacked, scores).figures(np.array(weights, dtype=np.float64))
    repeated = Ranking(np.repeat(attacked, weights), np.repeat(scores, weights)).figures(np.ones(6))

    np.testing.assert_allclose(weighted, repeated)


def test_sessions_of_one_client_tell_less_than_those_of_many() -> None:
    hits = np.arange(400) % 4 == 0
    many = share_by_client(hits, np.arange(400), 0)
    few = share_by_client(np.sort(hits), np.arange(400) // 40, 0)

    assert many.value == few.value == 0.25
    assert 0.19 < many.low < 0.25 < many.high < 0.31
    assert few.high - few.low > 3 * (many.high - many.low)


def test_a_rate_counts_all_events_of_a_client_together() -> None:
    """One client that raises all the alerts is drawn often or not at all; spread over clients they vary little."""
    one = rate_by_client(np.where(np.arange(100) == 0, 50, 0), np.arange(100), 2.0, 0)
    all_alike = rate_by_client(np.full(100, 3), np.arange(100), 2.0, 0)

    assert one.value == 25.0
    assert (one.low, one.high > 50.0) == (0.0, True)
    assert (all_alike.value, all_alike.low, all_alike.high) == (150.0, 150.0, 150.0)
    assert np.isnan(rate_by_client(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), 1.0, 0).value)


def test_the_same_seed_gives_the_same_interval() -> None:
    hits, client = np.arange(50) % 3 == 0, np.arange(50) % 7

    assert share_by_client(hits, client, 3) == share_by_client(hits, client, 3)


def test_what_no_resample_knows_has_no_interval() -> None:
    value, low, high = by_client(lambda _: np.array([np.nan, 1.0]), np.arange(3), 0)

    np.testing.assert_array_equal([value, low, high], [[np.nan, 1.0]] * 3)
    assert np.isnan(share_by_client(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.intp), 0).value)
