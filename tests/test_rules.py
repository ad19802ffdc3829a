"""Rules: simple limits that hold before a model can judge."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.features import ACCESS_BEHAVIOUR_V1, GATEWAY_V1, FeatureVector
from scorer.rules import RULES, THRESHOLD, RulePolicy, explain_rules, rule_score
from tests.alerting import vector

POLICY = RulePolicy()


def session(calls: int = 40, seconds: float = 600.0, **values: float) -> FeatureVector:
    """A session of which only some values are known."""
    return msgspec.structs.replace(
        vector(),
        schema=GATEWAY_V1.fingerprint,
        values=tuple(values.get(name, math.nan) for name in GATEWAY_V1.names),
        calls=calls,
        start=1_000_000,
        end=1_000_000 + round(seconds * 1000),
        total_edges=POLICY.unexpected_edges,
    )


def test_a_session_that_breaks_no_rule_stays_under_the_threshold() -> None:
    quiet = session(denied_share=0.1, not_found_share=0.1, unexpected_share=0.05, max_objects=9)
    assert rule_score(quiet, POLICY) < THRESHOLD
    assert explain_rules(quiet, POLICY).reasons == ()


@pytest.mark.parametrize(
    ("broken", "under", "sentence"),
    [
        (
            session(calls=321, unexpected_share=0.05),
            session(calls=320, unexpected_share=0.05),
            "It took 16 steps that hardly anyone takes; the rule's limit is 16.",
        ),
        (
            session(calls=6000, seconds=600),
            session(calls=5999, seconds=600),
            "It made 600 calls a minute; the rule's limit is 600.",
        ),
        (
            session(calls=40, denied_share=0.25),
            session(calls=39, denied_share=0.25),
            "It was refused 10 times (401 or 403); the rule's limit is 10.",
        ),
        (
            session(calls=40, not_found_share=0.5),
            session(calls=39, not_found_share=0.5),
            "It found nothing 20 times (404); the rule's limit is 20.",
        ),
        (
            session(max_objects=500),
            session(max_objects=499),
            "It asked for 500 different objects on one route; the rule's limit is 500.",
        ),
    ],
)
def test_each_rule_is_broken_at_its_limit(broken: FeatureVector, under: FeatureVector, sentence: str) -> None:
    assert rule_score(broken, POLICY) == pytest.approx(THRESHOLD)
    assert rule_score(under, POLICY) < THRESHOLD
    assert [reason.sentence for reason in explain_rules(broken, POLICY).reasons] == [sentence]


def test_no_step_is_unexpected_before_the_tables_hold_some() -> None:
    lost = session(calls=1000, seconds=6000, unexpected_share=0.9)
    assert rule_score(lost, POLICY) > THRESHOLD
    assert rule_score(msgspec.structs.replace(lost, total_edges=POLICY.unexpected_edges - 1), POLICY) < THRESHOLD


def test_a_burst_shorter_than_a_minute_is_counted_over_a_minute() -> None:
    assert rule_score(session(calls=599, seconds=1), POLICY) < THRESHOLD
    assert rule_score(session(calls=600, seconds=1), POLICY) == THRESHOLD


def test_a_vector_that_does_not_tell_breaks_only_what_calls_and_time_tell() -> None:
    shape_only = msgspec.structs.replace(
        session(calls=600, seconds=60), schema=ACCESS_BEHAVIOUR_V1.fingerprint, values=(1.0,) * 23
    )
    assert [reason.feature for reason in explain_rules(shape_only, POLICY).reasons] == ["calls_per_minute"]


@given(
    values=st.fixed_dictionaries(
        {name: st.floats(0, 1) for name in ("denied_share", "not_found_share", "unexpected_share")}
        | {"max_objects": st.floats(0, 1000)}
    ),
    calls=st.integers(1, 10_000),
    seconds=st.floats(0, 86_400),
)
def test_the_score_reaches_the_threshold_just_when_a_rule_is_broken(
    values: dict[str, float], calls: int, seconds: float
) -> None:
    own = session(calls=calls, seconds=seconds, **values)
    told = explain_rules(own, POLICY)
    score = rule_score(own, POLICY)
    assert 0 <= score < 1
    assert (score >= THRESHOLD) == bool(told.reasons)
    assert [item.contribution for item in told.contributions] == sorted(
        (item.contribution for item in told.contributions), reverse=True
    )
    if told.contributions:
        assert told.contributions[0].contribution == pytest.approx(math.log(score / (1 - score)), abs=1e-6)


def test_every_limit_has_a_rule() -> None:
    assert {*RULES, "unexpected_edges"} == set(RulePolicy.__struct_fields__)
