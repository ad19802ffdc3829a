"""Precision of models, from what people said of the sessions that they alerted."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.feedback import UNNAMED, Said, SessionLabel
from scorer.judged import Share
from scorer.precision import MOST_MODELS, LabelTally, attacks_among, precision_by_model

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


Taken = tuple[str, SessionLabel | None]


def told(session: str, verdict: Said, model: str, time: int = 0) -> Taken:
    return session, SessionLabel(session, verdict, time, model=model)


def tally(*labels: Taken) -> LabelTally:
    made = LabelTally()
    for session, label in labels:
        made.take(session, label)
    return made


def test_of_a_session_the_latest_label_counts_and_none_once_it_is_taken_back() -> None:
    counts = tally(
        told("a", Said.BENIGN, "m1"),
        told("b", Said.TRUE_POSITIVE, "m1"),
        told("a", Said.FALSE_POSITIVE, "m2"),
        told("c", Said.TEST, "m2"),
        told("d", Said.TRUE_POSITIVE, "m3"),
        ("d", None),
        ("never labelled", None),
    ).by_model()
    assert counts == {"m1": {Said.TRUE_POSITIVE: 1}, "m2": {Said.FALSE_POSITIVE: 1, Said.TEST: 1}}


def test_a_label_that_names_no_model_is_counted_apart() -> None:
    assert tally(told("a", Said.BENIGN, "")).by_model() == {UNNAMED: {Said.BENIGN: 1}}


def test_the_models_that_were_labelled_last_are_counted_and_no_more() -> None:
    labels = [told(f"s{at}", Said.BENIGN, f"m{at}", time=at) for at in range(MOST_MODELS + 3)]
    again = told("again", Said.BENIGN, "m0", time=MOST_MODELS + 3)
    assert set(tally(*labels, again).by_model()) == {"m0", *(f"m{at}" for at in range(4, MOST_MODELS + 3))}


def test_a_model_called_by_a_whole_text_is_cut() -> None:
    (model,) = tally(told("a", Said.BENIGN, "x" * 10_000)).by_model()
    assert len(model) < 200


sessions = st.sampled_from(["a", "b", "c", "d"])
said_of_one = st.builds(told, sessions, st.sampled_from(Said), st.sampled_from(["", "m1", "m2"]), st.integers(0, 9))
labels_of_sessions = st.lists(st.one_of(said_of_one, st.tuples(sessions, st.none())), max_size=15)


@given(labels_of_sessions)
def test_workers_that_read_the_topic_compacted_say_the_same(labels: Sequence[Taken]) -> None:
    assert tally(*labels).by_model() == tally(*dict(labels).items()).by_model()


@given(labels_of_sessions)
def test_the_tally_agrees_with_the_summary_of_the_alerts_that_were_labelled(labels: Sequence[Taken]) -> None:
    latest = {session: label for session, label in dict(labels).items() if label is not None}
    summary = precision_by_model(((own.model or UNNAMED, name) for name, own in latest.items()), latest)
    counts = tally(*labels).by_model()
    assert counts.keys() == {own.model for own in summary}
    for own in summary:
        share = attacks_among(counts[own.model])
        assert (share.hits, share.of - share.hits) == (own.attacks, own.others)
        assert counts[own.model][Said.TEST] == own.tests
