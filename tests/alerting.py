"""Vectors, verdicts and alerts to test with: what does not matter to a test has a plain value."""

import math
from typing import Any

import msgspec

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector, Group, Occasion
from scorer.alerts import Alert, AlertPolicy, Position, Transition, make_alert
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Direction, Explanation, Reason
from scorer.verdicts import Readiness, Verdict

VECTOR = FeatureVector(
    session_id="5e551010",
    client="user:ann",
    occasion=Occasion.GROWING,
    start=1_700_000_000_000,
    end=1_700_000_042_000,
    calls=16,
    schema=ACCESS_BEHAVIOUR_V1.fingerprint,
    values=(12.0, 9.0, 12 / 9, 12 / 81, math.nan, *(0.5,) * 18),
    total_edges=1000,
)
VERDICT = Verdict(
    session_id=VECTOR.session_id,
    occasion=VECTOR.occasion,
    model="test-0123456789ab",
    score=0.875,
    threshold=0.6,
    readiness=Readiness.READY,
    total_edges=1000,
    minimum_edges=100,
)
MANY = Contribution(
    "n_connections", "distinct transitions", 140.0, 3.0, 12.0, Direction.ABOVE, 1.5, "edges", Group.SHAPE
)
RARE = Contribution(
    "min_dest", "how common the rarest endpoint is", 0.25, 5.5, 1200.0, Direction.BELOW, 2.5, "1", Group.DESTINATIONS
)
PLAIN = Contribution(
    "n_apis", "distinct endpoints called", 9.0, 2.0, 10.0, Direction.WITHIN, 0.5, "endpoints", Group.SHAPE
)
LOWERING = Contribution(
    "edges_per_api", "transitions per endpoint", 1.5, 1.0, 2.0, Direction.WITHIN, -1.0, "1", Group.SHAPE
)
UNKNOWN = Contribution(
    "std_source", "spread of the sources", None, 5.0, 90.0, Direction.MISSING, 0.75, "1", Group.SOURCES
)
REASONS = (
    Reason(Group.DESTINATIONS, 2.5, "min_dest", Direction.BELOW, "It went to rare endpoints."),
    Reason(Group.SHAPE, 1.0, "n_connections", Direction.ABOVE, "It made many transitions."),
    Reason(Group.SOURCES, 0.75, "std_source", Direction.MISSING, "Spread of the sources: unknown."),
)
COUNTERFACTUAL = Counterfactual("min_dest", 0.25, 4.5, 0.59)
EXPLANATION = Explanation((MANY, LOWERING, RARE, PLAIN, UNKNOWN), REASONS, COUNTERFACTUAL)
POSITION = Position("calls", 3, 4711, 1_700_000_042_000, 1_700_000_042_500)


def change(item: Contribution, **changes: Any) -> Contribution:
    """Return a contribution with changes."""
    return msgspec.structs.replace(item, **changes)


def vector(**changes: Any) -> FeatureVector:
    """Return VECTOR with changes."""
    return msgspec.structs.replace(VECTOR, **changes)


def verdict_of(own: FeatureVector, **changes: Any) -> Verdict:
    """Return VERDICT on a vector, with changes."""
    return msgspec.structs.replace(VERDICT, **{"session_id": own.session_id, "occasion": own.occasion, **changes})


def alert_of(own: FeatureVector = VECTOR, *, policy: AlertPolicy | None = None, **changes: Any) -> Alert:
    """Return the alert on a vector; changes are those of ``make_alert``'s arguments."""
    policy = policy or AlertPolicy()
    verdict = changes.get("verdict", VERDICT)
    parts: dict[str, Any] = {
        "vector": own,
        "verdict": verdict_of(own),
        "grade": policy.severity.grade(own, verdict.score),
        "policy": policy,
        "explanation": EXPLANATION,
        "transitions": [Transition("GET /a", "DELETE /users/{id}", 0.02), Transition("GET /a", "GET /b", 4.5)],
        "capped": False,
        "follows": False,
        "position": POSITION,
    }
    return make_alert(**{**parts, **changes})
