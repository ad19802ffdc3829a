"""Findings read back from what is published."""

import json
from typing import Any

import msgspec
import pytest

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.suppression import Suppression
from stream.encodings.ocsf import detection_finding
from stream.findings import facts_of_finding, read_finding, read_findings
from tests.alerting import COUNTERFACTUAL, REASONS, VECTOR, alert_of

CREATED = 1_700_000_050_000
DOCUMENT = json.loads(json.dumps(detection_finding(alert_of(), CREATED)))
NAMES = ACCESS_BEHAVIOUR_V1.names


def test_a_finding_says_what_its_alert_did() -> None:
    alert, finding = alert_of(), read_finding(DOCUMENT)
    for name in ("uid", "session_id", "client", "model", "kind", "score", "threshold", "start", "end", "calls"):
        assert getattr(finding, name) == getattr(alert, name), name
    assert (finding.reasons, finding.counterfactual) == (REASONS, COUNTERFACTUAL)
    assert (finding.contributions, finding.transitions) == (alert.contributions, alert.transitions)
    assert (finding.status, finding.status_detail, finding.capped) == ("New", "", False)
    assert (finding.created, finding.call_time) == (CREATED, alert.position.call_time)


def test_a_suppressed_finding_says_why() -> None:
    alert = alert_of(suppression=Suppression("export", "Nightly export", 1_800_000_000_000))
    document = detection_finding(alert, CREATED)
    assert (document["status_id"], document["status"], document["is_alert"]) == (3, "Suppressed", False)
    expected = "Nightly export (rule export, expires 2027-01-15T08:00:00+00:00)"
    assert document["status_detail"] == read_finding(document).status_detail == expected


def test_a_file_holds_one_finding_or_one_a_line_beside_other_lines_of_a_replay() -> None:
    pretty = json.dumps(DOCUMENT, indent=2).encode()
    other = DOCUMENT | {"metadata": DOCUMENT["metadata"] | {"uid": "f" * 32}}
    lines = [{"type": "session"}, {"type": "alert", **DOCUMENT}, other, {"type": "summary"}]
    many = "\n\n".join(json.dumps(line) for line in lines).encode()
    assert [own.uid for own in read_findings(pretty)] == [alert_of().uid]
    assert [own.uid for own in read_findings(many)] == [alert_of().uid, "f" * 32]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no finding in it"),
        (b'{"type":"session"}\n{"type":"summary"}', "no finding in it"),
        (b"[1]", "no finding of gatewatch's"),
        (b'{"class_uid": 4002}', "class 4002 is no Detection Finding"),
        (b"{}", "'class_uid'. is absent"),
        (b'{"type":"session"}\nGET /a', "line 2"),
    ],
)
def test_what_is_no_finding_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_findings(data)


@pytest.mark.parametrize("path", ["evidences", "unmapped", "finding_info"])
def test_a_finding_of_somebody_else_is_refused(path: str) -> None:
    foreign: dict[str, Any] = {name: value for name, value in DOCUMENT.items() if name != path}
    with pytest.raises(ValueError, match=f"{path}.*absent"):
        read_finding(foreign)


def test_of_a_finding_only_the_strongest_features_are_known() -> None:
    facts = facts_of_finding(read_finding(DOCUMENT), None)
    assert (facts.values["calls"], facts.values["duration_s"], facts.values["n_apis"]) == (16, 42.0, 9.0)
    assert "min_dest_share" not in facts.values
    assert facts.endpoints == {"GET /a", "DELETE /users/{id}", "GET /b"}
    assert not facts.whole


def test_with_its_vector_all_features_are_known() -> None:
    facts = facts_of_finding(read_finding(DOCUMENT), VECTOR)
    assert set(NAMES) <= facts.values.keys()
    assert facts.values["score"] == 0.875


def test_endpoints_are_whole_when_every_transition_is_in_the_finding() -> None:
    small = msgspec.structs.replace(VECTOR, values=(2.0, *VECTOR.values[1:]))
    finding = read_finding(DOCUMENT)
    assert facts_of_finding(finding, small).whole
    assert not facts_of_finding(msgspec.structs.replace(finding, capped=True), small).whole
