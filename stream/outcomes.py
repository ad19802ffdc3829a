"""Outcome: what became of a verdict, in a word for a person."""

from enum import StrEnum

from scorer.alerts import Alert
from scorer.verdicts import Readiness, Verdict


class Outcome(StrEnum):
    """What became of a verdict."""

    ALERT = "alert"
    SUPPRESSED = "suppressed"
    """An alert that a rule accounts for."""
    NORMAL = "normal"
    LEARNING = "learning"
    """Its score would be anomalous, but the degree table is too small to compare with."""
    HELD_BACK = "held back"
    """Anomalous, but its client was in the cooldown, its session had an alert, or the alert budget was spent."""


def outcome_of(verdict: Verdict, alert: Alert | None) -> Outcome:
    """Return what became of a verdict.

    Args:
        verdict: the verdict.
        alert: the alert that it raised; None when it raised none.
    """
    if alert is not None:
        return Outcome.ALERT if alert.suppression is None else Outcome.SUPPRESSED
    if verdict.anomalous:
        return Outcome.HELD_BACK
    learning = verdict.readiness is Readiness.LEARNING and verdict.score >= verdict.threshold
    return Outcome.LEARNING if learning else Outcome.NORMAL
