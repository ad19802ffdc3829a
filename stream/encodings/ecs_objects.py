"""Field sets of the Elastic Common Schema that an alert fills, with the fields that it fills.

Names are those of elastic/ecs, against which the tests hold every document; the field set ``gatewatch`` is its own.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from featurizer.features import Occasion
from scorer.alerts import AlertKind, Transition
from scorer.budget import Overflow
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Reason
from scorer.severity import Grade, Severity
from scorer.suppression import Suppression


class FieldSet(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all field sets; a field that is not said is absent."""


class Ecs(FieldSet, frozen=True, kw_only=True):
    """About the document.

    Attributes:
        version: of the Elastic Common Schema.
    """

    version: str


class Event(FieldSet, frozen=True, kw_only=True):
    """The alert as an event.

    Attributes:
        id: of the alert, deterministic: a document that comes twice is one alert. A good document id.
        kind: alert.
        category: intrusion_detection and api.
        type: info.
        action: finding-created for the first alert of a session, finding-updated for one that follows it.
        module: gatewatch.
        dataset: gatewatch.alerts.
        created: when the alert was made.
        start: first call of the session.
        end: its latest call.
        duration: from the one to the other, nanoseconds.
        severity: 21 low, 47 medium, 73 high, 99 critical, as Elastic Security counts.
        risk_score: the score.
        risk_score_norm: the score in percent.
        reason: the strongest reason; absent when there is none.
    """

    id: str
    kind: Literal["alert"]
    category: tuple[Literal["intrusion_detection", "api"], ...]
    type: tuple[Literal["info"], ...]
    action: Literal["finding-created", "finding-updated"]
    module: Literal["gatewatch"]
    dataset: Literal["gatewatch.alerts"]
    created: str
    start: str
    end: str
    duration: int
    severity: Literal[21, 47, 73, 99]
    risk_score: float
    risk_score_norm: float
    reason: str | UnsetType = UNSET


class Rule(FieldSet, frozen=True, kw_only=True):
    """The model that judged.

    Attributes:
        id: uid of the model bundle.
        name: the finding's title.
        category: API behaviour.
    """

    id: str
    name: str
    category: str


class User(FieldSet, frozen=True, kw_only=True):
    """The client, whatever its name is.

    Attributes:
        id: name of the client, which is the record's key too.
    """

    id: str


class Source(FieldSet, frozen=True, kw_only=True):
    """Where the calls came from.

    Attributes:
        address: the address by which the client is known.
        ip: likewise.
    """

    address: str
    ip: str


class Related(FieldSet, frozen=True, kw_only=True):
    """Values to look for elsewhere.

    Attributes:
        user: the client, when it is known by a name that people use.
        ip: the address by which the client is known.
    """

    user: tuple[str, ...] | UnsetType = UNSET
    ip: tuple[str, ...] | UnsetType = UNSET


class Entries(FieldSet, frozen=True, kw_only=True):
    """Entries of a catalogue, each id with its name at the same place.

    Attributes:
        id: ids.
        name: names.
    """

    id: tuple[str, ...]
    name: tuple[str, ...]


class Technique(FieldSet, frozen=True, kw_only=True):
    """Techniques, each id with its name at the same place.

    Attributes:
        id: ids.
        name: names.
        subtechnique: the finer ones, where some are known.
    """

    id: tuple[str, ...]
    name: tuple[str, ...]
    subtechnique: Entries | UnsetType = UNSET


class Threat(FieldSet, frozen=True, kw_only=True):
    """What behaviour like this is a sign of.

    Attributes:
        framework: MITRE ATT&CK.
        tactic: tactics.
        technique: techniques.
    """

    framework: Literal["MITRE ATT&CK"]
    tactic: Entries
    technique: Technique


class Observer(FieldSet, frozen=True, kw_only=True):
    """The program that made the alert.

    Attributes:
        vendor: gatewatch.
        product: gatewatch.
        type: sensor.
        version: of gatewatch.
    """

    vendor: str
    product: str
    type: Literal["sensor"]
    version: str


class Gatewatch(FieldSet, frozen=True, kw_only=True):
    """What the Elastic Common Schema has no field for. Times are epoch milliseconds.

    Attributes:
        finding: id of the finding, which is the session's: all alerts of a session tell of one finding.
        kind: early while the session was open, raised when its severity rose after that, closing at its end.
        identity: what the client's name is: consumer, subject, user, credential, session, address_agent or address;
            absent when not known.
        occasion: what the score was taken at: the session grew, paused (quiet) or ended (closed).
        severity: low, medium, high or critical.
        capped: the session had reached a limit, so that its graph is incomplete.
        calls: calls of the session so far.
        threshold: score from which this kind alerts.
        taken_at: record at which the score was taken, `topic-partition@offset`.
        call_time: event time of the session's latest call.
        record_time: Kafka timestamp of that call's record.
        endpoints: endpoints of the rarest transitions, each once.
        reasons: groups of features that raised the score, first the strongest.
        counterfactual: value of one feature that alone would have kept the score under the threshold; null when no
            value of a feature that the message tells of would.
        contributions: features that raised the score most, first the strongest.
        transitions: rarest transitions of the session, first the rarest.
        grade: how the severity came about.
        overflow: what there is to tell of the alert budget; absent without one.
        suppression: the rule that accounts for the alert; absent when none does.
    """

    finding: str
    kind: AlertKind
    identity: str | UnsetType = UNSET
    occasion: Occasion
    severity: Severity
    capped: bool
    calls: int
    threshold: float
    taken_at: str
    call_time: int
    record_time: int
    endpoints: tuple[str, ...]
    reasons: tuple[Reason, ...]
    counterfactual: Counterfactual | None
    contributions: tuple[Contribution, ...]
    transitions: tuple[Transition, ...]
    grade: Grade
    overflow: Overflow | UnsetType = UNSET
    suppression: Suppression | UnsetType = UNSET


class EcsAlert(FieldSet, frozen=True, kw_only=True, rename={"timestamp": "@timestamp"}):
    """An alert as a document of the Elastic Common Schema.

    Attributes:
        @timestamp: when the alert was made.
        ecs: about the document.
        message: what happened and why it is unusual, for a person.
        tags: risks of the OWASP API Security Top 10 that it is a sign of, for example API1:2023; absent where there is
            none.
        event: the alert as an event.
        rule: the model that judged.
        user: the client, unless it is an address and nothing else.
        source: the address by which the client is known; absent where there is none.
        related: values to look for elsewhere.
        threat: what behaviour like this is a sign of; absent where there is none.
        observer: the program that made the alert.
        gatewatch: what the Elastic Common Schema has no field for.
    """

    timestamp: str
    ecs: Ecs
    message: str
    tags: tuple[str, ...] | UnsetType = UNSET
    event: Event
    rule: Rule
    user: User | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    related: Related
    threat: Threat | UnsetType = UNSET
    observer: Observer
    gatewatch: Gatewatch
