"""Objects of OCSF 1.8.0 in which an alert says why: analyses and evidences; see ``ocsf_objects``."""

from typing import Literal

from msgspec import UNSET, UnsetType

from scorer.alerts import Transition
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Reason
from scorer.severity import Grade
from stream.encodings.ocsf_objects import Object


class Observation(Object, frozen=True, kw_only=True):
    """A value.

    Attributes:
        value: as text, as OCSF wants it; numbers are in the evidence.
    """

    value: str


class Anomaly(Object, frozen=True, kw_only=True):
    """A feature's value, or what is usual for it.

    Attributes:
        observation_parameter: name of the feature.
        observation_type: the feature in words.
        observed_pattern: SURGE above the usual range, RARE below, FREQUENT inside, UNSEEN without a value.
        observations: the value; of a baseline the usual range.
    """

    observation_parameter: str
    observation_type: str
    observed_pattern: Literal["SURGE", "RARE", "FREQUENT", "UNSEEN"]
    observations: tuple[Observation, ...]


class AnalysisTarget(Object, frozen=True, kw_only=True):
    """Whose behaviour was analysed.

    Attributes:
        name: the client.
        type: API client.
    """

    name: str
    type: str


class AnomalyAnalysis(Object, frozen=True, kw_only=True):
    """Values of features beside what is usual.

    Attributes:
        analysis_targets: the client.
        anomalies: features that raised the score most, first the strongest.
        baselines: their usual ranges, in the same order.
    """

    analysis_targets: tuple[AnalysisTarget, ...]
    anomalies: tuple[Anomaly, ...]
    baselines: tuple[Anomaly, ...]


class ProgrammaticCredential(Object, frozen=True, kw_only=True):
    """An API key or the like.

    Attributes:
        uid: its id.
    """

    uid: str


class User(Object, frozen=True, kw_only=True):
    """The client as a user.

    Attributes:
        uid: name of the client, which is the record's key too.
        name: likewise; absent when it is no name that people use: an address, a session, a credential.
        programmatic_credentials: the client, when it is known by the id of a credential.
    """

    uid: str
    name: str | UnsetType = UNSET
    programmatic_credentials: tuple[ProgrammaticCredential, ...] | UnsetType = UNSET


class UserSession(Object, frozen=True, kw_only=True):
    """The session.

    Attributes:
        uid: its id.
        created_time: its first call.
    """

    uid: str
    created_time: int


class Actor(Object, frozen=True, kw_only=True):
    """Who called.

    Attributes:
        user: the client.
        session: the session.
    """

    user: User
    session: UserSession


class NetworkEndpoint(Object, frozen=True, kw_only=True):
    """Where the calls came from.

    Attributes:
        ip: address of the client.
    """

    ip: str


class Api(Object, frozen=True, kw_only=True):
    """A call.

    Attributes:
        operation: endpoint: HTTP method and route template.
    """

    operation: str


class SessionData(Object, frozen=True, kw_only=True):
    """Why the alert was raised, for programs.

    Attributes:
        reasons: groups of features that raised the score, first the strongest.
        counterfactual: value of one feature that alone would have kept the score under the threshold; null when no
            value of a feature that the message tells of would.
        contributions: features that raised the score most, first the strongest.
        transitions: rarest transitions of the session, first the rarest.
        grade: how its severity came about.
    """

    reasons: tuple[Reason, ...]
    counterfactual: Counterfactual | None
    contributions: tuple[Contribution, ...]
    transitions: tuple[Transition, ...]
    grade: Grade


class Evidence(Object, frozen=True, kw_only=True):
    """Evidence: first the session, then each of its rarest transitions.

    Attributes:
        name: `session` or `rare transition`.
        actor: who called; with the session.
        src_endpoint: where from; with the session, when the client is known by an address.
        api: endpoint that a transition leads to.
        data: why; with the session.
    """

    name: Literal["session", "rare transition"]
    actor: Actor | UnsetType = UNSET
    src_endpoint: NetworkEndpoint | UnsetType = UNSET
    api: Api | UnsetType = UNSET
    data: SessionData | UnsetType = UNSET
