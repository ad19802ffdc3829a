"""Alerts as documents of the Elastic Common Schema: names, types and values of elastic/ecs 9.4.0."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import Occasion
from featurizer.identity import Identity
from scorer.alerts import Alert, Transition
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Explanation, Reason
from scorer.severity import Severity
from scorer.suppression import Suppression
from stream.encodings.ecs import encode_ecs
from tests.alerting import REASONS, alert_of, vector
from tests.ecs_schema import errors

CREATED = 1_700_000_050_123
OWN = "gatewatch"
EARLY = alert_of()
SCAN = alert_of(transitions=[Transition("GET /a", "GET {unmatched}", 0.1), Transition("POST /login", "POST /login", 1)])


def document(alert: Alert) -> dict[str, Any]:
    """Return an alert's document as a consumer reads it."""
    found: dict[str, Any] = json.loads(encode_ecs(alert, CREATED))
    return found


endpoints = st.text() | st.sampled_from(["GET {unmatched}", "POST /login", "GET /a/{id}", "PUT /b"])


@settings(max_examples=40, deadline=None)
@given(
    occasion=st.sampled_from(list(Occasion)),
    client=st.text() | st.ip_addresses().map(str),
    identity=st.sampled_from(["", *Identity]),
    severity=st.sampled_from(list(Severity)),
    score=st.floats(0, 1),
    named=st.sampled_from([REASONS, REASONS[:1], ()]),
    ends=st.lists(st.tuples(endpoints, endpoints), max_size=4),
    follows=st.booleans(),
)
def test_every_alert_follows_the_schema(
    occasion: Occasion,
    client: str,
    severity: Severity,
    score: float,
    *,
    identity: str,
    named: tuple[Reason, ...],
    ends: list[tuple[str, str]],
    follows: bool,
) -> None:
    seen = [Transition(source, destination, 0.1) for source, destination in ends]
    alert = alert_of(
        vector(occasion=occasion, client=client, identity=identity),
        explanation=Explanation((), named),
        transitions=seen,
        follows=follows,
    )
    changed = msgspec.structs.replace(alert, severity=severity, score=score)
    assert errors(document(changed), OWN) == []


@pytest.mark.parametrize(
    ("wrong", "spoil"),
    [
        ("event.kin is no field", lambda own: own["event"].update(kin="alert")),
        ("event.kind has another value", lambda own: own["event"].update(kind="alarm")),
        ("event.category is a list", lambda own: own["event"].update(category="api")),
        ("event.severity is not of type long", lambda own: own["event"].update(severity="high")),
        ("rule.id is not a list", lambda own: own["rule"].update(id=["a"])),
    ],
)
def test_a_document_that_breaks_the_schema_is_noticed(wrong: str, spoil: Callable[[dict[str, Any]], object]) -> None:
    """The test above means something."""
    found = document(EARLY)
    spoil(found)
    (error,) = errors(found, OWN)
    assert error.startswith(wrong)


def test_the_event_is_an_alert_with_the_alert_s_id() -> None:
    event = document(EARLY)["event"]
    assert (event["kind"], event["category"], event["type"]) == ("alert", ["intrusion_detection", "api"], ["info"])
    assert (event["id"], event["action"]) == (EARLY.uid, "finding-created")
    assert (event["risk_score"], event["risk_score_norm"], event["reason"]) == (0.875, 87.5, REASONS[0].sentence)


def test_an_alert_that_follows_is_of_the_same_finding() -> None:
    first, later = document(EARLY), document(alert_of(vector(occasion=Occasion.CLOSED), follows=True))
    assert later["event"]["action"] == "finding-updated"
    assert later["event"]["id"] != first["event"]["id"]
    assert later["gatewatch"]["finding"] == first["gatewatch"]["finding"] == EARLY.session_id


def test_times_are_dates_and_the_duration_is_in_nanoseconds() -> None:
    found = document(EARLY)
    assert found["@timestamp"] == found["event"]["created"] == "2023-11-14T22:14:10.123Z"
    assert (found["event"]["start"], found["event"]["end"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:02.000Z")
    assert found["event"]["duration"] == 42 * 10**9


@pytest.mark.parametrize("severity", list(Severity))
def test_a_higher_severity_is_a_greater_number(severity: Severity) -> None:
    numbers = [document(msgspec.structs.replace(EARLY, severity=own))["event"]["severity"] for own in Severity]
    assert numbers == sorted(set(numbers))
    assert document(msgspec.structs.replace(EARLY, severity=severity))["gatewatch"]["severity"] == severity


def test_a_client_is_a_user_or_a_source() -> None:
    named, address = document(EARLY), document(alert_of(vector(client="2001:DB8::0:7")))
    assert (named["user"], named["related"], "source" in named) == ({"id": "user:ann"}, {"user": ["user:ann"]}, False)
    assert address["source"] == {"address": "2001:db8::7", "ip": "2001:db8::7"}
    assert (address["related"], "user" in address) == ({"ip": ["2001:db8::7"]}, False)


def test_the_kind_of_a_client_s_name_says_where_it_is_told() -> None:
    agent = document(alert_of(vector(client="192.0.2.7+0a1b", identity="address_agent")))
    assert (agent["user"], agent["source"]["ip"]) == ({"id": "192.0.2.7+0a1b"}, "192.0.2.7")
    assert (agent["related"], agent["gatewatch"]["identity"]) == ({"ip": ["192.0.2.7"]}, "address_agent")
    hidden = document(alert_of(vector(client="hmac:k1:0a1b", identity="address")))
    assert (hidden["user"], hidden["related"], "source" in hidden) == ({"id": "hmac:k1:0a1b"}, {}, False)


def test_signs_are_told_as_threat_and_tags() -> None:
    found = document(SCAN)
    assert found["threat"] == {
        "framework": "MITRE ATT&CK",
        "tactic": {"id": ["TA0043", "TA0006"], "name": ["Reconnaissance", "Credential Access"]},
        "technique": {
            "id": ["T1595", "T1110"],
            "name": ["Active Scanning", "Brute Force"],
            "subtechnique": {"id": ["T1595.003"], "name": ["Wordlist Scanning"]},
        },
    }
    assert found["tags"] == ["API9:2023", "API2:2023"]


def test_without_a_sign_there_is_neither() -> None:
    assert document(alert_of(transitions=[])).keys().isdisjoint({"threat", "tags"})


def test_an_alert_that_a_rule_accounts_for_says_so() -> None:
    found = document(alert_of(suppression=Suppression("export", "Nightly export", 1_800_000_000_000)))
    rule = {"rule": "export", "reason": "Nightly export", "expires": 1_800_000_000_000}
    assert (found["gatewatch"]["suppression"], errors(found, OWN)) == (rule, [])
    assert "suppression" not in document(EARLY)["gatewatch"]


def test_the_explanation_is_there_in_full_for_programs() -> None:
    own = document(EARLY)["gatewatch"]
    assert msgspec.convert(own["reasons"], tuple[Reason, ...]) == EARLY.reasons
    assert msgspec.convert(own["contributions"], tuple[Contribution, ...]) == EARLY.contributions
    assert msgspec.convert(own["transitions"], tuple[Transition, ...]) == EARLY.transitions
    assert msgspec.convert(own["counterfactual"], Counterfactual) == EARLY.counterfactual
    assert own["endpoints"] == ["GET /a", "DELETE /users/{id}", "GET /b"]
