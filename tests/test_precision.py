"""Precision of models, from what people said of the sessions that they alerted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.feedback import Said, SessionLabel
from scorer.judged import Share
from scorer.precision import precision_by_model

ROUNDING = 1e-12


def said(**verdicts: Said) -> dict[str, SessionLabel]:
    return {name: SessionLabel(name, verdict, 0) for name, verdict in verdicts.items()}


def test_a_session_counts_once_a_model_and_only_labelled_ones_make_the_precision() -> None:
    alerts = [("m1", "a"), ("m1", "a"), ("m1", "b"), ("m2", "a"), ("m1", "c"), ("m1", "d"), ("m1", "e"), ("m3", "f")]
    labels = said(a=Said.TRUE_POSITIVE, b=Said.FALSE_POSITIVE, c=Said.BENIGN, d=Said.TEST, elsewhere=Said.TRUE_POSITIVE)
    first, second, third = precision_by_model(alerts, labels)
    assert (first.model, first.alerted, first.attacks, first.others, first.tests, first.unlabelled) == (
        "m1",
        5,
        1,
        2,
        1,
        1,
    )
    assert first.precision == pytest.approx(1 / 3)
    assert (second.model, second.precision, second.unlabelled) == ("m2", 1.0, 0)
    assert (third.precision, third.low, third.high, third.unlabelled) == (None, None, None, 1)


def test_no_alerts_have_no_precision() -> None:
    assert precision_by_model([], said(a=Said.BENIGN)) == []


@given(st.integers(1, 10_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_an_interval_holds_the_share_and_stays_between_0_and_1(case: tuple[int, int]) -> None:
    hits, trials = case
    low, high = Share(hits, trials).interval
    assert 0 <= low < high <= 1
    assert low - ROUNDING <= hits / trials <= high + ROUNDING


def test_an_interval_is_the_published_one() -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 0 of 20, 1 of 29."""
    for (hits, trials), bounds in {
        (81, 263): (0.2553, 0.3662),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert Share(hits, trials).interval == pytest.approx(bounds, abs=5e-5)
