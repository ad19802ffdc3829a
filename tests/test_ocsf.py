"""Alerts follow the published schema of an OCSF Detection Finding (class 2004, version 1.8.0)."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import Group, Occasion
from featurizer.identity import Identity
from scorer.alerts import Alert, Transition
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Direction, Explanation, Reason
from scorer.severity import Severity
from scorer.verdicts import Leg
from stream.encodings.ocsf import detection_finding
from stream.encodings.records import alert_record
from tests.alerting import MANY, PLAIN, RARE, UNKNOWN, VECTOR, alert_of, vector
from tests.ocsf_schema import errors

CREATED = 1_700_000_050_000

USER_UID, IP_ADDRESS, RESOURCE_UID = 31, 2, 10


def resolve(finding: dict[str, Any], path: str) -> Any:
    """Return what an observable's name points at."""
    found: Any = finding
    for part in path.replace("[", ".").replace("]", "").split("."):
        found = found[int(part)] if part.isdigit() else found[part]
    return found


EARLY = alert_of()
CLOSING = alert_of(vector(occasion=Occasion.CLOSED), capped=True)
FOLLOWING = alert_of(vector(occasion=Occasion.CLOSED), follows=True)

contributions = st.builds(
    Contribution,
    feature=st.sampled_from(["n_apis", "min_dest"]),
    meaning=st.text(max_size=5),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    usual_low=st.floats(-1e9, 1e9),
    usual_high=st.floats(-1e9, 1e9),
    direction=st.sampled_from(list(Direction)),
    contribution=st.floats(0.1, 10),
    group=st.sampled_from(list(Group)),
)
reasons = st.builds(
    Reason,
    group=st.sampled_from(list(Group)),
    contribution=st.floats(0.1, 10),
    direction=st.sampled_from(list(Direction)),
)
counterfactuals = st.builds(
    Counterfactual, value=st.floats(-1e9, 1e9), enough=st.floats(-1e9, 1e9), score=st.floats(0, 1)
)
explanations = st.builds(
    Explanation,
    contributions=st.lists(contributions, max_size=4).map(tuple),
    reasons=st.lists(reasons, max_size=4).map(tuple),
    counterfactual=st.none() | counterfactuals,
)
endpoints = st.text() | st.sampled_from(["GET {unmatched}", "POST /login", "GET /a/{id}", "PUT /b", "{overflow}"])
transitions = st.builds(Transition, source=endpoints, destination=endpoints, expected=st.floats(0, 1e9))
clients = st.text() | st.ip_addresses().map(str)


@settings(max_examples=40, deadline=None)  # each is held to every rule of the schema
@given(
    occasion=st.sampled_from(list(Occasion)),
    client=clients,
    identity=st.sampled_from(["", *Identity]),
    score=st.floats(0, 1),
    named=explanations,
    seen=st.lists(transitions, max_size=4),
    capped=st.booleans(),
    follows=st.booleans(),
)
def test_every_alert_follows_the_schema(
    occasion: Occasion,
    client: str,
    score: float,
    named: Explanation,
    seen: list[Transition],
    *,
    identity: str,
    capped: bool,
    follows: bool,
) -> None:
    own = vector(occasion=occasion, client=client, identity=identity)
    alert = alert_of(own, explanation=named, transitions=seen, capped=capped, follows=follows)
    assert errors(detection_finding(msgspec.structs.replace(alert, score=score), CREATED)) == []


@pytest.mark.parametrize(
    ("wrong", "spoil"),
    [
        ("is a required property", lambda own: own.pop("severity_id")),
        ("is a required property", lambda own: own["metadata"].pop("product")),
        ("unexpected", lambda own: own.update(severty="High")),
        ("unexpected", lambda own: own["evidences"][0].update(score=0.9)),
        ("is not of type 'integer'", lambda own: own.update(time="2026-01-01T00:00:00Z")),
        (
            "is not of type 'string'",
            lambda own: own["anomaly_analyses"][0]["anomalies"][0]["observations"][0].update(value=1),
        ),
        ("is not of type 'array'", lambda own: own.update(resources={})),
        ("is not one of", lambda own: own.update(severity_id=7)),
        ("is not one of", lambda own: own["observables"][0].update(type_id=1000)),
        ("was expected", lambda own: own.update(severity="Low")),
        ("was expected", lambda own: own.update(type_uid=200403)),
        ("is not valid under any of the given schemas", lambda own: own["evidences"].append({"name": "nothing"})),
        (
            "is not valid under any of the given schemas",
            lambda own: own["finding_info"].update(attacks=[{"version": "1"}]),
        ),
        ("does not match", lambda own: own["evidences"][0].update(src_endpoint={"ip": "nowhere"})),
    ],
)
def test_a_finding_that_breaks_the_schema_is_noticed(wrong: str, spoil: Callable[[dict[str, Any]], object]) -> None:
    """The tests of this module mean something."""
    finding = deepcopy(detection_finding(EARLY, CREATED))
    spoil(finding)
    assert any(wrong in error for error in errors(finding))


@pytest.mark.parametrize("alert", [EARLY, CLOSING], ids=["early", "closing"])
def test_a_finding_is_plain_json(alert: Alert) -> None:
    finding = detection_finding(alert, CREATED)
    again = json.loads(alert_record("anomalies", alert, CREATED).value or b"")
    assert again == json.loads(json.dumps(finding, allow_nan=False))


@pytest.mark.parametrize("alert", [EARLY, CLOSING, FOLLOWING], ids=["early", "closing", "following"])
def test_every_alert_is_to_be_looked_at(alert: Alert) -> None:
    finding = detection_finding(alert, CREATED)
    assert (finding["is_alert"], finding["unmapped"]["kind"]) == (True, alert.kind)


@pytest.mark.parametrize("alert", [EARLY, CLOSING], ids=["early", "closing"])
def test_the_first_alert_of_a_session_creates_its_finding(alert: Alert) -> None:
    finding = detection_finding(alert, CREATED)
    info = finding["finding_info"]
    assert (finding["activity_id"], finding["type_uid"], finding["status"]) == (1, 200401, "New")
    assert (info["created_time"], "modified_time" in info) == (CREATED, False)


def test_an_alert_that_follows_updates_the_same_finding() -> None:
    """It closes a session, not a finding: a finding is closed by whoever has dealt with it."""
    first, finding = detection_finding(EARLY, CREATED), detection_finding(FOLLOWING, CREATED + 9)
    assert (finding["activity_id"], finding["type_uid"]) == (2, 200402)
    assert finding["finding_info"]["uid"] == first["finding_info"]["uid"]
    assert finding["metadata"]["uid"] != first["metadata"]["uid"]
    assert (finding["finding_info"]["modified_time"], "created_time" in finding["finding_info"]) == (CREATED + 9, False)


def test_an_update_leaves_the_status_alone() -> None:
    """Somebody may be at work on the finding by then."""
    assert detection_finding(FOLLOWING, CREATED).keys().isdisjoint({"status", "status_id"})


def test_the_deterministic_ids_are_where_consumers_look_for_them() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["metadata"]["uid"] == EARLY.uid
    assert finding["finding_info"]["uid"] == finding["metadata"]["correlation_uid"] == EARLY.session_id
    later = detection_finding(EARLY, CREATED + 99)
    assert (later["metadata"]["uid"], later["finding_info"]["uid"]) == (EARLY.uid, EARLY.session_id)


def test_times_are_of_the_finding_and_of_the_session() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["time"] == finding["finding_info"]["created_time"] == CREATED
    assert (finding["start_time"], finding["end_time"], finding["duration"]) == (VECTOR.start, VECTOR.end, 42_000)
    assert (finding["finding_info"]["first_seen_time"], finding["finding_info"]["last_seen_time"]) == (
        VECTOR.start,
        VECTOR.end,
    )
    assert finding["count"] == finding["finding_info"]["related_events_count"] == 16


def test_it_says_where_in_the_log_it_was_found() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["unmapped"]["taken_at"] == "calls-3@4711"
    assert finding["metadata"]["log_name"] == "calls"
    assert (finding["unmapped"]["call_time"], finding["unmapped"]["record_time"]) == (
        EARLY.position.call_time,
        EARLY.position.record_time,
    )


@pytest.mark.parametrize("occasion", list(Occasion))
def test_only_a_growing_session_points_to_a_record_of_its_own(occasion: Occasion) -> None:
    """A pause or an end is noticed at some other client's record, which is no evidence."""
    metadata = detection_finding(msgspec.structs.replace(EARLY, occasion=occasion), CREATED)["metadata"]
    assert metadata.get("original_event_uid") == ("calls-3@4711" if occasion is Occasion.GROWING else None)


@pytest.mark.parametrize("severity", list(Severity))
def test_severities_and_risks_are_called_alike(severity: Severity) -> None:
    finding = detection_finding(msgspec.structs.replace(EARLY, severity=severity), CREATED)
    assert finding["severity"].lower() == finding["risk_level"].lower() == severity
    assert errors(finding) == []


def test_the_score_in_percent_is_confidence_and_risk() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["confidence_score"] == finding["risk_score"] == 88


def test_an_alert_says_what_it_rests_on() -> None:
    def told(leg: Leg) -> tuple[str, int, str]:
        finding = detection_finding(msgspec.structs.replace(EARLY, leg=leg), CREATED)
        return finding["finding_info"]["analytic"]["type"], finding["confidence_id"], finding["unmapped"]["leg"]

    assert told(Leg.LEARNING) == ("Rule", 1, "learning")
    assert told(Leg.UNSUPERVISED) == ("Learning (ML/DL)", 3, "unsupervised")
    assert told(Leg.TRAINED) == ("Learning (ML/DL)", 3, "trained")


def test_a_capped_session_lowers_the_confidence() -> None:
    assert detection_finding(EARLY, CREATED)["confidence_id"] == 3
    assert detection_finding(CLOSING, CREATED)["confidence_id"] == 1


def test_each_contribution_is_an_anomaly_beside_its_baseline() -> None:
    (analysis,) = detection_finding(EARLY, CREATED)["anomaly_analyses"]
    assert analysis["analysis_targets"] == [{"name": "user:ann", "type": "API client"}]
    assert [
        (own["observation_parameter"], own["observed_pattern"], own["observations"]) for own in analysis["anomalies"]
    ] == [
        (RARE.feature, "RARE", [{"value": "0.25"}]),
        (MANY.feature, "SURGE", [{"value": "140"}]),
        (UNKNOWN.feature, "UNSEEN", [{"value": "missing"}]),
        (PLAIN.feature, "FREQUENT", [{"value": "9"}]),
    ]
    assert [(own["observation_parameter"], own["observations"]) for own in analysis["baselines"]][:2] == [
        (RARE.feature, [{"value": "5.5 to 1200"}]),
        (MANY.feature, [{"value": "3 to 12"}]),
    ]


def test_the_evidence_holds_contributions_and_rare_transitions_in_full() -> None:
    evidence = detection_finding(EARLY, CREATED)["evidences"][0]
    assert evidence["actor"]["user"]["uid"] == "user:ann"
    assert msgspec.convert(evidence["data"]["contributions"], tuple[Contribution, ...]) == EARLY.contributions
    assert msgspec.convert(evidence["data"]["transitions"], tuple[Transition, ...]) == EARLY.transitions


def test_the_evidence_holds_reasons_and_counterfactual_for_programs() -> None:
    evidence = detection_finding(EARLY, CREATED)["evidences"][0]
    assert msgspec.convert(evidence["data"]["reasons"], tuple[Reason, ...]) == EARLY.reasons
    assert msgspec.convert(evidence["data"]["counterfactual"], Counterfactual) == EARLY.counterfactual


def test_the_endpoints_of_the_transitions_are_the_resources_each_once() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert [resource["uid"] for resource in finding["resources"]] == ["GET /a", "DELETE /users/{id}", "GET /b"]
    assert {resource["role_id"] for resource in finding["resources"]} == {1}


def test_each_endpoint_that_a_rare_transition_leads_to_is_evidence() -> None:
    further = detection_finding(EARLY, CREATED)["evidences"][1:]
    assert [item["api"]["operation"] for item in further] == ["DELETE /users/{id}", "GET /b"]


def test_observables_point_at_what_they_name() -> None:
    finding = detection_finding(alert_of(vector(client="2001:DB8::0:7")), CREATED)
    for observable in finding["observables"]:
        assert resolve(finding, observable["name"]) == observable["value"]
    kinds = [observable["type_id"] for observable in finding["observables"]]
    assert kinds == [USER_UID, IP_ADDRESS, *[RESOURCE_UID] * 3]


def test_a_client_that_is_an_address_is_where_the_calls_came_from_and_no_user_s_name() -> None:
    evidence = detection_finding(alert_of(vector(client="198.51.100.7")), CREATED)["evidences"][0]
    assert evidence["src_endpoint"] == {"ip": "198.51.100.7"}
    assert evidence["actor"]["user"] == {"uid": "198.51.100.7"}
    named = detection_finding(EARLY, CREATED)["evidences"][0]
    assert named["actor"]["user"] == {"uid": "user:ann", "name": "user:ann"}
    assert "src_endpoint" not in named


@pytest.mark.parametrize(
    ("client", "identity", "user", "address"),
    [
        ("ann", "subject", {"uid": "ann", "name": "ann"}, None),
        ("198.51.100.7", "user", {"uid": "198.51.100.7", "name": "198.51.100.7"}, None),
        ("key-1", "credential", {"uid": "key-1", "programmatic_credentials": [{"uid": "key-1"}]}, None),
        ("session:0a1b", "session", {"uid": "session:0a1b"}, None),
        ("198.51.100.7+0a1b", "address_agent", {"uid": "198.51.100.7+0a1b"}, "198.51.100.7"),
        ("hmac:k1:0a1b", "address", {"uid": "hmac:k1:0a1b"}, None),
    ],
)
def test_the_kind_of_a_client_s_name_says_where_it_is_told(
    client: str, identity: str, user: dict[str, Any], address: str | None
) -> None:
    found = detection_finding(alert_of(vector(client=client, identity=identity)), CREATED)
    assert errors(found) == []
    evidence = found["evidences"][0]
    assert evidence["actor"]["user"] == user
    assert evidence.get("src_endpoint") == (None if address is None else {"ip": address})
    assert found["unmapped"]["identity"] == identity


def test_a_name_of_unknown_kind_says_nothing_of_its_kind() -> None:
    assert "identity" not in detection_finding(EARLY, CREATED)["unmapped"]


def test_signs_are_told_as_techniques_and_risks() -> None:
    scan = alert_of(transitions=[Transition("GET /a", "GET {unmatched}", 0.1)])
    info = detection_finding(scan, CREATED)["finding_info"]
    (attack,) = info["attacks"]
    assert (attack["tactic"]["uid"], attack["technique"]["uid"]) == ("TA0043", "T1595")
    assert attack["sub_technique"] == {"uid": "T1595.003", "name": "Wordlist Scanning"}
    assert info["tags"] == [{"name": "owasp_api", "value": "API9:2023"}]


def test_without_a_sign_there_is_no_technique_and_no_risk() -> None:
    info = detection_finding(alert_of(transitions=[]), CREATED)["finding_info"]
    assert info.keys().isdisjoint({"attacks", "tags"})


def test_the_model_and_its_threshold_are_told() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["finding_info"]["analytic"]["uid"] == EARLY.model
    assert finding["finding_info"]["analytic"]["desc"] == "score 0.8750 reached the threshold 0.6000"
    assert (finding["unmapped"]["score"], finding["unmapped"]["threshold"]) == (0.875, 0.6)
    assert finding["message"] == finding["finding_info"]["desc"] == EARLY.message
