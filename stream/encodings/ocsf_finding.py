"""The class Detection Finding of OCSF 1.8.0 with the attributes that an alert fills; see ``ocsf_objects``."""

from typing import Literal

from msgspec import UNSET, UnsetType

from featurizer.features import Occasion
from scorer.alerts import AlertKind
from scorer.verdicts import Leg
from stream.encodings.ocsf_evidence import AnomalyAnalysis, Evidence
from stream.encodings.ocsf_objects import FindingInfo, Metadata, Object, Observable, Resource


class Unmapped(Object, frozen=True, kw_only=True):
    """What OCSF has no attribute for.

    Attributes:
        kind: early while the session was open, raised when its severity rose after that, closing at its end.
        identity: what the client's name is: consumer, subject, user, credential, session, address_agent or address;
            absent when not known.
        occasion: what the score was taken at: the session grew, paused (quiet) or ended (closed).
        leg: what the verdict rests on: rules while the tables learn (learning), or a model that learned without labels
            (unsupervised) or with them (trained).
        taken_at: record at which the score was taken, `topic-partition@offset`.
        score: probability of anomaly.
        threshold: score from which this kind alerts.
        call_time: event time of the session's latest call.
        record_time: Kafka timestamp of that call's record.
        held_back: anomalous verdicts that the alert budget has held back since the alert before; absent without one.
        budget_spent_until: the alert budget is spent until then; absent when there is some left.
    """

    kind: AlertKind
    identity: str | UnsetType = UNSET
    occasion: Occasion
    leg: Leg
    taken_at: str
    score: float
    threshold: float
    call_time: int
    record_time: int
    held_back: int | UnsetType = UNSET
    budget_spent_until: int | UnsetType = UNSET


class DetectionFinding(Object, frozen=True, kw_only=True):
    """A Detection Finding: an alert.

    Attributes:
        activity_id: 1 for the first alert of a session, 2 for one that follows it.
        activity_name: caption of the id.
        category_uid: of the findings.
        category_name: caption of the uid.
        class_uid: of this class.
        class_name: caption of the uid.
        type_uid: class and activity.
        type_name: caption of the uid.
        time: when the alert was made.
        start_time: first call of the session.
        end_time: its latest call.
        duration: from the one to the other, milliseconds.
        count: calls so far.
        severity_id: by the score, the endpoints called and how calls were answered (`alerts.severity`).
        severity: caption of the id.
        confidence_id: 1 when the session had reached a limit, so that its graph is incomplete, or a rule alerted
            while the tables learn; otherwise 3.
        confidence: caption of the id.
        confidence_score: the score in percent.
        risk_level_id: the severity on the scale of risks.
        risk_level: caption of the id.
        risk_score: the score in percent.
        risk_details: why the severity is not that of the score; absent when it is.
        status_id: 1 in the first alert of a session, 3 in one that a rule suppresses. Another one that follows says
            nothing: somebody may be at work on it.
        status: caption of the id.
        status_detail: why it is suppressed, by which rule and for how long.
        is_alert: false in one that is suppressed.
        message: what happened and why it is unusual, for a person.
        metadata: about the record.
        finding_info: what was found.
        anomaly_analyses: values of features beside what is usual.
        evidences: who, why and which transitions.
        resources: endpoints of the rarest transitions, each once.
        observables: values to look for elsewhere.
        unmapped: what OCSF has no attribute for.
    """

    activity_id: Literal[1, 2]
    activity_name: Literal["Create", "Update"]
    category_uid: Literal[2]
    category_name: Literal["Findings"]
    class_uid: Literal[2004]
    class_name: Literal["Detection Finding"]
    type_uid: Literal[200401, 200402]
    type_name: Literal["Detection Finding: Create", "Detection Finding: Update"]
    time: int
    start_time: int
    end_time: int
    duration: int
    count: int
    severity_id: Literal[2, 3, 4, 5]
    severity: Literal["Low", "Medium", "High", "Critical"]
    confidence_id: Literal[1, 3]
    confidence: Literal["Low", "High"]
    confidence_score: int
    risk_level_id: Literal[1, 2, 3, 4]
    risk_level: Literal["Low", "Medium", "High", "Critical"]
    risk_score: int
    risk_details: str | UnsetType = UNSET
    status_id: Literal[1, 3] | UnsetType = UNSET
    status: Literal["New", "Suppressed"] | UnsetType = UNSET
    status_detail: str | UnsetType = UNSET
    is_alert: bool
    message: str
    metadata: Metadata
    finding_info: FindingInfo
    anomaly_analyses: tuple[AnomalyAnalysis, ...]
    evidences: tuple[Evidence, ...]
    resources: tuple[Resource, ...]
    observables: tuple[Observable, ...]
    unmapped: Unmapped
