"""Severity: by the score, moved by what was called and how that was answered."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.features import GATEWAY_V1, FeatureVector
from scorer.severity import Factor, Grade, Severity, SeverityPolicy, Worth
from stream import assembly
from stream.settings import load_settings
from tests.alerting import VECTOR

PLAIN = SeverityPolicy()
TABLE = SeverityPolicy(endpoints=(("GET /admin/health", Worth.LOW), ("* /admin/*", Worth.HIGH), ("GET /*", Worth.LOW)))
unit = st.floats(0, 1)


def answered(refused: float, broken: float = 0.0) -> FeatureVector:
    """Return a vector of a session with these shares of 4xx and 5xx."""
    values = dict.fromkeys(GATEWAY_V1.names, 0.5) | {"client_error_share": refused, "server_error_share": broken}
    return msgspec.structs.replace(VECTOR, schema=GATEWAY_V1.fingerprint, values=tuple(values.values()))


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (0.0, Severity.LOW),
        (0.6999, Severity.LOW),
        (0.7, Severity.MEDIUM),
        (0.8499, Severity.MEDIUM),
        (0.85, Severity.HIGH),
        (0.9499, Severity.HIGH),
        (0.95, Severity.CRITICAL),
        (1.0, Severity.CRITICAL),
    ],
)
def test_each_severity_begins_at_its_score(score: float, severity: Severity) -> None:
    assert PLAIN.by_score(score) is severity


@given(
    scores=st.tuples(unit, unit),
    cuts=st.tuples(unit, unit, unit).map(sorted),
    refused=unit,
    called=st.sets(st.sampled_from(["GET /a", "GET /admin/x", "GET /admin/health", "POST /b"])),
    steps=st.tuples(*[st.integers(-3, 3)] * 4),
    whole=st.booleans(),
)
def test_a_higher_score_is_never_less_severe(
    scores: tuple[float, float],
    cuts: list[float],
    refused: float,
    called: set[str],
    steps: tuple[int, ...],
    *,
    whole: bool,
) -> None:
    names = ("sensitive_steps", "harmless_steps", "failed_steps", "succeeded_steps")
    levels = dict(zip(("medium", "high", "critical"), cuts, strict=True))
    policy = msgspec.structs.replace(TABLE, **levels, **dict(zip(names, steps, strict=True)))
    low, high = (policy.grade(answered(refused), score, called, whole=whole) for score in sorted(scores))
    assert low.severity.rank <= high.severity.rank
    assert low.factors == high.factors
    assert (low.severity is low.by_score) == (low.sentence == "")


def test_nothing_moves_it_where_nothing_is_known() -> None:
    """Of a vector without answers, or without a record of them, and without a table of endpoints."""
    for vector in (VECTOR, answered(math.nan, math.nan)):
        grade = PLAIN.grade(vector, 0.9, {"DELETE /users"}, whole=True)
        assert (grade.severity, grade.factors, grade.sentence) == (Severity.HIGH, (), "")


@pytest.mark.parametrize(
    ("refused", "broken", "severity"),
    [
        (0.8, 0.0, Severity.MEDIUM),
        (0.79, 0.0, Severity.HIGH),
        (0.0, 0.0, Severity.HIGH),
        (0.0, 1.0, Severity.HIGH),
    ],
)
def test_calls_that_mostly_failed_lower_it(refused: float, broken: float, severity: Severity) -> None:
    assert PLAIN.grade(answered(refused, broken), 0.9).severity is severity


def test_calls_that_mostly_succeeded_raise_it_where_that_is_wanted() -> None:
    policy = msgspec.structs.replace(PLAIN, succeeded_steps=1)
    grade = policy.grade(answered(0.1, 0.05), 0.7)
    assert (grade.by_score, grade.severity) == (Severity.MEDIUM, Severity.HIGH)
    assert grade.sentence == "Its severity is high instead of medium, because 85 % of its calls succeeded."
    assert policy.grade(answered(0.1, 0.2), 0.7).factors == ()


@pytest.mark.parametrize(
    ("called", "whole", "severity"),
    [
        ({"GET /a", "POST /admin/x"}, False, Severity.CRITICAL),
        ({"GET /a", "GET /b"}, True, Severity.MEDIUM),
        ({"GET /a", "GET /b"}, False, Severity.HIGH),
        ({"GET /a", "POST /b"}, True, Severity.HIGH),
        ({"GET /admin/health"}, True, Severity.MEDIUM),
        (set(), True, Severity.HIGH),
    ],
)
def test_one_sensitive_endpoint_raises_it_and_only_harmless_ones_lower_it(
    called: set[str], severity: Severity, *, whole: bool
) -> None:
    assert TABLE.grade(VECTOR, 0.9, called, whole=whole).severity is severity


def test_what_moves_it_adds_up_and_is_told() -> None:
    grade = TABLE.grade(answered(0.9), 0.9, {"POST /admin/y", "POST /admin/x"})
    assert (grade.severity, grade.sentence) == (Severity.HIGH, "")
    assert [(own.name, own.steps) for own in grade.factors] == [("sensitive", 1), ("failed", -1)]
    lowered = TABLE.grade(answered(0.9), 0.99, {"GET /a"}, whole=True)
    assert lowered.sentence == (
        "Its severity is medium instead of critical, because it called harmless endpoints only and 90 % of its calls "
        "were answered 4xx."
    )


@pytest.mark.parametrize("factors", [(), (Factor("failed", -1, "90 % of its calls were answered 4xx"),)])
def test_an_alert_published_again_gives_no_reason_for_a_severity_that_it_had_by_another_score(
    factors: tuple[Factor, ...],
) -> None:
    assert Grade(Severity.CRITICAL, Severity.HIGH, factors).sentence == ""


def test_it_ends_at_low_and_at_critical() -> None:
    assert TABLE.grade(answered(1.0), 0.0, {"GET /a"}, whole=True).severity is Severity.LOW
    assert TABLE.grade(VECTOR, 1.0, {"GET /admin/x"}).severity is Severity.CRITICAL


def test_the_table_is_that_of_the_settings() -> None:
    endpoints = {"DELETE *": "high", "GET /health": "low"}
    settings = load_settings(overrides={"alerts.severity.endpoints": endpoints, "alerts.severity.failed_steps": -2})
    assert assembly.severity_policy(settings) == SeverityPolicy(
        endpoints=(("DELETE *", Worth.HIGH), ("GET /health", Worth.LOW)), failed_steps=-2
    )
    assert assembly.severity_policy(load_settings()) == SeverityPolicy()
