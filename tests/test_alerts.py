"""Which verdicts become alerts, and what an alert says."""

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.features import Occasion
from scorer.alerts import (
    AlertHistory,
    AlertKind,
    AlertPolicy,
    Decision,
    alert_kind,
    alert_uid,
)
from scorer.budget import HOUR_MS, Overflow
from scorer.reasons import Direction, Explanation
from scorer.severity import Severity, SeverityPolicy, Worth
from scorer.verdicts import Leg, Readiness
from tests.alerting import (
    COUNTERFACTUAL,
    EXPLANATION,
    MANY,
    PLAIN,
    RARE,
    REASONS,
    UNKNOWN,
    VECTOR,
    VERDICT,
    alert_of,
    vector,
    verdict_of,
)

NOON = 1_700_000_000_000
MINUTE = 60_000
OCCASIONS = st.sampled_from(list(Occasion))


class Judged:
    """A history together with the marks that sessions carry, as the pipeline keeps them."""

    def __init__(self, cooldown: int = 10 * MINUTE, **policy: Any) -> None:
        self.history = AlertHistory(AlertPolicy(cooldown=cooldown, **policy))
        self.alerted: dict[tuple[str, AlertKind], Severity] = {}

    def decide(
        self,
        now: int,
        session_id: str = "s1",
        occasion: Occasion = Occasion.GROWING,
        client: str = "ann",
        severity: Severity = Severity.LOW,
        **verdict: float | Readiness,
    ) -> Decision:
        own = vector(session_id=session_id, occasion=occasion, client=client)
        early, closing = (self.alerted.get((session_id, kind)) for kind in (AlertKind.EARLY, AlertKind.CLOSING))
        decision = self.history.decide(
            verdict_of(own, **verdict),
            own,
            now,
            severity,
            early=early is not None,
            closing=closing is not None,
            alerted=early,
        )
        self.history.follow(decision, client, now, session_id)
        if decision is Decision.ALERT:
            self.alerted[session_id, alert_kind(occasion)] = severity
        return decision


def test_an_anomalous_verdict_alerts() -> None:
    assert Judged().decide(NOON) is Decision.ALERT


@pytest.mark.parametrize(("score", "decision"), [(0.6, Decision.ALERT), (0.5999, Decision.NORMAL)])
def test_the_threshold_itself_is_anomalous(score: float, decision: Decision) -> None:
    assert Judged().decide(NOON, score=score) is decision


def test_a_learning_verdict_never_alerts() -> None:
    assert Judged().decide(NOON, score=1.0, readiness=Readiness.LEARNING) is Decision.NORMAL


def test_an_open_session_alerts_once_and_once_more_at_its_end() -> None:
    judged = Judged()
    assert judged.decide(NOON) is Decision.ALERT
    assert judged.decide(NOON + 1) is Decision.REPEATED
    assert judged.decide(NOON + 60 * MINUTE, occasion=Occasion.QUIET) is Decision.REPEATED
    assert judged.decide(NOON + 61 * MINUTE, occasion=Occasion.CLOSED) is Decision.ALERT
    assert judged.decide(NOON + 61 * MINUTE, occasion=Occasion.CLOSED) is Decision.REPEATED


def test_the_cooldown_holds_back_the_client_s_other_sessions() -> None:
    judged = Judged()
    assert judged.decide(NOON, "s1") is Decision.ALERT
    assert judged.decide(NOON + 10 * MINUTE - 1, "s2") is Decision.COOLDOWN
    assert judged.decide(NOON + 10 * MINUTE, "s2") is Decision.ALERT


def test_the_cooldown_does_not_hold_back_the_session_s_own_closing_alert() -> None:
    judged = Judged()
    judged.decide(NOON)
    assert judged.decide(NOON + 1, occasion=Occasion.CLOSED) is Decision.ALERT


def test_other_clients_do_not_wait() -> None:
    judged = Judged()
    judged.decide(NOON, "s1", client="ann")
    assert judged.decide(NOON, "s2", client="bob") is Decision.ALERT


def test_a_suppressed_alert_does_not_prolong_the_cooldown() -> None:
    judged = Judged()
    judged.decide(NOON, "s1")
    judged.decide(NOON + 9 * MINUTE, "s2")
    assert judged.decide(NOON + 10 * MINUTE, "s2") is Decision.ALERT


def test_a_cooldown_runs_from_the_alert_not_from_the_end_of_the_session() -> None:
    """A closed session's end lies a gap behind the clock, and its alert comes only now."""
    judged = Judged()
    closed = vector(session_id="s1", occasion=Occasion.CLOSED, end=NOON - 30 * MINUTE)
    decision = judged.history.decide(verdict_of(closed), closed, NOON, Severity.LOW, early=False, closing=False)
    assert decision is Decision.ALERT
    judged.history.follow(decision, closed.client, NOON, closed.session_id)
    judged.history.forget(NOON + 5 * MINUTE)
    assert judged.decide(NOON + 5 * MINUTE, "s2", client=closed.client) is Decision.COOLDOWN


moments = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.sampled_from([0, 9 * MINUTE, 10 * MINUTE, 11 * MINUTE])),
        st.sampled_from(["s1", "s2", "s3", "s4"]),
        OCCASIONS,
        st.floats(0, 1),
        st.sampled_from(list(Readiness)),
        st.booleans(),
    ),
    max_size=40,
)


@given(moments=moments, cooldown=st.sampled_from([0, 1, 10 * MINUTE]))
def test_no_session_gets_more_than_one_early_and_one_closing_alert(
    moments: list[tuple[int, str, Occasion, float, Readiness, bool]], cooldown: int
) -> None:
    judged, forgetful, now = Judged(cooldown), Judged(cooldown), NOON
    alerts: list[tuple[int, str, str, AlertKind]] = []
    for later, session_id, occasion, score, readiness, forgetting in moments:
        now += later
        client = "ann" if session_id in {"s1", "s2"} else "bob"
        decision = judged.decide(now, session_id, occasion, client, score=score, readiness=readiness)
        if forgetting:
            forgetful.history.forget(now)
        assert forgetful.decide(now, session_id, occasion, client, score=score, readiness=readiness) is decision
        assert (decision is Decision.NORMAL) == (score < 0.6 or readiness is Readiness.LEARNING)
        if decision is Decision.ALERT:
            alerts.append((now, client, session_id, alert_kind(occasion)))
    assert max(Counter((session_id, kind) for _, _, session_id, kind in alerts).values(), default=0) <= 1
    for who in ("ann", "bob"):
        own = [(time, session_id) for time, client, session_id, _ in alerts if client == who]
        assert all(one[1] == two[1] or two[0] - one[0] >= cooldown for one, two in pairwise(own))


@given(gaps=st.lists(st.integers(0, 5 * MINUTE), max_size=60))
def test_the_history_holds_only_clients_in_their_cooldown(gaps: list[int]) -> None:
    judged, now, alerted = Judged(), NOON, []
    for number, gap in enumerate(gaps):
        now += gap
        judged.history.forget(now)
        assert judged.decide(now, f"s{number}", client=f"client {number}") is Decision.ALERT
        alerted.append(now)
        assert len(judged.history) == sum(now - time < 10 * MINUTE for time in alerted)
    judged.history.forget(now + 10 * MINUTE)
    assert len(judged.history) == 0


def test_an_open_vector_after_the_closing_alert_is_a_repetition() -> None:
    own = vector()
    history = AlertHistory(AlertPolicy())
    for severity in Severity:
        decision = history.decide(verdict_of(own), own, NOON, severity, early=True, closing=True, alerted=Severity.LOW)
        assert decision is Decision.REPEATED


def test_a_client_alerted_anew_is_forgotten_by_its_last_alert_and_does_not_keep_others() -> None:
    judged = Judged()
    judged.decide(NOON, "s1", client="ann")
    judged.decide(NOON + 1, "s2", client="bob")
    judged.decide(NOON + 5 * MINUTE, "s1", Occasion.CLOSED, client="ann")
    judged.history.forget(NOON + 11 * MINUTE)
    assert len(judged.history) == 1
    assert judged.decide(NOON + 11 * MINUTE, "s3", client="ann") is Decision.COOLDOWN
    assert judged.decide(NOON + 11 * MINUTE, "s4", client="bob") is Decision.ALERT


def test_an_early_alert_is_of_an_open_session() -> None:
    kinds = {occasion: alert_kind(occasion) for occasion in Occasion}
    assert kinds == {
        Occasion.GROWING: AlertKind.EARLY,
        Occasion.QUIET: AlertKind.EARLY,
        Occasion.CLOSED: AlertKind.CLOSING,
    }


class TestUid:
    @given(
        st.tuples(st.text(), st.text(), st.sampled_from(list(AlertKind)), st.text(), st.sampled_from(list(Severity)))
    )
    def test_it_is_deterministic(self, name: tuple[str, str, AlertKind, str, Severity]) -> None:
        assert alert_uid(*name) == alert_uid(*name)
        assert len(alert_uid(*name)) == 32

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["ann", "ann1", "bob"]),
                st.sampled_from(["1", "11", "2"]),
                st.sampled_from(list(AlertKind)),
                st.sampled_from(["a", "1a"]),
            ),
            unique=True,
        )
    )
    def test_different_alerts_have_different_ones(self, names: list[tuple[str, str, AlertKind, str]]) -> None:
        assert len({alert_uid(*name, Severity.LOW) for name in names}) == len(names)

    def test_it_stays_the_same_in_every_version(self) -> None:
        """Consumers that see an alert again after an upgrade must know it."""
        for severity in Severity:
            found = alert_uid("ann", "s1", AlertKind.EARLY, "model-1", severity)
            assert found == "4f1f7f6ea0b65db1550344e5fffbbec2"

    def test_each_rise_of_a_session_s_severity_has_its_own(self) -> None:
        uids = {alert_uid("ann", "s1", AlertKind.RAISED, "model-1", severity) for severity in Severity}
        assert len(uids) == len(Severity)

    def test_an_alert_carries_it(self) -> None:
        alert = alert_of()
        assert alert.uid == alert_uid("user:ann", "5e551010", AlertKind.EARLY, "test-0123456789ab", Severity.HIGH)


class TestRise:
    def test_an_open_session_that_becomes_more_severe_alerts_again(self) -> None:
        judged = Judged()
        assert judged.decide(NOON, severity=Severity.MEDIUM) is Decision.ALERT
        assert judged.decide(NOON + 1, severity=Severity.MEDIUM) is Decision.REPEATED
        assert judged.decide(NOON + 2, severity=Severity.LOW) is Decision.REPEATED
        assert judged.decide(NOON + 3, severity=Severity.CRITICAL) is Decision.ALERT
        assert judged.decide(NOON + 4, severity=Severity.HIGH) is Decision.REPEATED

    def test_one_whose_severity_is_not_known_does_not(self) -> None:
        """It was alerted by a version that did not keep it."""
        own = vector()
        decision = AlertHistory(AlertPolicy()).decide(
            verdict_of(own), own, NOON, Severity.CRITICAL, early=True, closing=False
        )
        assert decision is Decision.REPEATED

    def test_the_alert_says_that_it_follows(self) -> None:
        alert = alert_of(follows=True)
        assert (alert.kind, alert.follows) == (AlertKind.RAISED, True)
        assert alert.uid not in {alert_of().uid, alert_of(vector(occasion=Occasion.CLOSED)).uid}


def test_an_alert_has_the_severity_of_its_grade_and_says_what_moved_it() -> None:
    assert (alert_of().severity, alert_of().grade.factors) == (Severity.HIGH, ())
    assert alert_of(verdict=verdict_of(VECTOR, score=0.96)).severity is Severity.CRITICAL
    policy = AlertPolicy(severity=SeverityPolicy(endpoints=(("DELETE *", Worth.HIGH),)))
    moved = alert_of(grade=policy.severity.grade(VECTOR, 0.875, {"GET /a", "DELETE /users/{id}"}))
    assert moved.severity is Severity.CRITICAL
    assert moved.message.endswith(
        "Its severity is critical instead of high, because it called DELETE /users/{id}, which is sensitive."
    )


class TestBudget:
    def test_beyond_it_nothing_is_alerted_until_the_next_hour(self) -> None:
        judged = Judged(budget=2)
        last = NOON // HOUR_MS * HOUR_MS + HOUR_MS - 1
        decisions = [judged.decide(last, f"s{at}", client=f"c{at}") for at in range(4)]
        assert decisions == [Decision.ALERT, Decision.ALERT, Decision.BUDGET, Decision.BUDGET]
        assert judged.decide(last + 1, "s2", client="c2") is Decision.ALERT

    def test_what_it_held_back_begins_no_cooldown(self) -> None:
        judged = Judged(budget=1)
        judged.decide(NOON, "s1", client="ann")
        assert judged.decide(NOON, "s2", client="bob") is Decision.BUDGET
        assert judged.decide(NOON + HOUR_MS, "s3", client="bob") is Decision.ALERT

    @pytest.mark.parametrize(
        ("exempt", "decision"),
        [(Severity.HIGH, Decision.ALERT), (Severity.CRITICAL, Decision.BUDGET), (None, Decision.BUDGET)],
    )
    def test_exempt_severities_are_alerted_whatever_it_says(self, exempt: Severity | None, decision: Decision) -> None:
        judged = Judged(budget=1, budget_exempt=exempt)
        judged.decide(NOON, "s1", client="ann")
        assert judged.decide(NOON, "s2", client="bob", severity=Severity.HIGH) is decision

    def test_alerts_tell_when_it_is_spent_and_how_much_was_held_back(self) -> None:
        judged = Judged(budget=1)
        end = (NOON // HOUR_MS + 1) * HOUR_MS
        assert judged.history.overflow(NOON) == Overflow(0, end)
        for at in range(3):
            judged.decide(NOON, f"s{at}", client=f"c{at}")
        assert judged.history.overflow(end) == Overflow(2, end + HOUR_MS)
        judged.decide(end, "s9", client="c9")
        assert judged.history.overflow(end + HOUR_MS) == Overflow(0, end + 2 * HOUR_MS)
        assert Judged().history.overflow(NOON) is None

    def test_the_message_says_so(self) -> None:
        assert alert_of(overflow=Overflow(0, None)).message == alert_of().message
        message = alert_of(overflow=Overflow(1200, NOON)).message.removeprefix(alert_of().message)
        assert message == (
            " Since the alert before 1,200 anomalous verdicts were held back by the alert budget. The alert budget of "
            "this hour is spent."
        )

    @given(
        takes=st.lists(st.tuples(st.integers(0, HOUR_MS), st.sampled_from(list(Severity))), max_size=40),
        budget=st.integers(1, 3),
    )
    def test_no_hour_has_more_alerts_than_it_may_have_and_none_is_held_back_before(
        self, takes: list[tuple[int, Severity]], budget: int
    ) -> None:
        judged, now, hours = Judged(budget=budget), NOON, Counter[int]()
        for at, (later, severity) in enumerate(takes):
            now += later
            spent = hours[now // HOUR_MS]
            decision = judged.decide(now, f"s{at}", client=f"c{at}", severity=severity)
            assert (decision is Decision.BUDGET) == (spent >= budget and severity is not Severity.CRITICAL)
            hours[now // HOUR_MS] += decision is Decision.ALERT


class TestExplanation:
    def test_features_that_raised_the_score_come_first_the_strongest_before_the_others(self) -> None:
        assert alert_of().contributions == (RARE, MANY, UNKNOWN, PLAIN)

    def test_no_more_are_named_than_the_policy_says(self) -> None:
        assert alert_of(policy=AlertPolicy(top_features=2)).contributions == (RARE, MANY)

    def test_reasons_and_counterfactual_are_those_of_the_explanation(self) -> None:
        assert (alert_of().reasons, alert_of().counterfactual) == (REASONS, COUNTERFACTUAL)

    def test_an_alert_describes_the_session_and_the_verdict(self) -> None:
        alert = alert_of(capped=True)
        assert (alert.client, alert.session_id, alert.calls) == (VECTOR.client, VECTOR.session_id, VECTOR.calls)
        assert (alert.start, alert.end) == (VECTOR.start, VECTOR.end)
        assert (alert.kind, alert.score, alert.threshold, alert.capped) == (AlertKind.EARLY, 0.875, 0.6, True)
        assert [transition.destination for transition in alert.transitions] == ["DELETE /users/{id}", "GET /b"]


class TestMessage:
    def test_it_says_who_did_what_and_why_that_is_unusual(self) -> None:
        assert alert_of().message == (
            "Client user:ann has made 16 calls in 42 s. It went to rare endpoints. It made many transitions."
        )

    def test_a_closed_session_is_told_in_the_past(self) -> None:
        own = vector(occasion=Occasion.CLOSED, calls=1, end=VECTOR.start)
        assert alert_of(own).message.startswith("Client user:ann made 1 call in 0 s. ")

    def test_the_strongest_reason_is_told_even_when_nothing_is_unusual(self) -> None:
        usual = [msgspec.structs.replace(reason, direction=Direction.WITHIN) for reason in REASONS]
        explanation = msgspec.structs.replace(EXPLANATION, reasons=tuple(usual))
        assert alert_of(explanation=explanation).message.endswith("in 42 s. It went to rare endpoints.")

    def test_no_more_than_three_reasons_are_told(self) -> None:
        explanation = msgspec.structs.replace(EXPLANATION, reasons=REASONS[:2] * 2)
        assert alert_of(explanation=explanation).message.count("It ") == 3

    def test_it_says_so_when_no_single_value_was_decisive(self) -> None:
        explanation = msgspec.structs.replace(EXPLANATION, counterfactual=None)
        assert alert_of(explanation=explanation).message.endswith(
            "It made many transitions. No other value of one of these alone would have kept it under the threshold."
        )

    def test_an_alert_raised_again_with_a_score_under_the_threshold_says_nothing_of_other_values(self) -> None:
        explanation = msgspec.structs.replace(EXPLANATION, counterfactual=None)
        alert = alert_of(explanation=explanation, verdict=verdict_of(VECTOR, score=0.5999))
        assert alert.message.endswith("It made many transitions.")

    def test_a_rule_s_finding_says_so(self) -> None:
        verdict = msgspec.structs.replace(VERDICT, leg=Leg.LEARNING, readiness=Readiness.LEARNING, total_edges=42)
        assert alert_of(verdict=verdict, explanation=Explanation((), REASONS[:1])).message.endswith(
            "It went to rare endpoints. This is a rule's finding, to be taken with care: 42 of the 100 transitions "
            "that a model needs have been seen."
        )

    def test_without_reasons_it_is_a_sentence_still(self) -> None:
        assert alert_of(explanation=Explanation(())).message == "Client user:ann has made 16 calls in 42 s."

    @pytest.mark.parametrize(
        ("milliseconds", "words"),
        [
            (0, "0 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (7_199_000, "120 min"),
            (7_200_000, "2.0 h"),
            (90_000_000, "25.0 h"),
        ],
    )
    def test_durations_are_short_to_read(self, milliseconds: int, words: str) -> None:
        message = alert_of(vector(end=VECTOR.start + milliseconds), explanation=Explanation(())).message
        assert message == f"Client user:ann has made 16 calls in {words}."
