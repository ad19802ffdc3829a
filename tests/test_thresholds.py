"""Thresholds do what they promise on any labels and scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.examples import Labels, Scores
from scorer.thresholds import (
    Greatest,
    allowed_alerts,
    best_f1,
    choose,
    highest,
    most_found,
    sweep,
    sweep_row,
    within_budget,
)

Case = tuple[Labels, Scores]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Labels of both classes, scores with ties."""
    scores = draw(st.lists(st.integers(0, 20).map(lambda step: step / 20), min_size=2, max_size=40))
    labels = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    labels[0], labels[1] = True, False
    return np.array(labels), np.array(scores)


@given(cases())
def test_no_threshold_has_a_greater_f1(case: Case) -> None:
    labels, scores = case
    best = sweep_row(labels, scores, best_f1(labels, scores)).f1
    assert all(sweep_row(labels, scores, score).f1 <= best + 1e-12 for score in scores)


@given(cases())
def test_of_equal_f1_the_fewest_alerts_win(case: Case) -> None:
    labels, scores = case
    threshold = best_f1(labels, scores)
    f1 = sweep_row(labels, scores, threshold).f1
    greater = scores[scores > threshold]
    stricter = [score for score in greater if (scores >= score).sum() < (scores >= threshold).sum()]
    assert all(sweep_row(labels, scores, score).f1 < f1 for score in stricter)


@given(cases())
def test_no_score_lies_exactly_on_the_threshold_of_greatest_f1(case: Case) -> None:
    """Half way between two scores, so that rounding elsewhere can't move a row across it."""
    labels, scores = case
    threshold = best_f1(labels, scores)
    assert threshold not in scores[scores > 0]


def test_f1_without_an_anomaly_is_refused() -> None:
    with pytest.raises(ValueError, match="no anomalous row"):
        best_f1(np.array([False]), np.array([0.5]))


@given(st.lists(st.integers(0, 50).map(lambda step: step / 50), min_size=1, max_size=60), st.integers(0, 1000))
def test_the_budget_of_false_alerts_is_kept_and_used(scores: list[float], per_thousand: int) -> None:
    benign = np.array(scores)
    threshold = within_budget(benign, per_thousand)
    allowed = per_thousand * len(benign) / 1000
    assert (benign >= threshold).sum() <= allowed
    below = benign[benign < threshold]
    if len(below):
        assert (benign >= below.max()).sum() > allowed


def test_with_few_benign_sessions_none_may_alert() -> None:
    benign = np.linspace(0, 0.9, 500)
    assert within_budget(benign, 1.0) > 0.9


def test_a_budget_without_benign_sessions_is_refused() -> None:
    with pytest.raises(ValueError, match="no benign session"):
        within_budget(np.array([]), 1.0)


@given(cases())
def test_open_sessions_have_the_stricter_threshold(case: Case) -> None:
    labels, scores = case
    thresholds = choose(labels, scores, per_thousand=10)
    assert thresholds.open >= thresholds.closed
    assert sweep_row(labels, scores, thresholds.open).false_alerts <= 10


@given(cases())
def test_a_sweep_flags_less_and_less(case: Case) -> None:
    rows = sweep(*case)
    assert rows[0].recall == 1.0
    assert [row.recall for row in rows] == sorted((row.recall for row in rows), reverse=True)
    assert [row.false_alerts for row in rows] == sorted((row.false_alerts for row in rows), reverse=True)


def test_a_threshold_that_flags_nothing_has_precision_one_and_recall_zero() -> None:
    row = sweep_row(np.array([True, False]), np.array([0.3, 0.2]), 0.9)
    assert (row.precision, row.recall, row.f1, row.false_alerts) == (1.0, 0.0, 0.0, 0.0)


def test_false_alerts_are_counted_in_a_thousand_benign() -> None:
    labels = np.array([True, False, False, False, False])
    row = sweep_row(labels, np.array([0.9, 0.8, 0.1, 0.1, 0.1]), 0.5)
    assert row.false_alerts == 250
    assert (row.precision, row.recall) == (0.5, 1.0)


scores = st.integers(0, 20).map(lambda step: step / 20)


@st.composite
def sessions(draw: st.DrawFn) -> Greatest:
    """Scores with ties; before half of the calls none is greater than while the session was open."""
    rows = draw(st.lists(st.tuples(scores, scores, scores), min_size=1, max_size=40))
    early, late, soon = np.array(rows).T
    return Greatest(early, late, np.minimum(early, soon))


@given(sessions(), sessions(), st.integers(0, 45))
def test_a_pair_of_thresholds_flags_no_more_sessions_than_are_allowed(
    benign: Greatest, attacked: Greatest, allowed: int
) -> None:
    chosen = most_found(benign, attacked, allowed)
    alerting = (benign.early >= chosen.open) | (benign.late >= chosen.closed)
    certain = (benign.early == 1.0) | (benign.late == 1.0)  # no threshold is above 1
    assert (alerting & ~certain).sum() <= allowed


def test_what_is_allowed_goes_to_the_threshold_that_finds_more() -> None:
    none = np.zeros(2)
    benign = Greatest(np.array([0.9, 0.2, 0.1, 0.1]), np.array([0.1, 0.1, 0.8, 0.1]), np.zeros(4))
    late, early = Greatest(none, np.array([0.5, 0.6]), none), Greatest(np.array([0.5, 0.6]), none, none)
    assert most_found(benign, late, 1).closed < 0.5
    assert most_found(benign, late, 1).open > 0.9
    assert most_found(benign, early, 1).open < 0.5
    assert most_found(benign, early, 1).closed > 0.8


def test_an_attack_found_before_half_of_its_calls_counts_twice() -> None:
    """One attack shows while it goes on, the other at its end, and either alert costs one benign session."""
    benign = Greatest(np.array([0.9, 0.1]), np.array([0.1, 0.9]), np.zeros(2))
    early, late = np.array([0.5, 0.0]), np.array([0.0, 0.5])
    assert most_found(benign, Greatest(early, late, np.zeros(2)), 1).open > 0.9
    assert most_found(benign, Greatest(early, late, early), 1).open < 0.5


def test_a_pair_of_thresholds_needs_a_benign_session() -> None:
    nothing = Greatest(*(np.array([]) for _ in range(3)))
    with pytest.raises(ValueError, match="no benign session"):
        most_found(nothing, nothing, 1)


@given(st.integers(0, 20_000), st.floats(0, 1000))
def test_what_is_allowed_keeps_the_upper_end_of_the_interval_within_the_budget(count: int, per_thousand: float) -> None:
    allowed = allowed_alerts(count, per_thousand)
    assert allowed == 0 or highest(allowed, count) <= per_thousand / 1000
    assert allowed == count or highest(allowed + 1, count) > per_thousand / 1000


def test_a_thousandth_of_a_few_thousand_sessions_is_too_little_to_allow_any() -> None:
    assert [allowed_alerts(count, 1.0) for count in (1_000, 5_660, 5_661, 20_000)] == [0, 0, 1, 11]
    assert highest(0, 3_837) > 0.001 >= highest(0, 3_838)
