"""Feedback: sessions that workers judged, with what people said of some of them, as vectors to train on.

A model must not teach its successor that what it alerted on is benign, nor that it is an attack: a session that it
found anomalous is left out unless somebody labelled it.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from featurizer.features import FeatureSchema, FeatureVector, Occasion
from scorer.labelling import BENIGN, LabelledVectors, Mark, Sessions, marked, sessions_of
from scorer.verdicts import JudgedVector

LABEL_WEIGHT = 5.0
"""What a labelled session counts, beside an unlabelled one, unless told otherwise."""
UNNAMED = "unnamed"
"""Kind of an attack that its label does not name."""


class Said(StrEnum):
    """What somebody found a session to be; named as in OCSF's ``verdict_id`` of an incident."""

    TRUE_POSITIVE = "true-positive"
    """An attack."""
    FALSE_POSITIVE = "false-positive"
    """Not an attack, though alerted."""
    BENIGN = "benign"
    """Not an attack."""
    TEST = "test"
    """Not what clients do: somebody trying something out. In no training."""


class SessionLabel(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody said of a session. Times are epoch milliseconds.

    Attributes:
        session_id: the session; in an alert ``metadata.correlation_uid``.
        verdict: what it was.
        time: when this was said.
        attack: kind of attack, for a true positive.
        hostile_from: event time of the first hostile call, for a true positive; the whole session when it is left out.
        by: who said it.
        model: uid of the model whose alert was looked at; empty when that is not known, or there was no alert.
    """

    session_id: Annotated[str, msgspec.Meta(min_length=1)]
    verdict: Said
    time: int
    attack: str = ""
    hostile_from: int | None = None
    by: str = ""
    model: str = ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions came to be trained on, in numbers.

    Attributes:
        label_weight: what a labelled session counts; an unlabelled one counts 1.
        attacks: labelled as attacks.
        benign: labelled as none.
        unlabelled: taken to be benign: they ended without an anomalous verdict.
        alerted: left out: a verdict was anomalous, and nobody has labelled them.
        tests: left out: labelled as tests.
        going_on: left out: they have not ended, so that nobody knows whether they will be alerted.
        without_session: labels of sessions of which there is no vector.
        foreign: records passed over: of other features, or of another program.
    """

    label_weight: float
    attacks: int
    benign: int
    unlabelled: int
    alerted: int
    tests: int
    going_on: int
    without_session: int
    foreign: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return what a manifest records."""
        return {f"feedback.{name}": value for name, value in msgspec.structs.asdict(self).items()}


def vectors_of_feedback(
    judged: Iterable[JudgedVector], labels: Mapping[str, SessionLabel], schema: FeatureSchema, label_weight: float
) -> tuple[LabelledVectors, Feedback]:
    """Return the vectors of the sessions to train on, and which were left out.

    Args:
        judged: vectors with their verdicts, those of one session in log order; one that comes twice counts once.
        labels: the latest label of each session that has one, by session.
        schema: features of the vectors.
        label_weight: what a labelled session counts.

    Raises:
        ValueError: no session is left, or a vector follows another schema.
    """
    own = {(vector.session_id, vector.occasion, vector.calls): (vector, verdict) for vector, verdict in judged}
    alerted = {vector.session_id for vector, verdict in own.values() if verdict is not None and verdict.anomalous}
    ended = {vector.session_id for vector, _ in own.values() if vector.occasion is Occasion.CLOSED}
    sessions = {vector.session_id for vector, _ in own.values()}
    tests = {name for name in sessions if name in labels and labels[name].verdict is Said.TEST}
    unlabelled = sessions - labels.keys()
    left_out = tests | (unlabelled & alerted) | (unlabelled - ended)
    kept = [vector for vector, _ in own.values() if vector.session_id not in left_out]
    if not kept:
        raise ValueError(f"none of {len(sessions)} sessions can be trained on")
    found = sessions_of(kept)
    marks = [_mark(vector, labels.get(vector.session_id), label_weight) for vector in found.last]
    return marked(found, marks, schema), Feedback(
        label_weight=label_weight,
        **_kept(found, marks, labels),
        alerted=len(unlabelled & alerted),
        tests=len(tests),
        going_on=len(unlabelled - ended - alerted),
        without_session=len(labels.keys() - sessions),
    )


def _mark(vector: FeatureVector, label: SessionLabel | None, weight: float) -> Mark:
    if label is None:
        return BENIGN
    if label.verdict is not Said.TRUE_POSITIVE:
        return Mark("", weight=weight)
    hostile_from = vector.start if label.hostile_from is None else label.hostile_from
    return Mark(label.attack or UNNAMED, hostile_from, weight)


def _kept(sessions: Sessions, marks: list[Mark], labels: Mapping[str, SessionLabel]) -> dict[str, int]:
    labelled = [vector.session_id in labels for vector in sessions.last]
    attacks = sum(bool(mark.attack) for mark in marks)
    return {"attacks": attacks, "benign": sum(labelled) - attacks, "unlabelled": len(marks) - sum(labelled)}
