"""A challenger judges what the champion judges, counts what it would have alerted, and changes nothing."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import Occasion
from featurizer.sessions import CloseReason, SessionPolicy
from scorer.alerts import AlertHistory, AlertKind, AlertPolicy, Decision, alert_kind
from scorer.challenger import WouldBeAlerts
from scorer.judge import Judge
from scorer.severity import Severity
from stream.batches import Batch
from stream.challenger import Challenger
from stream.pipeline import Detector
from stream.records import TopicPartition
from tests.alerting import vector, verdict_of
from tests.model_factory import make_bundle
from tests.records import CALLS, NOW, OTHER, PlainJudge, make_detector, plain_judge, run, walk

POLICY = AlertPolicy(cooldown=10_000)
ENDPOINTS = "abcdefghijklmnop"


def other_judge(**thresholds: float) -> PlainJudge:
    """Return a plain judge of another bundle."""
    limits: dict[str, Any] = {"threshold_open": 0.3, "threshold_closed": 0.3, **thresholds}
    return PlainJudge(make_bundle(seed=1), minimum_edges=0, **limits)


def detector_with(challenger: Judge | None, *assigned: TopicPartition, **options: Any) -> Detector:
    detector = make_detector(*assigned, alerts=POLICY, **options)
    detector.challenger = None if challenger is None else Challenger(challenger, POLICY)
    return detector


def outputs(batch: Batch) -> object:
    """Return all that a batch leads to, the challenger's part aside."""
    return (batch.verdicts, batch.alerts, batch.decisions, [mark for _, mark in batch.marks], batch.positions)


def test_there_is_a_second_verdict_for_each_sample() -> None:
    batch = run(detector_with(other_judge()), walk(ENDPOINTS))
    assert [own.session_id for own in batch.challenger_verdicts] == [own.session_id for own in batch.verdicts]
    assert {own.model for own in batch.challenger_verdicts} == {make_bundle(seed=1).uid}
    assert {own.model for own in batch.verdicts} == {make_bundle().uid}


def test_without_a_challenger_there_is_nothing_of_it() -> None:
    batch = run(detector_with(None), walk(ENDPOINTS))
    assert (batch.challenger_verdicts, batch.challenger_alerts) == ([], [])


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob"]), st.text("abcdef", min_size=1, max_size=12), st.integers(0, 9000)),
        max_size=8,
    ),
    st.floats(0, 1),
)
def test_only_the_champion_alerts(visits: list[tuple[str, str, int]], threshold: float) -> None:
    """Whatever the challenger says, everything else is as without it."""
    detectors = [detector_with(own) for own in (None, other_judge(threshold_open=threshold))]
    offset, start = 0, NOW
    for client, endpoints, pause in visits:
        records = walk(endpoints, client, start, offset)
        assert outputs(run(detectors[0], records)) == outputs(run(detectors[1], records))
        offset, start = offset + len(records), start + len(records) + pause
    alone, beside = (own.finish([CALLS], CloseReason.END_OF_INPUT) for own in detectors)
    assert outputs(alone) == outputs(beside)
    assert detectors[0].degrees.snapshot() == detectors[1].degrees.snapshot()


def test_a_quieter_challenger_would_have_alerted_less() -> None:
    """Eight calls make seven edges: 0.7 by both judges."""
    batch = run(detector_with(other_judge(threshold_open=0.9)), walk("abcdefgh"))
    assert ([alert.kind for alert in batch.alerts], batch.challenger_alerts) == ([AlertKind.EARLY], [])


def test_a_louder_challenger_would_have_alerted_more() -> None:
    detector = detector_with(other_judge(), judge=plain_judge(threshold_open=0.9, threshold_closed=0.9))
    batch = run(detector, walk("abcdefgh"))
    assert (batch.alerts, batch.challenger_alerts) == ([], [(AlertKind.EARLY, Severity.MEDIUM)])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob"]), st.text("abcdef", min_size=1, max_size=20), st.integers(0, 20_000)),
        max_size=8,
    )
)
def test_the_champion_s_twin_would_have_raised_the_champion_s_alerts(visits: list[tuple[str, str, int]]) -> None:
    policy = SessionPolicy(gap=3000, lateness=0, linger=0, quiet=500)
    detector = detector_with(other_judge(), CALLS, OTHER, sessions=policy)
    offset, start, batches = 0, NOW, []
    for at, (client, endpoints, pause) in enumerate(visits):
        records = walk(endpoints, client, start, offset, source=(CALLS, OTHER)[at % 2])
        batches.append(run(detector, records))
        offset, start = offset + len(records), start + len(records) + pause
    batches.append(detector.finish([CALLS, OTHER], CloseReason.END_OF_INPUT))
    for batch in batches:
        assert batch.challenger_alerts == [(own.kind, own.severity) for own in batch.alerts]


def test_another_challenger_begins_anew() -> None:
    detector = detector_with(other_judge())
    assert len(run(detector, walk("abcdefgh")).challenger_alerts) == 1
    detector.challenger = Challenger(plain_judge(), POLICY)
    again = run(detector, walk("abcdefghabcdefgh"[8:], first=8, start=NOW + 8))
    assert [(own.occasion, own.model) for own in again.challenger_verdicts] == [(Occasion.GROWING, make_bundle().uid)]
    assert len(again.challenger_alerts) == 1


def test_a_partition_that_is_given_up_takes_what_is_remembered_along() -> None:
    detector = detector_with(other_judge())
    run(detector, walk("abcdefgh"))
    detector.release([CALLS])
    assert detector.assign(CALLS).would_be is None


def test_a_session_s_end_is_forgotten() -> None:
    """Memory is bounded by the open sessions."""
    alerts = WouldBeAlerts("m", POLICY)
    for at in range(50):
        own = vector(session_id=f"s{at}", client=f"c{at}")
        assert alerts.decide(verdict_of(own), own, at, Severity.LOW)
        assert not alerts.decide(verdict_of(own), own, at, Severity.LOW)
        ended = vector(session_id=f"s{at}", client=f"c{at}", occasion=Occasion.CLOSED)
        assert alerts.decide(verdict_of(ended), ended, at, Severity.LOW)
    last = vector(session_id="last", client="last")
    alerts.decide(verdict_of(last, score=0.0), last, 1_000_000, Severity.LOW)
    assert (alerts._early, len(alerts._history), alerts._history.changed) == ({}, 0, set())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(list(Occasion)), st.floats(0, 1)), max_size=12))
def test_would_be_alerts_follow_the_champion_s_policy(takes: list[tuple[str, Occasion, float]]) -> None:
    """Against the history and the flags that the pipeline keeps on sessions; a session ends once."""
    policy = AlertPolicy(cooldown=10_000, budget=4)
    alerts, history = WouldBeAlerts("m", policy), AlertHistory(policy)
    numbers: dict[str, int] = {"a": 0, "b": 0}
    flagged: dict[str, Severity] = {}
    for at, (client, occasion, score) in enumerate(takes):
        now, session = at * 3000, f"{client}{numbers[client]}"
        own = vector(session_id=session, client=client, occasion=occasion)
        verdict = verdict_of(own, score=score)
        history.forget(now)
        severity, alerted = policy.severity.by_score(score), flagged.get(session)
        decision = history.decide(
            verdict, own, now, severity, early=alerted is not None, closing=False, alerted=alerted
        )
        history.follow(decision, client, now, session)
        kind = alert_kind(occasion, follows=alerted is not None) if decision is Decision.ALERT else None
        assert alerts.decide(verdict, own, now, severity) == kind
        if decision is Decision.ALERT:
            flagged[session] = severity
        numbers[client] += occasion is Occasion.CLOSED
