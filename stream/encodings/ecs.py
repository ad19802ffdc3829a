"""An Alert as a document of the Elastic Common Schema, for Elasticsearch."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from scorer.alerts import Alert
from scorer.severity import Severity
from stream.encodings.ecs_objects import (
    Ecs,
    EcsAlert,
    Entries,
    Event,
    Gatewatch,
    Observer,
    Related,
    Rule,
    Source,
    Technique,
    Threat,
    User,
)
from stream.encodings.parts import TITLE, address_of, endpoints_of, is_address, is_named, place_of, time_of
from stream.encodings.signs import Named, risks_of, techniques_of
from stream.wire import product_version

ECS_VERSION: Final = "9.4.0"

_SEVERITY: Final[Mapping[Severity, Literal[21, 47, 73, 99]]] = {
    Severity.LOW: 21,
    Severity.MEDIUM: 47,
    Severity.HIGH: 73,
    Severity.CRITICAL: 99,
}
_NS_PER_MS: Final = 1_000_000

_encoder = msgspec.json.Encoder()


def encode_ecs(alert: Alert, created: int) -> bytes:
    """Return the document as JSON.

    Args:
        alert: the alert.
        created: when the alert is made, epoch milliseconds.
    """
    return _encoder.encode(ecs_alert(alert, created))


def ecs_alert(alert: Alert, created: int) -> EcsAlert:
    """Return the document; arguments as for ``encode_ecs``."""
    address, named = address_of(alert), is_named(alert)
    return EcsAlert(
        timestamp=time_of(created),
        ecs=Ecs(version=ECS_VERSION),
        message=alert.message,
        tags=tuple(risk.uid for risk in risks_of(alert)) or UNSET,
        event=_event(alert, created),
        rule=Rule(id=alert.model, name=TITLE, category="API behaviour"),
        user=UNSET if is_address(alert) else User(id=alert.client),
        source=UNSET if address is None else Source(address=address, ip=address),
        related=Related(user=(alert.client,) if named else UNSET, ip=UNSET if address is None else (address,)),
        threat=_threat(alert),
        observer=Observer(vendor="gatewatch", product="gatewatch", type="sensor", version=product_version()),
        gatewatch=_gatewatch(alert),
    )


def _event(alert: Alert, created: int) -> Event:
    return Event(
        id=alert.uid,
        kind="alert",
        category=("intrusion_detection", "api"),
        type=("info",),
        action="finding-updated" if alert.follows else "finding-created",
        module="gatewatch",
        dataset="gatewatch.alerts",
        created=time_of(created),
        start=time_of(alert.start),
        end=time_of(alert.end),
        duration=(alert.end - alert.start) * _NS_PER_MS,
        severity=_SEVERITY[alert.severity],
        risk_score=alert.score,
        risk_score_norm=round(alert.score * 100, 2),
        reason=alert.reasons[0].sentence if alert.reasons else UNSET,
    )


def _threat(alert: Alert) -> Threat | UnsetType:
    found = techniques_of(alert)
    if not found:
        return UNSET
    finer = [item.sub_technique for item in found if item.sub_technique is not None]
    technique = _list(item.technique for item in found)
    return Threat(
        framework="MITRE ATT&CK",
        tactic=_list(item.tactic for item in found),
        technique=Technique(id=technique.id, name=technique.name, subtechnique=_list(finer) if finer else UNSET),
    )


def _list(entries: Iterable[Named]) -> Entries:
    each = list(dict.fromkeys(entries))
    return Entries(id=tuple(entry.uid for entry in each), name=tuple(entry.name for entry in each))


def _gatewatch(alert: Alert) -> Gatewatch:
    return Gatewatch(
        finding=alert.session_id,
        kind=alert.kind,
        identity=alert.identity or UNSET,
        occasion=alert.occasion,
        severity=alert.severity,
        capped=alert.capped,
        calls=alert.calls,
        threshold=alert.threshold,
        taken_at=place_of(alert),
        call_time=alert.position.call_time,
        record_time=alert.position.record_time,
        endpoints=tuple(endpoints_of(alert)),
        reasons=alert.reasons,
        counterfactual=alert.counterfactual,
        contributions=alert.contributions,
        transitions=alert.transitions,
        grade=alert.grade,
        overflow=UNSET if alert.overflow is None else alert.overflow,
        suppression=UNSET if alert.suppression is None else alert.suppression,
    )
