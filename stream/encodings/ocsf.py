"""An Alert as an OCSF Detection Finding (class 2004, OCSF 1.8.0).

Attribute names and enum values follow the published schema at https://schema.ocsf.io (repository ocsf/ocsf-schema).
``anomaly_analyses`` needs OCSF 1.5.0 or later.
"""

from typing import Any, Final

import msgspec

from featurizer.features import Occasion
from scorer.alerts import Alert, Severity
from scorer.reasons import Contribution, Direction
from scorer.verdicts import Leg
from stream.wire import JSON_HEADERS, Outgoing, client_key, product_version

OCSF_VERSION: Final = "1.8.0"

_SEVERITY_ID: Final = {Severity.LOW: 2, Severity.MEDIUM: 3, Severity.HIGH: 4, Severity.CRITICAL: 5}
# Both kinds are new findings: OCSF's activity Close says that a finding was resolved or dismissed.
_ACTIVITY: Final = (1, "Create")
_PATTERN: Final = {
    Direction.ABOVE: "SURGE",
    Direction.BELOW: "RARE",
    Direction.WITHIN: "FREQUENT",
    Direction.MISSING: "UNSEEN",
}

_CONFIDENCE: Final = {1: "Low", 3: "High"}
_ANALYTIC: Final = {
    Leg.LEARNING: {"name": "rules for the time of learning", "type_id": 1, "type": "Rule"},
    Leg.UNSUPERVISED: {
        "name": "session call graph",
        "type_id": 4,
        "type": "Learning (ML/DL)",
        "algorithm": "isolation forest",
    },
    Leg.TRAINED: {
        "name": "session call graph",
        "type_id": 4,
        "type": "Learning (ML/DL)",
        "algorithm": "gradient-boosted trees",
    },
}

_encoder = msgspec.json.Encoder()


def alert_record(topic: str, alert: Alert, created: int) -> Outgoing:
    """Return an alert for the topic of anomalies, keyed by client.

    Args:
        topic: the topic.
        alert: the alert.
        created: wall clock, epoch milliseconds.
    """
    return Outgoing(
        topic, client_key(alert.client), _encoder.encode(detection_finding(alert, created)), headers=JSON_HEADERS
    )


def detection_finding(alert: Alert, created: int) -> dict[str, Any]:
    """Return the finding as plain JSON types.

    Args:
        alert: the alert.
        created: when the finding is made, epoch milliseconds.
    """
    activity_id, activity = _ACTIVITY
    position = alert.position
    # A rule knows nothing of this traffic, and a graph cut off by a limit describes the session less well.
    confidence_id = 1 if alert.capped or alert.leg is Leg.LEARNING else 3
    place = f"{position.topic}-{position.partition}@{position.offset}"
    return {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200400 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": created,
        "start_time": alert.start,
        "end_time": alert.end,
        "duration": alert.end - alert.start,
        "count": alert.calls,
        "severity_id": _SEVERITY_ID[alert.severity],
        "severity": alert.severity.capitalize(),
        "confidence_id": confidence_id,
        "confidence": _CONFIDENCE[confidence_id],
        "confidence_score": round(alert.score * 100),
        "status_id": 1,
        "status": "New",
        "is_alert": True,
        "message": alert.message,
        "metadata": {
            "version": OCSF_VERSION,
            "uid": alert.uid,
            "product": {"name": "gatewatch", "vendor_name": "gatewatch", "version": product_version()},
            "log_name": position.topic,
            "correlation_uid": alert.session_id,
            "processed_time": created,
            # Only a session that grew was scored at a record of its own.
            **({"original_event_uid": place} if alert.occasion is Occasion.GROWING else {}),
        },
        "finding_info": {
            "uid": alert.uid,
            "title": "Anomalous API call behaviour",
            "desc": alert.message,
            "types": ["API Behavior Anomaly"],
            "created_time": created,
            "first_seen_time": alert.start,
            "last_seen_time": alert.end,
            "data_sources": [f"kafka://{position.topic}"],
            "analytic": {
                "uid": alert.model,
                **_ANALYTIC[alert.leg],
                "state_id": 1,
                "state": "Active",
                "desc": f"score {alert.score:.4f} reached the threshold {alert.threshold:.4f}",
            },
            "related_events_count": alert.calls,
        },
        "anomaly_analyses": [
            {
                "analysis_targets": [{"name": alert.client, "type": "API client"}],
                "anomalies": [_anomaly(item) for item in alert.contributions],
                "baselines": [_baseline(item) for item in alert.contributions],
            }
        ],
        "evidences": [
            {
                "actor": {
                    "user": {"uid": alert.client, "name": alert.client},
                    "session": {"uid": alert.session_id, "created_time": alert.start},
                },
                "data": {
                    "reasons": msgspec.to_builtins(alert.reasons),
                    "counterfactual": msgspec.to_builtins(alert.counterfactual),
                    "contributions": msgspec.to_builtins(alert.contributions),
                    "transitions": msgspec.to_builtins(alert.transitions),
                },
            }
        ],
        "resources": [
            {"name": endpoint, "uid": endpoint, "type": "API endpoint", "role_id": 1} for endpoint in _endpoints(alert)
        ],
        "observables": [
            {"name": "evidences[0].actor.user.uid", "type_id": 31, "type": "User: uid", "value": alert.client}
        ],
        "unmapped": {
            "kind": alert.kind,
            "occasion": alert.occasion,
            "leg": alert.leg,
            "taken_at": place,
            "score": alert.score,
            "threshold": alert.threshold,
            "call_time": position.call_time,
            "record_time": position.record_time,
        },
    }


def _anomaly(item: Contribution) -> dict[str, Any]:
    return {
        "observation_parameter": item.feature,
        "observation_type": item.meaning,
        "observed_pattern": _PATTERN[item.direction],
        "observations": [{"value": "missing" if item.value is None else f"{item.value:g}"}],
    }


def _baseline(item: Contribution) -> dict[str, Any]:
    return {
        "observation_parameter": item.feature,
        "observation_type": item.meaning,
        "observed_pattern": "FREQUENT",
        "observations": [{"value": f"{item.usual_low:g} to {item.usual_high:g}"}],
    }


def _endpoints(alert: Alert) -> list[str]:
    """Return the endpoints of the rarest transitions, each once, in order."""
    named = (end for item in alert.transitions for end in (item.source, item.destination))
    return list(dict.fromkeys(named))
