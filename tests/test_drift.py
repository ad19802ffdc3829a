"""Drift: the population stability index of the latest vectors, and when it is said to be too great."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.bins import bin_counts, spaced_edges
from scorer.drift import FLOOR, PARTS, SCORE, DriftMonitor, DriftPolicy, population_stability_index
from scorer.npz import pack, unpack
from scorer.reference import LEVELS, Reference
from tests.model_factory import make_bundle, make_rows

Matrix = NDArray[np.float64]

FEATURES = ("steps", "width", "often")
DAY = 86_400_000
values = st.one_of(st.floats(-100, 100), st.sampled_from([0.0, 1.0, 2.0]), st.just(math.nan))


def rows_of(count: int, seed: int = 0) -> Matrix:
    """Return rows of a continuous feature, one of few whole numbers, and one that is missing in a fifth."""
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.lognormal(2, 1, count), rng.geometric(0.4, count), rng.normal(0, 1, count)])
    rows[rng.random(count) < 0.2, 2] = np.nan
    return rows


def scores_of(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).beta(1, 9, count)


def reference_of(rows: Matrix, scores: NDArray[np.float64]) -> Reference:
    """Summarise rows as ``Reference.of`` does, with scores that no model has to give."""
    quantiles = np.nanquantile(rows, LEVELS, axis=0).T
    none = np.empty((0, 0))
    bare = Reference(quantiles, np.isnan(rows).mean(axis=0), np.quantile(scores, LEVELS), 0.0, len(rows), none)
    known = bin_counts(np.column_stack([rows, scores]), bare.edges)[:, :-1]
    return replace(bare, shares=known / known.sum(axis=1, keepdims=True))


REFERENCE = reference_of(rows_of(4000, seed=1), scores_of(4000, seed=1))


def monitor(reference: Reference = REFERENCE, **policy: float) -> DriftMonitor:
    return DriftMonitor(reference, FEATURES, DriftPolicy(**policy))  # type: ignore[arg-type]  # whole ones are ints


def histogram(column: Matrix, edges: Matrix) -> Matrix:
    """Count a column by numpy's own histogram: bins without end on both sides, the missing values last."""
    known = column[~np.isnan(column)]
    counts, _ = np.histogram(known, np.concatenate([[-np.inf], edges[np.isfinite(edges)], [np.inf]]))
    return np.append(counts, len(column) - len(known)).astype(float)


class TestIndex:
    @settings(deadline=None)
    @given(
        live=arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=values),
        trained=arrays(np.float64, (30, 3), elements=st.floats(-50, 50) | st.sampled_from([0.0, 1.0])),
    )
    def test_it_is_the_formula_over_numpy_s_histograms(self, live: Matrix, trained: Matrix) -> None:
        reference = reference_of(trained, scores_of(30))
        own = monitor(reference, minimum_vectors=1)
        own.observe(live, scores_of(len(live), seed=5), 0)
        columns = [*zip(trained.T, live.T, strict=True), (scores_of(30), scores_of(len(live), seed=5))]
        for name, edges, (before, after) in zip(own.variables, reference.edges, columns, strict=True):
            expected, actual = (histogram(own, edges) / len(own) for own in (before, after))
            floored = np.maximum(expected, FLOOR), np.maximum(actual, FLOOR)
            psi = sum((a - e) * math.log(a / e) for e, a in zip(*floored, strict=True))
            assert own.psi[name] == pytest.approx(psi, abs=1e-12)

    def test_equal_shares_have_none(self) -> None:
        shares = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
        assert population_stability_index(shares, shares).tolist() == [0, 0]

    def test_a_textbook_example(self) -> None:
        """(0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)."""
        (psi,) = population_stability_index(np.array([[0.5, 0.5]]), np.array([[0.6, 0.4]]))
        assert psi == pytest.approx(0.0405, abs=1e-4)

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any), st.data())
    def test_it_is_never_negative_and_always_finite(self, before: list[int], data: st.DataObject) -> None:
        after = data.draw(
            st.lists(st.integers(0, 1000), min_size=len(before), max_size=len(before)).filter(any), label="after"
        )
        expected, actual = (np.array([own]) / sum(own) for own in (before, after))
        (psi,) = population_stability_index(expected, actual)
        assert 0 <= psi < 10 * math.log(1 / FLOOR)


class TestBins:
    def test_a_value_on_an_edge_lies_above_it(self) -> None:
        column = np.array([[0.9], [1.0], [1.5], [2.0], [math.nan]])
        assert bin_counts(column, np.array([[1.0, 2.0]])).tolist() == [[1, 2, 1, 1]]

    def test_nothing_lies_above_an_edge_that_is_absent(self) -> None:
        column = np.array([[1.0], [3.0], [math.nan]])
        assert bin_counts(column, np.array([[2.0, math.inf]])).tolist() == [[1, 1, 0, 1]]

    def test_edges_lie_half_way_between_quantiles_that_are_far_enough_apart(self) -> None:
        quantiles = np.array([[0.0, 1.0, 1.5, 4.0], [2.0, 2.0, 2.0, 2.0]])
        edges = spaced_edges(quantiles, np.array([0.5, 0.0]))
        assert edges.tolist() == [[0.5, 2.75, math.inf], [math.inf] * 3]

    @given(arrays(np.float64, (2, 9), elements=st.floats(-1e6, 1e6)), st.floats(0, 100))
    def test_every_bin_but_the_outer_ones_is_wide_enough(self, drawn: Matrix, narrowest: float) -> None:
        edges = spaced_edges(np.sort(drawn, axis=1), np.full(2, narrowest))
        for own in edges:
            present = own[np.isfinite(own)]
            assert (np.diff(present) >= narrowest * (1 - 1e-9)).all()
            assert (np.diff(own[: len(present) + 1]) >= 0).all()

    def test_what_most_rows_have_nearly_alike_is_one_bin(self) -> None:
        """The commonest endpoint's share moves by some percent from hour to hour; that is no drift."""
        rng = np.random.default_rng(0)
        alike = np.concatenate([rng.uniform(0, 1, 1000), rng.uniform(4.0, 4.05, 3000)])
        reference = reference_of(np.column_stack([alike] * 3), scores_of(4000))
        own = monitor(reference)
        own.observe(np.column_stack([alike * 1.06, alike * 0.94, alike * 0.2]), scores_of(4000), 0)
        assert own.raised == ("often",)


class TestReference:
    def test_bundles_keep_the_shares_of_their_rows(self) -> None:
        rows, anomalous = make_rows(600)
        benign, ensemble = rows[~anomalous], make_bundle().ensemble
        reference = Reference.of(benign, ensemble)
        live = np.column_stack([benign, ensemble.probabilities(benign)])
        assert reference.bin_shares == pytest.approx(bin_counts(live, reference.edges) / len(benign), abs=1e-12)
        again = Reference.from_arrays(unpack(pack(reference.to_arrays())), len(ACCESS_BEHAVIOUR_V1.features))
        assert np.array_equal(again.bin_shares, reference.bin_shares)

    @pytest.mark.parametrize("shares", [np.zeros((24, 9)), np.full((24, 9), np.nan), np.full((2, 9), 1 / 9)])
    def test_shares_that_are_none_are_refused(self, shares: Matrix) -> None:
        arrays_of = {**make_bundle().reference.to_arrays(), "shares": shares}
        with pytest.raises(ValueError, match="shares"):
            Reference.from_arrays(arrays_of, len(ACCESS_BEHAVIOUR_V1.features))


class TestWindow:
    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40)), min_size=1, max_size=60))
    def test_it_is_bounded_in_vectors_and_in_event_time(self, batches: list[tuple[int, int]]) -> None:
        own, now, taken = monitor(window_vectors=100, window=200, minimum_vectors=1), 0, []
        for count, pause in batches:
            now += pause
            own.observe(rows_of(count), scores_of(count), now)
            taken.append((count, now))
            recent = sum(size for size, time in taken if now - time <= 200)
            assert own.vectors <= 100
            assert own.vectors <= sum(size for size, time in taken if now - time <= 200 * (1 + 1 / PARTS))
            # At most one part too many is let go at once: a tenth of the window, and the batch that filled it.
            assert own.vectors >= min(recent, 100 - 100 / PARTS - 30)
            assert len(own._parts) <= 2 * PARTS + 2

    def test_what_left_the_window_does_not_count(self) -> None:
        own = monitor(window_vectors=2000, minimum_vectors=100)
        own.observe(rows_of(2000) * 50, scores_of(2000), 0)
        for time in range(20):
            own.observe(rows_of(200, seed=time), scores_of(200, seed=time), time)
        fresh = monitor(window_vectors=2000, minimum_vectors=100)
        for time in range(10, 20):
            fresh.observe(rows_of(200, seed=time), scores_of(200, seed=time), time)
        assert own.psi == fresh.psi

    def test_time_that_goes_back_counts_as_the_latest(self) -> None:
        own = monitor(window=1000, minimum_vectors=1)
        for now in (5000, 0, 5500):
            own.observe(rows_of(10), scores_of(10), now)
        assert own.vectors == 30

    def test_no_vectors_change_nothing_but_let_old_ones_go(self) -> None:
        own = monitor(window=1000, minimum_vectors=1)
        own.observe(rows_of(10), scores_of(10), 0)
        own.observe(np.empty((0, 3)), np.empty(0), 500)
        assert own.vectors == 10
        own.observe(np.empty((0, 3)), np.empty(0), 2000)
        assert (own.vectors, own.psi) == (0, {})


class TestRaising:
    @pytest.mark.parametrize("seed", range(5))
    def test_traffic_like_the_training_s_is_quiet(self, seed: int) -> None:
        own = monitor()
        for time in range(40):
            number = 100 + 40 * seed + time
            own.observe(rows_of(50, seed=number), scores_of(50, seed=number), time)
        assert own.raised == ()
        assert max(own.psi.values()) < 0.1

    @pytest.mark.parametrize("feature", FEATURES)
    def test_a_shifted_feature_is_named(self, feature: str) -> None:
        rows = rows_of(2000)
        rows[:, FEATURES.index(feature)] += 2.5 * np.nanstd(rows[:, FEATURES.index(feature)])
        own = monitor()
        own.observe(rows, scores_of(2000), 0)
        assert own.raised == (feature,)
        assert own.psi[feature] > 0.25

    def test_shifted_scores_are_named(self) -> None:
        own = monitor()
        own.observe(rows_of(2000), scores_of(2000) * 2, 0)
        assert own.raised == (SCORE,)

    @pytest.mark.parametrize("share", [0.0, 0.7])
    def test_missing_values_have_a_bin_of_their_own(self, share: float) -> None:
        """A fifth is missing in the training rows."""
        rows = np.column_stack([rows_of(2000)[:, :2], np.random.default_rng(0).normal(0, 1, 2000)])
        rows[: int(share * 2000), 2] = np.nan
        own = monitor()
        own.observe(rows, scores_of(2000), 0)
        assert own.raised == ("often",)

    def test_a_feature_that_is_missing_in_training_and_live_is_stable(self) -> None:
        """Training marks one that is missing in every row in ``missing`` alone."""
        reference = replace(reference_of(np.zeros((500, 3)), scores_of(500)), missing=np.array([0.0, 0.0, 1.0]))
        own = monitor(reference)
        own.observe(np.column_stack([np.zeros((2000, 2)), np.full(2000, np.nan)]), scores_of(2000), 0)
        assert [own.psi[name] for name in FEATURES] == [0, 0, 0]

    def test_too_few_vectors_raise_and_clear_nothing(self) -> None:
        own = monitor(minimum_vectors=1000, window=100)
        own.observe(rows_of(999) * 50, scores_of(999), 0)
        assert (own.raised, own.psi) == ((), {})
        own.observe(rows_of(999) * 50, scores_of(999), 0)
        raised = own.raised
        assert "steps" in raised
        own.observe(rows_of(500), scores_of(500), 1000)
        assert (own.vectors, own.raised) == (500, raised)

    def test_what_was_raised_is_cleared_only_well_below(self) -> None:
        """A window of one observation, so that each has its own index."""
        own = monitor(minimum_vectors=1, window=0)
        said = []
        for time, shift in enumerate((1.0, 1.45, 1.9, 1.45, 1.0, 1.45), start=1):
            own.observe(rows_of(4000, seed=1) * [shift, 1, 1], scores_of(4000, seed=1), time)
            said.append((own.psi["steps"], own.raised))
        indices = [index for index, _ in said]
        assert [("low", "middle", "high")[(index >= 0.1) + (index > 0.25)] for index in indices] == [
            *("low", "middle", "high", "middle", "low", "middle")
        ]
        assert [raised for _, raised in said] == [(), (), ("steps",), ("steps",), (), ()]
