"""Verdict: what a model says of one feature vector."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from featurizer.features import FeatureVector


class Readiness(StrEnum):
    """Whether the degree tables have seen enough traffic to be compared with."""

    LEARNING = "learning"
    READY = "ready"


class Verdict(msgspec.Struct, frozen=True):
    """A model's judgement of one feature vector.

    Attributes:
        session_id: the session judged.
        occasion: which of its vectors (``growing``, ``quiet``, ``closed``).
        model: uid of the model bundle.
        score: probability of anomaly, 0 to 1.
        threshold: the score from which this occasion counts as anomalous.
        readiness: ``learning`` verdicts never become alerts.
        total_edges: edges in the degree tables when the vector was taken.
        minimum_edges: edges the tables need before a verdict is ``ready``.
    """

    session_id: str
    occasion: str
    model: str
    score: float
    threshold: float
    readiness: Readiness
    total_edges: int
    minimum_edges: int

    @property
    def anomalous(self) -> bool:
        """True when the score reaches the threshold and the tables are ready."""
        return self.readiness is Readiness.READY and self.score >= self.threshold


class JudgedVector(NamedTuple):
    """A vector, and the verdict of the model of that time; None when there was none."""

    vector: FeatureVector
    verdict: Verdict | None
