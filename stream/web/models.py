"""What the web endpoints take and answer; their OpenAPI description is generated from these models."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from featurizer.features import ACCESS_BEHAVIOUR_V1, Group, Occasion
from scorer.reasons import Direction
from scorer.verdicts import Readiness

Endpoint = Annotated[str, Field(min_length=1, max_length=2000, examples=["GET /orders/{id}"])]
Count = Annotated[int, Field(ge=0, le=2**53)]


class Model(BaseModel):
    """Base of all bodies: unknown fields are errors, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Degrees(Model):
    """How often an endpoint is source and destination of a transition over all traffic."""

    source: Count
    """Edges that leave the endpoint."""
    destination: Count
    """Edges that enter it."""


class ScoreRequest(Model):
    """A session to score: exactly one of ``calls``, ``edges`` and ``features``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"calls": ["POST /login", "GET /orders", "GET /orders/{id}", "GET /orders/{id}"]},
                {"edges": [["POST /login", "GET /orders"], ["GET /orders", "GET /orders/{id}"]]},
                {
                    "features": dict.fromkeys(ACCESS_BEHAVIOUR_V1.names, 4.0),
                    "total_edges": 100_000,
                },
            ]
        }
    )

    calls: Annotated[list[Endpoint], Field(min_length=1)] | None = None
    """Endpoints in the order they were called: method and route template."""
    edges: Annotated[list[tuple[Endpoint, Endpoint]], Field(min_length=1)] | None = None
    """Transitions as pairs of source and destination endpoint; repeated pairs count once."""
    features: dict[str, float | None] | None = None
    """Every feature of the schema by name; null where missing."""
    degrees: dict[Endpoint, Degrees] | None = None
    """Degrees to read instead of this worker's live tables, for ``calls`` and ``edges``; absent endpoints have none."""
    total_edges: Count | None = None
    """Edges that ``degrees`` or ``features`` were counted over. Unset: the sum of the sources given, or those of the
    live tables."""
    occasion: Occasion = Occasion.CLOSED
    """Which threshold applies: ``closed`` for a whole session, ``growing`` or ``quiet`` for an open one."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("calls", "edges", "features") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of calls, edges and features, not {' and '.join(given) or 'none'}")
        if self.features is not None and self.degrees is not None:
            raise ValueError("degrees go with calls or edges; features already contain them")
        if self.total_edges is not None and self.features is None and self.degrees is None:
            raise ValueError("total_edges goes with degrees or features; the live tables have their own")
        return self


class ExplainedFeature(Model):
    """What one feature did to the score."""

    feature: str
    """Name in the feature schema."""
    meaning: str
    """The feature in words."""
    value: float | None
    """Value of the feature; null where missing."""
    usual_low: float
    """5 % of the benign training sessions are below."""
    usual_high: float
    """5 % of the benign training sessions are above."""
    direction: Direction
    """Where the value lies against the usual range."""
    contribution: float
    """What the value added to the raw score, log-odds (exact Shapley value); negative speaks for normal."""
    group: Group
    """What the feature tells together with others."""


class GroupReason(Model):
    """What a group of features that tell the same story did to the score."""

    group: Group
    """The group."""
    contribution: float
    """Sum of what its features added to the raw score, log-odds; positive."""
    feature: str
    """The feature that the sentence tells of."""
    direction: Direction
    """Where its value lies against the usual range."""
    sentence: str
    """The value and what is usual, for a person."""


class OtherValue(Model):
    """Another value of one feature with which, all else equal, the score would have been under the threshold."""

    feature: str
    """Name in the feature schema."""
    value: float
    """Its value."""
    enough: float
    """The value nearest to it that keeps the score under the threshold."""
    score: float
    """The score with that value."""


class ScoreAnswer(Model):
    """A verdict with its explanation."""

    score: float
    """Probability of anomaly."""
    threshold: float
    """Score from which the occasion counts as anomalous."""
    anomalous: bool
    """Whether this would be an alert: the score reaches the threshold and the tables are ready."""
    readiness: Readiness
    """``learning`` while the tables hold fewer edges than ``minimum_edges``."""
    model: str
    """Uid of the model bundle."""
    total_edges: int
    """Edges that the degrees were counted over."""
    minimum_edges: int
    """Edges the tables need before verdicts count."""
    features: dict[str, float | None]
    """The features."""
    base: float
    """Raw score before any feature is known, log-odds; ``base`` and all contributions add up to the raw score."""
    reasons: list[GroupReason]
    """The groups of features that raised the score, the strongest first."""
    counterfactual: OtherValue | None
    """What alone would have kept the score under the threshold: of the foremost reasons' features the first that could;
    null when none could, or the score is under it."""
    explanation: list[ExplainedFeature]
    """Every feature, the strongest contribution first."""


class Problem(Model):
    """One thing wrong with a request."""

    field: str
    """Where: a field of the body, for example ``edges.0.1``; empty for the body as a whole."""
    problem: str
    """What is wrong."""


class ErrorAnswer(Model):
    """Why there is no answer."""

    error: str
    """In a sentence."""
    problems: list[Problem] = []
    """Every problem found in the request."""


class ReadyAnswer(Model):
    """Whether the worker does its work."""

    ready: bool
    """True when nothing is in the way."""
    reasons: list[str]
    """What is in the way."""
