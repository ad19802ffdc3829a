"""Alerts follow the published schema of an OCSF Detection Finding (class 2004, version 1.8.0).

The attributes below are those of ocsf/ocsf-schema for the objects that an alert uses: required ones, and all of them.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurizer.features import Group, Occasion
from scorer.alerts import Alert, Severity, Transition
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Direction, Explanation, Reason
from scorer.verdicts import Leg
from stream.encodings.ocsf import alert_record, detection_finding
from tests.alerting import MANY, PLAIN, RARE, UNKNOWN, VECTOR, alert_of, vector

CREATED = 1_700_000_050_000

Allowed = tuple[set[str], set[str]]
"""required attributes, further attributes"""

DETECTION_FINDING: Allowed = (
    {"activity_id", "category_uid", "class_uid", "finding_info", "metadata", "severity_id", "time", "type_uid"},
    {
        "activity_name",
        "anomaly_analyses",
        "category_name",
        "class_name",
        "confidence",
        "confidence_id",
        "confidence_score",
        "count",
        "duration",
        "end_time",
        "evidences",
        "is_alert",
        "message",
        "observables",
        "resources",
        "risk_level",
        "risk_level_id",
        "risk_score",
        "severity",
        "start_time",
        "status",
        "status_id",
        "type_name",
        "unmapped",
    },
)
METADATA: Allowed = (
    {"product", "version"},
    {"correlation_uid", "log_name", "logged_time", "original_event_uid", "original_time", "processed_time", "uid"},
)
PRODUCT: Allowed = (set(), {"name", "vendor_name", "version", "uid"})
FINDING_INFO: Allowed = (
    {"uid"},
    {
        "analytic",
        "created_time",
        "data_sources",
        "desc",
        "first_seen_time",
        "last_seen_time",
        "related_events_count",
        "src_url",
        "tags",
        "title",
        "types",
    },
)
ANALYTIC: Allowed = (
    {"type_id"},
    {"algorithm", "category", "desc", "name", "state", "state_id", "type", "uid", "version"},
)
ANOMALY_ANALYSIS: Allowed = ({"analysis_targets", "anomalies"}, {"baselines"})
ANALYSIS_TARGET: Allowed = ({"name"}, {"type"})
ANOMALY: Allowed = ({"observation_parameter", "observations"}, {"observation_type", "observed_pattern"})
OBSERVATION: Allowed = ({"value"}, {"count", "timespan"})
EVIDENCES: Allowed = (set(), {"actor", "api", "data", "src_endpoint", "url"})
ACTOR: Allowed = (set(), {"session", "user"})
USER: Allowed = (set(), {"name", "uid"})
SESSION: Allowed = (set(), {"created_time", "uid"})
RESOURCE: Allowed = (set(), {"name", "role", "role_id", "type", "uid"})
OBSERVABLE: Allowed = ({"type_id"}, {"name", "type", "value"})

SEVERITY = {2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
ACTIVITY = {1: "Create", 2: "Update", 3: "Close"}
CONFIDENCE = {1: "Low", 2: "Medium", 3: "High"}
STATUS = {1: "New", 2: "In Progress", 3: "Suppressed", 4: "Resolved"}
ANALYTIC_TYPE = {1: "Rule", 2: "Behavioral", 3: "Statistical", 4: "Learning (ML/DL)"}
ANALYTIC_STATE = {1: "Active", 2: "Suppressed", 3: "Experimental"}
RESOURCE_ROLES = {1, 2, 3, 4}
USER_UID = 31


def assert_object(content: dict[str, Any], allowed: Allowed) -> None:
    required, further = allowed
    assert required <= content.keys()
    assert content.keys() <= required | further


def assert_follows_the_schema(finding: dict[str, Any]) -> None:
    """Check attributes, requirements and enums of every object in a finding."""
    assert_object(finding, DETECTION_FINDING)
    assert_object(finding["metadata"], METADATA)
    assert_object(finding["metadata"]["product"], PRODUCT)
    assert_object(finding["finding_info"], FINDING_INFO)
    assert_object(finding["finding_info"]["analytic"], ANALYTIC)
    for analysis in finding["anomaly_analyses"]:
        assert_object(analysis, ANOMALY_ANALYSIS)
        for target in analysis["analysis_targets"]:
            assert_object(target, ANALYSIS_TARGET)
        for anomaly in [*analysis["anomalies"], *analysis["baselines"]]:
            assert_object(anomaly, ANOMALY)
            for observation in anomaly["observations"]:
                assert_object(observation, OBSERVATION)
                assert isinstance(observation["value"], str)
    for evidence in finding["evidences"]:
        assert_object(evidence, EVIDENCES)
        assert_object(evidence["actor"], ACTOR)
        assert_object(evidence["actor"]["user"], USER)
        assert_object(evidence["actor"]["session"], SESSION)
    for resource in finding["resources"]:
        assert_object(resource, RESOURCE)
        assert resource["role_id"] in RESOURCE_ROLES
    for observable in finding["observables"]:
        assert_object(observable, OBSERVABLE)
    assert_enums(finding)


def assert_enums(finding: dict[str, Any]) -> None:
    """Check that every id is one of the schema's, beside the caption that belongs to it."""
    analytic = finding["finding_info"]["analytic"]
    assert (finding["category_uid"], finding["category_name"]) == (2, "Findings")
    assert (finding["class_uid"], finding["class_name"]) == (2004, "Detection Finding")
    assert finding["activity_name"] == ACTIVITY[finding["activity_id"]]
    assert finding["type_uid"] == finding["class_uid"] * 100 + finding["activity_id"]
    assert finding["type_name"] == f"{finding['class_name']}: {finding['activity_name']}"
    assert finding["severity"] == SEVERITY[finding["severity_id"]]
    assert finding["confidence"] == CONFIDENCE[finding["confidence_id"]]
    assert finding["status"] == STATUS[finding["status_id"]]
    assert analytic["type"] == ANALYTIC_TYPE[analytic["type_id"]]
    assert analytic["state"] == ANALYTIC_STATE[analytic["state_id"]]
    assert 0 <= finding["confidence_score"] <= 100
    assert isinstance(finding["confidence_score"], int)


def resolve(finding: dict[str, Any], path: str) -> Any:
    """Return what an observable's name points at."""
    found: Any = finding
    for part in path.replace("[", ".").replace("]", "").split("."):
        found = found[int(part)] if part.isdigit() else found[part]
    return found


EARLY = alert_of()
CLOSING = alert_of(vector(occasion=Occasion.CLOSED), capped=True)

contributions = st.builds(
    Contribution,
    feature=st.text(max_size=5),
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
transitions = st.builds(Transition, source=st.text(), destination=st.text(), expected=st.floats(0, 1e9))


@given(
    occasion=st.sampled_from(list(Occasion)),
    score=st.floats(0, 1),
    named=explanations,
    seen=st.lists(transitions, max_size=4),
    capped=st.booleans(),
)
def test_every_alert_follows_the_schema(
    occasion: Occasion, score: float, named: Explanation, seen: list[Transition], *, capped: bool
) -> None:
    own = vector(occasion=occasion)
    alert = alert_of(own, explanation=named, transitions=seen, capped=capped)
    assert_follows_the_schema(detection_finding(msgspec.structs.replace(alert, score=score), CREATED))


@pytest.mark.parametrize("alert", [EARLY, CLOSING], ids=["early", "closing"])
def test_a_finding_is_plain_json(alert: Alert) -> None:
    finding = detection_finding(alert, CREATED)
    again = json.loads(alert_record("anomalies", alert, CREATED).value or b"")
    assert again == json.loads(json.dumps(finding, allow_nan=False))


@pytest.mark.parametrize("alert", [EARLY, CLOSING], ids=["early", "closing"])
def test_every_alert_creates_a_finding_that_is_to_be_looked_at(alert: Alert) -> None:
    """A closing alert closes a session, not a finding: a finding is closed by whoever has dealt with it."""
    finding = detection_finding(alert, CREATED)
    assert (finding["activity_id"], finding["type_uid"], finding["is_alert"]) == (1, 200401, True)
    assert finding["unmapped"]["kind"] == alert.kind


def test_the_record_is_keyed_by_client_so_that_a_client_s_alerts_stay_in_order() -> None:
    record = alert_record("anomalies", EARLY, CREATED)
    assert (record.topic, record.key) == ("anomalies", b"user:ann")
    assert ("content-type", "application/json") in record.headers


def test_the_deterministic_id_is_where_consumers_look_for_it() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["finding_info"]["uid"] == finding["metadata"]["uid"] == EARLY.uid
    assert finding["metadata"]["correlation_uid"] == EARLY.session_id
    later = detection_finding(EARLY, CREATED + 99)
    assert later["metadata"]["uid"] == EARLY.uid


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
def test_severities_are_the_schema_s(severity: Severity) -> None:
    finding = detection_finding(msgspec.structs.replace(EARLY, severity=severity), CREATED)
    assert SEVERITY[finding["severity_id"]].lower() == severity


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
    (evidence,) = detection_finding(EARLY, CREATED)["evidences"]
    assert evidence["actor"]["user"]["uid"] == "user:ann"
    assert msgspec.convert(evidence["data"]["contributions"], tuple[Contribution, ...]) == EARLY.contributions
    assert msgspec.convert(evidence["data"]["transitions"], tuple[Transition, ...]) == EARLY.transitions


def test_the_evidence_holds_reasons_and_counterfactual_for_programs() -> None:
    (evidence,) = detection_finding(EARLY, CREATED)["evidences"]
    assert msgspec.convert(evidence["data"]["reasons"], tuple[Reason, ...]) == EARLY.reasons
    assert msgspec.convert(evidence["data"]["counterfactual"], Counterfactual) == EARLY.counterfactual


def test_the_endpoints_of_the_transitions_are_the_resources_each_once() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert [resource["uid"] for resource in finding["resources"]] == ["GET /a", "DELETE /users/{id}", "GET /b"]
    assert {resource["role_id"] for resource in finding["resources"]} == {1}


def test_observables_point_at_what_they_name() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["observables"]
    for observable in finding["observables"]:
        assert resolve(finding, observable["name"]) == observable["value"]
    assert finding["observables"][0]["type_id"] == USER_UID


def test_the_model_and_its_threshold_are_told() -> None:
    finding = detection_finding(EARLY, CREATED)
    assert finding["finding_info"]["analytic"]["uid"] == EARLY.model
    assert finding["finding_info"]["analytic"]["desc"] == "score 0.8750 reached the threshold 0.6000"
    assert (finding["unmapped"]["score"], finding["unmapped"]["threshold"]) == (0.875, 0.6)
    assert finding["message"] == finding["finding_info"]["desc"] == EARLY.message
