"""Objects of OCSF 1.8.0 that an alert fills, with the attributes that it fills.

Names and enum values are those of the published schema (https://schema.ocsf.io, repository ocsf/ocsf-schema), against
which the tests hold every finding. The JSON Schema of the topic of anomalies is generated from here. Times are epoch
milliseconds.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all objects; an attribute that is not said is absent."""


class Product(Object, frozen=True, kw_only=True):
    """The program that made the finding.

    Attributes:
        name: gatewatch.
        vendor_name: gatewatch.
        version: of gatewatch.
    """

    name: str
    vendor_name: str
    version: str


class Metadata(Object, frozen=True, kw_only=True):
    """About the record.

    Attributes:
        version: of OCSF.
        uid: of the alert, deterministic: a record that comes twice is one alert.
        product: what made it.
        log_name: Kafka topic of the calls.
        correlation_uid: id of the session, on the topics of features and labels too.
        processed_time: when the alert was made.
        original_event_uid: record of the session's latest call, `topic-partition@offset`; only while it grows.
    """

    version: Literal["1.8.0"]
    uid: str
    product: Product
    log_name: str
    correlation_uid: str
    processed_time: int
    original_event_uid: str | UnsetType = UNSET


class Analytic(Object, frozen=True, kw_only=True):
    """The model or rules that judged.

    Attributes:
        uid: of the model bundle.
        name: what it judges, or that rules did.
        type_id: 1, rule, while the degree tables learn; then 4, learning.
        type: caption of the id.
        algorithm: of the model; rules have none.
        category: what its features are of.
        state_id: 1, active.
        state: caption of the id.
        desc: score and threshold.
    """

    uid: str
    name: str
    type_id: Literal[1, 4]
    type: Literal["Rule", "Learning (ML/DL)"]
    algorithm: str | UnsetType = UNSET
    category: str
    state_id: Literal[1]
    state: Literal["Active"]
    desc: str


class Entry(Object, frozen=True, kw_only=True):
    """An entry of a catalogue.

    Attributes:
        uid: its id.
        name: its name.
    """

    uid: str
    name: str


class Attack(Object, frozen=True, kw_only=True):
    """A technique of MITRE ATT&CK that behaviour like this is a sign of.

    Attributes:
        version: of the ATT&CK matrix.
        tactic: what it serves.
        technique: the technique.
        sub_technique: the finer one, where one is known.
    """

    version: str
    tactic: Entry
    technique: Entry
    sub_technique: Entry | UnsetType = UNSET


class Tag(Object, frozen=True, kw_only=True):
    """A tag.

    Attributes:
        name: `owasp_api`, for a risk of the OWASP API Security Top 10.
        value: id of the risk, for example API1:2023.
    """

    name: str
    value: str


class FindingInfo(Object, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        uid: of the finding, deterministic: all alerts of a session tell of one finding, so it is the session's id.
        title: the same for all.
        desc: the message.
        types: kind of finding.
        created_time: when it was first told of; absent in an update.
        modified_time: when it was told of again; only in an update.
        first_seen_time: first call of the session.
        last_seen_time: its latest call.
        data_sources: the topic of the calls.
        analytic: the model.
        attacks: techniques of MITRE ATT&CK that it is a sign of; absent where there is none.
        tags: risks of the OWASP API Security Top 10 that it is a sign of; absent where there is none.
        related_events_count: calls of the session so far.
    """

    uid: str
    title: str
    desc: str
    types: tuple[str, ...]
    created_time: int | UnsetType = UNSET
    modified_time: int | UnsetType = UNSET
    first_seen_time: int
    last_seen_time: int
    data_sources: tuple[str, ...]
    analytic: Analytic
    attacks: tuple[Attack, ...] | UnsetType = UNSET
    tags: tuple[Tag, ...] | UnsetType = UNSET
    related_events_count: int


class Resource(Object, frozen=True, kw_only=True):
    """An endpoint of the rarest transitions.

    Attributes:
        uid: HTTP method and route template.
        name: likewise.
        type: API endpoint.
        role_id: 1, target.
        role: caption of the id.
    """

    uid: str
    name: str
    type: str
    role_id: Literal[1]
    role: Literal["Target"]


class Observable(Object, frozen=True, kw_only=True):
    """A value to look for elsewhere.

    Attributes:
        name: where it is in the finding.
        type_id: 31 user id, 2 IP address, 10 resource.
        type: caption of the id.
        value: the value.
    """

    name: str
    type_id: Literal[2, 10, 31]
    type: Literal["IP Address", "Resource UID", "User Object: uid"]
    value: str
