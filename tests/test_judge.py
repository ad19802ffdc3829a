"""A model applied to vectors: verdicts that say by what measure, explanations that add up."""

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector, Matrix, Occasion
from featurizer.sessions import CloseReason
from scorer.judge import Judge
from scorer.reasons import Direction, Explanation, foremost
from scorer.rules import RULES_UID, THRESHOLD, RulePolicy
from scorer.verdicts import Leg, Readiness
from tests.alerting import vector
from tests.model_factory import make_bundle, make_rows

SCHEMA = ACCESS_BEHAVIOUR_V1
ENOUGH = 10_000
COUNTS = {feature.name for feature in SCHEMA.features if feature.whole}
ROWS, ANOMALOUS = make_rows(200, seed=7)


def judge(**overrides: Any) -> Judge:
    return Judge(make_bundle(), **overrides)


def vectors(rows: Matrix = ROWS, total: int = ENOUGH) -> list[FeatureVector]:
    return [vector(session_id=f"s{at}", values=tuple(row), total_edges=total) for at, row in enumerate(rows.tolist())]


def explain(one: FeatureVector, **overrides: float) -> Explanation:
    own = judge(**overrides)
    return own.explain(one, *own.verdicts([one]))


def just_alerting(one: FeatureVector) -> Judge:
    """Return a judge whose threshold is a vector's score."""
    return judge(threshold_open=judge().verdicts([one])[0].score)


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


class TestLadder:
    """Rules, then a model: what a verdict rests on."""

    FEW, ENOUGH = 99, 100

    def test_rules_judge_until_the_tables_are_ready(self) -> None:
        own = judge(rules=RulePolicy(calls_per_minute=10))
        learning, ready = own.verdicts([vector(total_edges=total) for total in (self.FEW, self.ENOUGH)])
        assert (learning.leg, learning.model, learning.threshold) == (Leg.LEARNING, RULES_UID, THRESHOLD)
        assert learning.score == pytest.approx(16 / 26)  # 16 calls in less than a minute
        assert learning.anomalous
        assert (ready.leg, ready.model) == (Leg.TRAINED, make_bundle().uid)

    def test_a_session_within_all_limits_is_normal_while_the_tables_learn(self) -> None:
        (verdict,) = judge(rules=RulePolicy()).verdicts([vector(total_edges=self.FEW)])
        assert not verdict.anomalous

    def test_without_rules_nothing_is_anomalous_while_the_tables_learn(self) -> None:
        (verdict,) = judge(threshold_open=0.0).verdicts([vector(total_edges=self.FEW)])
        assert (verdict.leg, verdict.anomalous) == (Leg.TRAINED, False)

    def test_a_verdict_by_rules_is_explained_by_the_rules_that_were_broken(self) -> None:
        own, young = judge(rules=RulePolicy(calls_per_minute=8)), vector(total_edges=self.FEW)
        explained = own.explain(young, *own.verdicts([young]))
        assert [reason.sentence for reason in explained.reasons] == [
            "It made 16 calls a minute; the rule's limit is 8."
        ]

    def test_a_model_that_learnt_from_benign_sessions_alone_is_unsupervised(self) -> None:
        bundle = make_bundle()
        bundle = replace(
            bundle, manifest=msgspec.structs.replace(bundle.manifest, parameters={"model": "isolation-forest"})
        )
        (verdict,) = Judge(bundle).verdicts([vector(total_edges=ENOUGH)])
        assert verdict.leg is Leg.UNSUPERVISED


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
        (verdict,) = own.verdicts([one])
        effects = [item.contribution for item in own.explain(one, verdict).contributions]
        raw = sum(effects) + own.bundle.ensemble.expected
        score = verdict.score
        assert 1 / (1 + math.exp(-raw)) == pytest.approx(score, abs=1e-9)

    def test_features_come_in_the_order_and_words_of_the_schema(self) -> None:
        explained = explain(vectors()[0]).contributions
        assert [item.feature for item in explained] == list(SCHEMA.names)
        assert [item.meaning for item in explained] == [feature.meaning for feature in SCHEMA.features]

    def test_values_come_with_the_usual_range_and_their_unit(self) -> None:
        own = judge()
        one = vectors()[0]
        for at, item in enumerate(explain(one).contributions):
            assert item.value == one.values[at]
            assert (item.usual_low, item.usual_high) == own.bundle.reference.usual_range(at)
            assert (item.unit, item.group) == (SCHEMA.features[at].unit, SCHEMA.features[at].group)

    def test_a_missing_value_is_none_and_not_a_number(self) -> None:
        row, at = ROWS[0].copy(), SCHEMA.names.index("std_dest_share")
        row[at] = math.nan
        item = explain(vectors(row[None])[0]).contributions[at]
        assert (item.feature, item.value, item.direction) == ("std_dest_share", None, Direction.MISSING)

    @pytest.mark.parametrize(
        ("value", "direction"), [(0.0, Direction.BELOW), (6.0, Direction.WITHIN), (900.0, Direction.ABOVE)]
    )
    def test_the_direction_is_against_benign_sessions(self, value: float, direction: Direction) -> None:
        row = ROWS[0].copy()
        row[SCHEMA.names.index("n_apis")] = value
        explained = {item.feature: item for item in explain(vectors(row[None])[0]).contributions}
        assert explained["n_apis"].direction is direction

    @pytest.mark.parametrize("at", np.flatnonzero(ANOMALOUS)[:20].tolist())
    def test_the_other_value_keeps_the_score_under_the_threshold_that_was_applied(self, at: int) -> None:
        one = vectors()[at]
        own = just_alerting(one)
        (verdict,) = own.verdicts([one])
        found = own.explain(one, verdict).counterfactual
        assert found is not None
        values = list(one.values)
        assert found.value == values[SCHEMA.names.index(found.feature)]
        values[SCHEMA.names.index(found.feature)] = found.enough
        (other,) = own.verdicts([msgspec.structs.replace(one, values=tuple(values))])
        assert verdict.score >= verdict.threshold > other.score
        assert other.score == pytest.approx(found.score, rel=1e-12)

    @pytest.mark.parametrize("at", np.flatnonzero(ANOMALOUS)[:20].tolist())
    def test_the_other_value_is_told_beside_its_feature(self, at: int) -> None:
        one = vectors()[at]
        own = just_alerting(one)
        explained = own.explain(one, *own.verdicts([one]))
        hinted = [reason for reason in explained.reasons if "alone would have kept it" in reason.sentence]
        assert explained.counterfactual is not None
        assert [reason.feature for reason in hinted] == [explained.counterfactual.feature]
        assert hinted[0] in foremost(explained.reasons)

    def test_what_is_under_the_threshold_needs_no_other_value(self) -> None:
        assert explain(vectors()[int(ANOMALOUS.argmin())]).counterfactual is None

    def test_there_is_no_other_value_when_none_would_be_enough(self) -> None:
        assert explain(vectors()[int(ANOMALOUS.argmax())], threshold_open=1e-9).counterfactual is None

    def test_a_count_is_asked_to_be_another_count(self) -> None:
        judges = ((just_alerting(one), one) for one in vectors()[:100])
        found = [own.explain(one, *own.verdicts([one])).counterfactual for own, one in judges]
        counts = [other.enough for other in found if other and other.feature in COUNTS]
        assert counts
        assert all(count.is_integer() for count in counts)
