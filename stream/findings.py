"""Findings: published alerts as an analyst's commands read them back, from OCSF Detection Findings."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from featurizer.features import FeatureVector, Occasion
from scorer.alerts import Transition
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Reason
from scorer.suppression import SESSION_FACTS, Facts, facts_of

DETECTION_FINDING = 2004
"""OCSF's class of the findings."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a finding says. Times are epoch milliseconds.

    Attributes are those of Alert, besides:
        created: when the finding was made, by the wall clock; in a replay the call's time.
        call_time: event time of the session's latest call.
        capped: as Alert's, or rules judged while the tables learned: a finding is as doubtful then, and says no more.
        status: New or Suppressed; empty in another that updates its finding.
        status_detail: why it is suppressed.
        severity_detail: why the severity is not that of the score; empty when it is.
    """

    uid: str
    session_id: str
    client: str
    model: str
    kind: str
    occasion: Occasion
    severity: str
    score: float
    threshold: float
    start: int
    end: int
    calls: int
    created: int
    call_time: int
    message: str
    capped: bool
    status: str
    status_detail: str
    severity_detail: str
    reasons: tuple[Reason, ...]
    counterfactual: Counterfactual | None
    contributions: tuple[Contribution, ...]
    transitions: tuple[Transition, ...]
    identity: str = ""


def read_finding(document: Any) -> Finding:
    """Return what a decoded finding says.

    Raises:
        ValueError: it is none of gatewatch's.
    """
    try:
        if document["class_uid"] != DETECTION_FINDING:
            raise ValueError(f"class {document['class_uid']} is no Detection Finding")
        evidence, own = document["evidences"][0], document["unmapped"]
        fields = {
            "uid": document["metadata"]["uid"],
            "session_id": document["metadata"]["correlation_uid"],
            "client": evidence["actor"]["user"]["uid"],
            "model": document["finding_info"]["analytic"]["uid"],
            "identity": own.get("identity", ""),
            "kind": own["kind"],
            "occasion": own["occasion"],
            "severity": document["severity"],
            "score": own["score"],
            "threshold": own["threshold"],
            "start": document["start_time"],
            "end": document["end_time"],
            "calls": document["count"],
            "created": document["time"],
            "call_time": own["call_time"],
            "message": document["message"],
            "capped": document["confidence_id"] == 1,
            "status": document.get("status", ""),
            "status_detail": document.get("status_detail", ""),
            "severity_detail": document.get("risk_details", ""),
            **{name: evidence["data"][name] for name in ("reasons", "counterfactual", "contributions", "transitions")},
        }
        return msgspec.convert(fields, Finding)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no finding of gatewatch's: {error!r} is absent") from error
    except msgspec.ValidationError as error:
        raise ValueError(f"no finding of gatewatch's: {error}") from error


def read_findings(data: bytes) -> list[Finding]:
    """Return the findings of a file: one JSON object, or one a line; other lines of ``gatewatch replay`` are left out.

    Raises:
        ValueError: it holds none, or something else; says in which line.
    """
    try:
        return [read_finding(json.loads(data))]
    except json.JSONDecodeError:
        pass
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            document = json.loads(line) if line.strip() else None
            if document is not None and document.get("type", "alert") == "alert":
                found.append(read_finding(document))
        except (ValueError, AttributeError) as error:
            raise ValueError(f"line {number}: {error}") from error
    if not found:
        raise ValueError("no finding in it")
    return found


def facts_of_finding(finding: Finding, vector: FeatureVector | None) -> Facts:
    """Return what suppression rules can ask of a finding.

    A finding names its strongest contributions and its rarest transitions only; with the vector all values are known.

    Args:
        finding: the finding.
        vector: the vector that raised it, when there is one.
    """
    endpoints = {end for own in finding.transitions for end in (own.source, own.destination)}
    told = {item.feature: item.value for item in finding.contributions}
    if vector is not None:
        told = dict(facts_of(vector, finding.score, (), whole=False).values)
    edges = told.get("n_connections")
    whole = edges is not None and 0 < edges <= len(finding.transitions) and not finding.capped
    about = (finding.calls, (finding.end - finding.start) / 1000, finding.score)
    told |= dict(zip(SESSION_FACTS, about, strict=True))
    return Facts(finding.client, told, frozenset(endpoints), whole, finding.identity)


def by_uid(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return findings by uid; of one that was published twice the last."""
    return {own.uid: own for own in findings}
