"""Verdict: what a model says of one feature vector."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from featurizer.features import FeatureVector


class Readiness(StrEnum):
    """Whether the degree tables have seen enough traffic to be compared with."""

    LEARNING = "learning"
    READY = "ready"


class Leg(StrEnum):
    """What a verdict rests on: a ladder that an installation climbs as it learns its traffic."""

    LEARNING = "learning"
    """Rules alone: the degree tables have not seen enough."""
    UNSUPERVISED = "unsupervised"
    """A model of benign sessions, which has seen no attack."""
    TRAINED = "trained"
    """A model that learnt what tells attacks from benign sessions."""


class Verdict(msgspec.Struct, frozen=True):
    """A model's judgement of one feature vector.

    Attributes:
        session_id: the session judged.
        occasion: which of its vectors (``growing``, ``quiet``, ``closed``).
        model: uid of the model bundle, or of the rules.
        score: probability of anomaly, 0 to 1.
        threshold: the score from which this occasion counts as anomalous.
        readiness: of a ``learning`` verdict only rules can make an alert.
        total_edges: edges in the degree tables when the vector was taken.
        minimum_edges: edges the tables need before a verdict is ``ready``.
        leg: what it rests on.
    """

    session_id: str
    occasion: str
    model: str
    score: float
    threshold: float
    readiness: Readiness
    total_edges: int
    minimum_edges: int
    leg: Leg = Leg.TRAINED

    @property
    def anomalous(self) -> bool:
        """True when the score reaches the threshold, and the tables are ready unless it is that of rules."""
        ready = self.readiness is Readiness.READY or self.leg is Leg.LEARNING
        return ready and self.score >= self.threshold


class JudgedVector(NamedTuple):
    """A vector, and the verdict of the model of that time; None when there was none."""

    vector: FeatureVector
    verdict: Verdict | None
