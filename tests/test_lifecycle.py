"""What becomes of an alerted session: it is told of again when its severity rises, and no hour has too many alerts."""

from typing import Any

import msgspec

from scorer.alerts import AlertKind, AlertPolicy, Decision
from scorer.budget import HOUR_MS
from scorer.severity import Severity, SeverityPolicy, Worth
from scorer.suppression import ClientIs, Rule, Suppressions
from stream.batches import Batch
from stream.checkpoints import Restoration, StateTopics, checkpoint, mark_record, restore_sessions, restore_tables
from stream.encodings.cef import encode_cef
from stream.encodings.ecs import ecs_alert
from stream.encodings.ocsf import detection_finding
from stream.pipeline import Detector
from tests.ocsf_schema import errors
from tests.records import CALLS, NOW, Made, make_detector, run, walk

TOPICS = StateTopics("state", "degrees")
GROWING = "abcdefghijklmnopqrstuvwxyz" * 2
"""By the plain judge a tenth for each transition: 0.7 after 8 calls, 1 after 16."""


def told(batch: Batch) -> list[tuple[AlertKind, Severity, int]]:
    return [(own.kind, own.severity, own.calls) for own in batch.alerts]


def restored(detector: Detector, records: list[Any]) -> Detector:
    """Return a detector with the partition of another, by way of the records of its state."""
    restoration = Restoration(CALLS)
    restoration.feed(Made(own.value, name=own.key) for own in records if own.topic == TOPICS.state)
    snapshot = restoration.finish()
    after = make_detector(alerts=detector._alerts)
    state = after.partitions[CALLS]
    restore_tables(state, snapshot)
    restore_sessions(state, snapshot)
    return after


def test_an_open_session_whose_severity_rises_is_told_of_again() -> None:
    detector = make_detector()
    batch = run(detector, walk(GROWING[:32]))
    assert told(batch) == [(AlertKind.EARLY, Severity.MEDIUM, 8), (AlertKind.RAISED, Severity.CRITICAL, 16)]
    assert batch.decisions == {Decision.ALERT: 2, Decision.REPEATED: 1}
    early, raised = batch.alerts
    assert (early.session_id, raised.follows) == (raised.session_id, True)
    finding = detection_finding(raised, NOW)
    assert (finding["activity_name"], finding["unmapped"]["kind"]) == ("Update", "raised")
    assert errors(finding) == []


def test_a_restart_neither_repeats_nor_forgets_a_rise() -> None:
    """After a checkpoint, and again after marks alone."""
    whole = run(make_detector(), walk(GROWING[:40])).alerts
    for cut in (8, 12, 16, 20):
        first = make_detector()
        before = run(first, walk(GROWING[:cut]))
        marks = [mark_record(state, mark, TOPICS.state) for state, mark in before.marks]
        saved = restored(first, checkpoint(first.partitions[CALLS], TOPICS, partitions=1))
        replayed = restored(first, marks)
        replayed.replay(walk(GROWING[:cut]))
        assert len(marks) == len(before.alerts)
        for after in (saved, replayed):
            rest = run(after, walk(GROWING[cut:40], start=NOW + cut, first=cut))
            assert [own.uid for own in (*before.alerts, *rest.alerts)] == [own.uid for own in whole]


def test_a_sensitive_endpoint_raises_the_severity_and_is_named() -> None:
    policy = AlertPolicy(severity=SeverityPolicy(endpoints=(("GET /c", Worth.HIGH),)))
    (alert,) = run(make_detector(alerts=policy), walk("abcdefgh")).alerts
    assert (alert.grade.by_score, alert.severity) == (Severity.MEDIUM, Severity.HIGH)
    finding = detection_finding(alert, NOW)
    assert finding["risk_details"] == alert.grade.sentence
    assert (finding["severity_id"], finding["risk_level_id"]) == (4, 3)
    assert finding["evidences"][0]["data"]["grade"]["factors"][0]["name"] == "sensitive"
    assert errors(finding) == []
    assert ecs_alert(alert, NOW).gatewatch.grade == alert.grade
    assert b"which is sensitive" in encode_cef(alert, NOW)


def alerted_clients(detector: Detector, clients: str, start: int) -> Batch:
    """Let each client make a session that alerts, one after the other."""
    records = [
        record
        for at, client in enumerate(clients)
        for record in walk("abcdefgh", client, start=start + 10 * at, first=start - NOW + 10 * at)
    ]
    return run(detector, records)


def test_no_hour_has_more_alerts_than_it_may_have_and_the_next_one_says_what_was_held_back() -> None:
    detector = make_detector(alerts=AlertPolicy(budget=2))
    batch = alerted_clients(detector, "stuvw", NOW)
    assert batch.decisions == {Decision.ALERT: 2, Decision.BUDGET: 3}
    assert [own.overflow.spent_until is not None for own in batch.alerts if own.overflow] == [False, True]
    later = restored(detector, checkpoint(detector.partitions[CALLS], TOPICS, partitions=1))
    first = alerted_clients(later, "x", NOW + HOUR_MS).alerts[0]
    assert first.overflow is not None
    assert first.overflow.held_back == 3
    finding = detection_finding(first, NOW)
    assert finding["unmapped"]["held_back"] == 3
    assert errors(finding) == []


def test_what_the_budget_held_back_teaches_the_tables_as_little_as_an_alert() -> None:
    taught = []
    for budget in (None, 1):
        detector = make_detector(alerts=AlertPolicy(budget=budget, budget_exempt=None))
        alerted_clients(detector, "stuv", NOW)
        run(detector, walk("a", "later", start=NOW + 90_000, first=90_000))
        taught.append(detector.degrees.snapshot())
    assert taught[0] == taught[1]


def test_a_rule_changes_nothing_in_what_the_budget_lets_through() -> None:
    rule = Rule("r", "x", NOW * 2, (ClientIs(("s", "t")),))
    plain, ruled = (
        alerted_clients(make_detector(alerts=AlertPolicy(budget=2), suppressions=rules), "stuv", NOW).alerts
        for rules in (Suppressions(), Suppressions((rule,)))
    )
    assert [own.suppression is not None for own in ruled] == [True, True]
    assert [msgspec.structs.replace(own, suppression=None) for own in ruled] == plain
