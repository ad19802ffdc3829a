"""An Alert as an OCSF Detection Finding (class 2004, OCSF 1.8.0)."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from featurizer.features import Occasion
from featurizer.identity import Identity
from scorer.alerts import Alert
from scorer.reasons import Contribution, Direction
from scorer.severity import Severity
from scorer.verdicts import Leg
from stream.encodings.ocsf_evidence import (
    Actor,
    AnalysisTarget,
    Anomaly,
    AnomalyAnalysis,
    Api,
    Evidence,
    NetworkEndpoint,
    Observation,
    ProgrammaticCredential,
    SessionData,
    User,
    UserSession,
)
from stream.encodings.ocsf_finding import DetectionFinding, Unmapped
from stream.encodings.ocsf_objects import (
    Analytic,
    Attack,
    Entry,
    FindingInfo,
    Metadata,
    Observable,
    Product,
    Resource,
    Tag,
)
from stream.encodings.parts import TITLE, account_of, address_of, endpoints_of, is_named, place_of
from stream.encodings.signs import ATTACK_VERSION, Named, Technique, risks_of, techniques_of
from stream.wire import product_version

OCSF_VERSION: Final = "1.8.0"

_SEVERITY: Final[Mapping[Severity, tuple[Literal[2, 3, 4, 5], Literal["Low", "Medium", "High", "Critical"]]]] = {
    Severity.LOW: (2, "Low"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.HIGH: (4, "High"),
    Severity.CRITICAL: (5, "Critical"),
}
_RISK_LEVEL: Final[Mapping[Severity, Literal[1, 2, 3, 4]]] = {
    Severity.LOW: 1,
    Severity.MEDIUM: 2,
    Severity.HIGH: 3,
    Severity.CRITICAL: 4,
}
_PATTERN: Final[Mapping[Direction, Literal["SURGE", "RARE", "FREQUENT", "UNSEEN"]]] = {
    Direction.ABOVE: "SURGE",
    Direction.BELOW: "RARE",
    Direction.WITHIN: "FREQUENT",
    Direction.MISSING: "UNSEEN",
}

_ALGORITHM: Final[Mapping[Leg, str]] = {
    Leg.UNSUPERVISED: "isolation forest",
    Leg.TRAINED: "gradient-boosted trees",
}

_encoder = msgspec.json.Encoder()


def encode_ocsf(alert: Alert, created: int) -> bytes:
    """Return the finding as JSON.

    Args:
        alert: the alert.
        created: when the finding is made, epoch milliseconds.
    """
    return _encoder.encode(finding_of(alert, created))


def detection_finding(alert: Alert, created: int) -> dict[str, Any]:
    """Return the finding as plain JSON types; arguments as for ``encode_ocsf``."""
    plain: dict[str, Any] = msgspec.json.decode(encode_ocsf(alert, created))
    return plain


def finding_of(alert: Alert, created: int) -> DetectionFinding:
    """Return the finding; arguments as for ``encode_ocsf``.

    The first alert of a session creates the session's finding, one that follows updates it. None closes it: a finding
    is closed by whoever has dealt with it.
    """
    severity_id, severity = _SEVERITY[alert.severity]
    percent = round(alert.score * 100)
    follows, suppression = alert.follows, alert.suppression
    # A rule knows nothing of this traffic, and a graph cut off by a limit describes the session less well.
    doubtful = alert.capped or alert.leg is Leg.LEARNING
    return DetectionFinding(
        activity_id=2 if follows else 1,
        activity_name="Update" if follows else "Create",
        category_uid=2,
        category_name="Findings",
        class_uid=2004,
        class_name="Detection Finding",
        type_uid=200402 if follows else 200401,
        type_name="Detection Finding: Update" if follows else "Detection Finding: Create",
        time=created,
        start_time=alert.start,
        end_time=alert.end,
        duration=alert.end - alert.start,
        count=alert.calls,
        severity_id=severity_id,
        severity=severity,
        confidence_id=1 if doubtful else 3,
        confidence="Low" if doubtful else "High",
        confidence_score=percent,
        risk_level_id=_RISK_LEVEL[alert.severity],
        risk_level=severity,
        risk_score=percent,
        risk_details=alert.grade.sentence or UNSET,
        status_id=3 if suppression else UNSET if follows else 1,
        status="Suppressed" if suppression else UNSET if follows else "New",
        status_detail=account_of(suppression) if suppression else UNSET,
        is_alert=suppression is None,
        message=alert.message,
        metadata=_metadata(alert, created),
        finding_info=_info(alert, created),
        anomaly_analyses=(_analysis(alert),),
        evidences=(_session(alert), *map(_transition, _destinations(alert))),
        resources=tuple(_resource(endpoint) for endpoint in endpoints_of(alert)),
        observables=_observables(alert),
        unmapped=_unmapped(alert),
    )


def _metadata(alert: Alert, created: int) -> Metadata:
    return Metadata(
        version=OCSF_VERSION,
        uid=alert.uid,
        product=Product(name="gatewatch", vendor_name="gatewatch", version=product_version()),
        log_name=alert.position.topic,
        correlation_uid=alert.session_id,
        processed_time=created,
        # Only a session that grew was scored at a record of its own.
        original_event_uid=place_of(alert) if alert.occasion is Occasion.GROWING else UNSET,
    )


def _info(alert: Alert, created: int) -> FindingInfo:
    return FindingInfo(
        uid=alert.session_id,
        title=TITLE,
        desc=alert.message,
        types=("API Behavior Anomaly",),
        created_time=UNSET if alert.follows else created,
        modified_time=created if alert.follows else UNSET,
        first_seen_time=alert.start,
        last_seen_time=alert.end,
        data_sources=(f"kafka://{alert.position.topic}",),
        analytic=_analytic(alert),
        attacks=tuple(map(_attack, techniques_of(alert))) or UNSET,
        tags=tuple(Tag(name="owasp_api", value=risk.uid) for risk in risks_of(alert)) or UNSET,
        related_events_count=alert.calls,
    )


def _analytic(alert: Alert) -> Analytic:
    rules = alert.leg is Leg.LEARNING
    return Analytic(
        uid=alert.model,
        name="rules for the time of learning" if rules else "session call graph",
        type_id=1 if rules else 4,
        type="Rule" if rules else "Learning (ML/DL)",
        algorithm=_ALGORITHM.get(alert.leg, UNSET),
        category="API call graph",
        state_id=1,
        state="Active",
        desc=f"score {alert.score:.4f} reached the threshold {alert.threshold:.4f}",
    )


def _attack(item: Technique) -> Attack:
    return Attack(
        version=ATTACK_VERSION,
        tactic=_entry(item.tactic),
        technique=_entry(item.technique),
        sub_technique=UNSET if item.sub_technique is None else _entry(item.sub_technique),
    )


def _entry(named: Named) -> Entry:
    return Entry(uid=named.uid, name=named.name)


def _analysis(alert: Alert) -> AnomalyAnalysis:
    return AnomalyAnalysis(
        analysis_targets=(AnalysisTarget(name=alert.client, type="API client"),),
        anomalies=tuple(map(_anomaly, alert.contributions)),
        baselines=tuple(map(_baseline, alert.contributions)),
    )


def _anomaly(item: Contribution) -> Anomaly:
    return Anomaly(
        observation_parameter=item.feature,
        observation_type=item.meaning,
        observed_pattern=_PATTERN[item.direction],
        observations=(Observation(value="missing" if item.value is None else f"{item.value:g}"),),
    )


def _baseline(item: Contribution) -> Anomaly:
    return Anomaly(
        observation_parameter=item.feature,
        observation_type=item.meaning,
        observed_pattern="FREQUENT",
        observations=(Observation(value=f"{item.usual_low:g} to {item.usual_high:g}"),),
    )


def _session(alert: Alert) -> Evidence:
    address, credential = address_of(alert), ProgrammaticCredential(uid=alert.client)
    return Evidence(
        name="session",
        actor=Actor(
            user=User(
                uid=alert.client,
                name=alert.client if is_named(alert) else UNSET,
                programmatic_credentials=(credential,) if alert.identity == Identity.CREDENTIAL else UNSET,
            ),
            session=UserSession(uid=alert.session_id, created_time=alert.start),
        ),
        src_endpoint=UNSET if address is None else NetworkEndpoint(ip=address),
        data=SessionData(
            reasons=alert.reasons,
            counterfactual=alert.counterfactual,
            contributions=alert.contributions,
            transitions=alert.transitions,
            grade=alert.grade,
        ),
    )


def _transition(destination: str) -> Evidence:
    return Evidence(name="rare transition", api=Api(operation=destination))


def _destinations(alert: Alert) -> list[str]:
    """Return where the rarest transitions lead, each once, in order."""
    return list(dict.fromkeys(item.destination for item in alert.transitions))


def _resource(endpoint: str) -> Resource:
    return Resource(uid=endpoint, name=endpoint, type="API endpoint", role_id=1, role="Target")


def _observables(alert: Alert) -> tuple[Observable, ...]:
    session = "evidences[0]"
    address = address_of(alert)
    found = [Observable(name=f"{session}.actor.user.uid", type_id=31, type="User Object: uid", value=alert.client)]
    if address is not None:
        found.append(Observable(name=f"{session}.src_endpoint.ip", type_id=2, type="IP Address", value=address))
    found += [
        Observable(name=f"resources[{at}].uid", type_id=10, type="Resource UID", value=endpoint)
        for at, endpoint in enumerate(endpoints_of(alert))
    ]
    return tuple(found)


def _unmapped(alert: Alert) -> Unmapped:
    overflow = alert.overflow
    spent_until = None if overflow is None else overflow.spent_until
    return Unmapped(
        kind=alert.kind,
        identity=alert.identity or UNSET,
        occasion=alert.occasion,
        leg=alert.leg,
        taken_at=place_of(alert),
        score=alert.score,
        threshold=alert.threshold,
        call_time=alert.position.call_time,
        record_time=alert.position.record_time,
        held_back=UNSET if overflow is None else overflow.held_back,
        budget_spent_until=UNSET if spent_until is None else spent_until,
    )
