"""A model applied to vectors: verdicts that say by what measure, explanations that add up."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector, Matrix, Occasion
from featurizer.sessions import CloseReason
from scorer.alerts import Direction
from scorer.judge import Judge
from scorer.verdicts import Readiness
from tests.alerting import vector
from tests.model_factory import make_bundle, make_rows

SCHEMA = ACCESS_BEHAVIOUR_V1
ENOUGH = 10_000
ROWS, ANOMALOUS = make_rows(200, seed=7)


def judge(**overrides: float) -> Judge:
    return Judge(make_bundle(), SCHEMA, **overrides)  # type: ignore[arg-type]  # minimum_edges is given as an int


def vectors(rows: Matrix = ROWS, total: int = ENOUGH) -> list[FeatureVector]:
    return [vector(session_id=f"s{at}", values=tuple(row), total_edges=total) for at, row in enumerate(rows.tolist())]


def test_there_is_one_verdict_for_each_vector_in_order() -> None:
    judged = judge().verdicts(vectors())
    assert [verdict.session_id for verdict in judged] == [f"s{at}" for at in range(len(ROWS))]
    expected = make_bundle().score(ROWS)
    assert [verdict.score for verdict in judged] == expected.tolist()
    assert {verdict.model for verdict in judged} == {make_bundle().uid}


def test_no_vectors_have_no_verdicts() -> None:
    assert judge().verdicts([]) == []


def test_planted_anomalies_score_higher_than_the_others() -> None:
    scores = np.array([verdict.score for verdict in judge().verdicts(vectors())])
    assert np.median(scores[ANOMALOUS]) > 0.9
    assert np.median(scores[~ANOMALOUS]) < 0.1


def test_a_score_does_not_depend_on_the_company_of_other_vectors() -> None:
    own = judge()
    together = [verdict.score for verdict in own.verdicts(vectors())]
    alone = [own.verdicts([one])[0].score for one in vectors()]
    assert together == pytest.approx(alone, rel=1e-15)  # the exponential of many rows may round otherwise


def test_a_vector_of_another_schema_is_refused() -> None:
    foreign = msgspec.structs.replace(vector(), schema="feedbeef")
    with pytest.raises(ValueError, match="feedbeef"):
        judge().verdicts([foreign])


class TestThresholds:
    @pytest.mark.parametrize(
        ("occasion", "reason", "threshold"),
        [
            (Occasion.GROWING, None, 0.6),
            (Occasion.QUIET, None, 0.6),
            (Occasion.CLOSED, CloseReason.INACTIVITY, 0.5),
            (Occasion.CLOSED, CloseReason.MAX_CALLS, 0.5),
            (Occasion.CLOSED, CloseReason.MAX_DURATION, 0.5),
            (Occasion.CLOSED, CloseReason.END_OF_INPUT, 0.5),
        ],
    )
    def test_open_and_closed_sessions_have_their_own(
        self, occasion: Occasion, reason: CloseReason | None, threshold: float
    ) -> None:
        (verdict,) = judge().verdicts([vector(occasion=occasion, close_reason=reason)])
        assert (verdict.occasion, verdict.threshold) == (occasion, threshold)

    def test_a_session_that_was_cut_off_is_measured_as_an_open_one(self) -> None:
        (verdict,) = judge().verdicts([vector(occasion=Occasion.CLOSED, close_reason=CloseReason.EVICTED)])
        assert verdict.threshold == 0.6

    def test_settings_win_over_the_bundle(self) -> None:
        own = judge(threshold_open=0.0, threshold_closed=1.0)
        growing, closed = own.verdicts([vector(), vector(occasion=Occasion.CLOSED)])
        assert (growing.threshold, closed.threshold) == (0.0, 1.0)


class TestReadiness:
    @pytest.mark.parametrize(("total", "readiness"), [(99, Readiness.LEARNING), (100, Readiness.READY)])
    def test_a_verdict_is_ready_from_the_bundle_s_minimum_on(self, total: int, readiness: Readiness) -> None:
        (verdict,) = judge().verdicts([vector(total_edges=total)])
        assert (verdict.readiness, verdict.total_edges, verdict.minimum_edges) == (readiness, total, 100)

    def test_settings_win_over_the_bundle(self) -> None:
        (verdict,) = judge(minimum_edges=0).verdicts([vector(total_edges=0)])
        assert (verdict.readiness, verdict.minimum_edges) == (Readiness.READY, 0)

    def test_a_learning_verdict_is_not_anomalous_whatever_its_score(self) -> None:
        learning, ready = judge(threshold_open=0).verdicts([vector(total_edges=1), vector(total_edges=100)])
        assert (learning.anomalous, ready.anomalous) == (False, True)


class TestExplanation:
    @settings(deadline=None, max_examples=40)
    @given(at=st.integers(0, len(ROWS) - 1), total=st.sampled_from([1, 777, ENOUGH, 10**9]))
    def test_contributions_and_base_sum_to_the_raw_score(self, at: int, total: int) -> None:
        own, one = judge(), vectors(total=total)[at]
        effects = [item.contribution for item in own.explain(one)]
        raw = sum(effects) + own.bundle.ensemble.expected
        score = own.verdicts([one])[0].score
        assert 1 / (1 + math.exp(-raw)) == pytest.approx(score, abs=1e-9)

    def test_features_come_in_the_order_and_words_of_the_schema(self) -> None:
        explained = judge().explain(vectors()[0])
        assert [item.feature for item in explained] == list(SCHEMA.names)
        assert [item.meaning for item in explained] == [feature.meaning for feature in SCHEMA.features]

    def test_values_come_with_the_usual_range_and_their_unit(self) -> None:
        own = judge()
        one = vectors()[0]
        for at, item in enumerate(own.explain(one)):
            assert item.value == one.values[at]
            assert (item.usual_low, item.usual_high) == own.bundle.reference.usual_range(at)
            assert item.unit == SCHEMA.features[at].unit

    def test_a_missing_value_is_none_and_not_a_number(self) -> None:
        row, at = ROWS[0].copy(), SCHEMA.names.index("std_dest_share")
        row[at] = math.nan
        item = judge().explain(vectors(row[None])[0])[at]
        assert (item.feature, item.value, item.direction) == ("std_dest_share", None, Direction.MISSING)

    @pytest.mark.parametrize(
        ("value", "direction"), [(0.0, Direction.BELOW), (6.0, Direction.WITHIN), (900.0, Direction.ABOVE)]
    )
    def test_the_direction_is_against_benign_sessions(self, value: float, direction: Direction) -> None:
        row = ROWS[0].copy()
        row[SCHEMA.names.index("n_apis")] = value
        explained = {item.feature: item for item in judge().explain(vectors(row[None])[0])}
        assert explained["n_apis"].direction is direction
