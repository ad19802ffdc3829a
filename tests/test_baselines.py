"""Baselines agree with examples worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.baselines import midas
from scorer.baselines.columns import unit_range, without_gaps
from scorer.baselines.half_space_trees import WINDOW, half_space_scores
from scorer.baselines.isolation_forest import isolation_scores
from scorer.baselines.midas import edge_bursts
from scorer.baselines.transitions import rare_transitions
from scorer.recording import position_in_group, previous_in_group
from tests.recordings import Made, make_recording

GROUPS = st.lists(st.integers(0, 4), min_size=1, max_size=40)


def test_a_transition_is_rare_when_less_than_a_twentieth_of_those_that_leave_its_source_are_like_it() -> None:
    """Of 21 transitions that leave a, 20 lead to b and one to c: c is rare after a (1 in 21), b is not."""
    calls = make_recording(Made("ab" * 20 + "ac", start=0), Made("acab", start=1000), Made("acacz", start=2000)).calls
    training = calls.session == 0

    counts = rare_transitions(calls, training)

    assert counts[calls.session == 0].tolist() == [0] * 41 + [1]
    # c -> a was never seen, which is rare.
    assert counts[calls.session == 1].tolist() == [0, 1, 2, 2]
    assert counts[calls.session == 2].tolist() == [0, 1, 2, 3, 4]


def test_exactly_a_twentieth_is_not_rare() -> None:
    calls = make_recording(Made("ab" * 19 + "aca"), Made("ac", start=1000)).calls

    assert rare_transitions(calls, calls.session == 0)[calls.session == 1].tolist() == [0, 0]


def test_a_burst_scores_by_the_formula_of_the_paper() -> None:
    """Tick 1: the edge twice, score 0. Tick 2: a = 1, s = 3, (1 - 3/2)² 2² / (3 x 1) = 1/3; then a = 2, s = 4: 0."""
    scores = edge_bursts(np.zeros(5, dtype=np.intp), np.zeros(5, dtype=np.intp), np.array([1, 1, 2, 2, 3]))

    # Tick 3: a = 1, s = 5, (1 - 5/3)² 3² / (5 x 2) = 0.4.
    assert scores == pytest.approx([0, 0, 1 / 3, 0, 0.4])


def test_edges_are_counted_apart_and_ticks_do_not_go_back() -> None:
    source, destination = np.array([0, 1, 0, 1]), np.array([7, 7, 7, 7])

    scores = edge_bursts(source, destination, np.array([1, 3, 2, 3]))

    # First seen in tick 3: (1 - 1/3)² 3² / (1 x 2) = 2, then (2 - 2/3)² 3² / (2 x 2) = 4. The other edge, late, counts
    # in tick 3 too: (1 - 2/3)² 3² / (2 x 2) = 1/4.
    assert scores == pytest.approx([0, 2, 1 / 4, 4])


def test_a_sketch_never_counts_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one bucket all edges share their counts: two edges look like one."""
    monkeypatch.setattr(midas, "BUCKETS", 1)

    scores = edge_bursts(np.array([0, 1]), np.array([0, 1]), np.array([1, 2]))

    assert scores == pytest.approx([0, (1 - 2 / 2) ** 2])


def test_half_space_trees_score_by_the_mass_where_a_vector_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tree, one cut, windows of 4.

    All of the first window fall right of the cut. Then a vector on the right has mass 4 at the root and 4 x 2 at
    its leaf, of at most 4 x 3: score 0. One on the left has 4 and 0: score 1 - 4 / 12.
    """
    module = "scorer.baselines.half_space_trees"
    for name, value in (("TREES", 1), ("HEIGHT", 1), ("WINDOW", 4)):
        monkeypatch.setattr(f"{module}.{name}", value)
    values = np.array([[9.0], [9.0], [9.0], [9.0], [1.0]])
    training = np.array([False, False, False, True, True])  # a nine becomes 1, a one 0

    assert half_space_scores(values, training).tolist() == pytest.approx([0, 0, 0, 0, 2 / 3])


def test_half_space_trees_put_an_odd_vector_first() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3 * WINDOW, 3))
    values[-1] = 9.0
    values[:, 1] = np.nan

    scores = half_space_scores(values, np.ones(len(values), dtype=bool))

    assert scores[:WINDOW].max() == 0
    assert scores[-1] > np.quantile(scores, 0.9)


def test_an_isolation_forest_scores_by_the_depth_at_which_a_vector_is_alone() -> None:
    """Of two values every tree splits once: depth 1, and c(2) = 1: 2^(-1) for both."""
    values = np.array([[1.0], [2.0]])

    assert isolation_scores(values, np.array([True, True])) == pytest.approx([0.5, 0.5])


def test_an_isolation_forest_puts_an_odd_vector_first() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 3))
    values[-1] = 9.0
    values[7, 1] = np.nan

    scores = isolation_scores(values, np.arange(300) < 200)

    assert scores.argmax() == 299


def test_columns_are_scaled_between_the_outer_quantiles_of_the_training_values() -> None:
    """Of 0 to 100 the 1 % and the 99 % quantile are 1 and 99."""
    training = np.append(np.arange(101.0), np.nan)[:, None]

    scaled = unit_range(np.array([[0.0], [1.0], [50.0], [999.0], [np.nan]]), training)

    np.testing.assert_allclose(scaled[:, 0], [0, 0, 0.5, 1, np.nan])


def test_columns_without_a_spread_or_a_value_can_be_scaled() -> None:
    values = np.array([[3.0, np.nan], [4.0, 1.0]])

    np.testing.assert_array_equal(unit_range(values, values[:1]), [[0, np.nan], [1, np.nan]])


def test_gaps_are_filled_with_the_training_median() -> None:
    nan = np.nan

    filled = without_gaps(np.array([[nan, nan], [4.0, nan]]), np.array([[1.0, nan], [3.0, nan], [nan, nan]]))

    assert filled.tolist() == [[2.0, 0.0], [4.0, 0.0]]


@given(GROUPS)
def test_places_in_a_group_are_those_of_counting(groups: list[int]) -> None:
    group = np.array(groups)

    assert position_in_group(group).tolist() == [groups[:at].count(own) for at, own in enumerate(groups)]


@given(GROUPS)
def test_the_entry_before_is_the_latest_of_the_same_group(groups: list[int]) -> None:
    values = np.arange(len(groups)) + 100

    before = previous_in_group(np.array(groups), values)

    for at, own in enumerate(groups):
        earlier = [values[other] for other in range(at) if groups[other] == own]
        assert before[at] == (earlier[-1] if earlier else -1)
