"""Precision: how many of the sessions that a model alerted were attacks, as far as people have said."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from scorer.feedback import Said, SessionLabel
from scorer.judged import Share


class ModelPrecision(msgspec.Struct, frozen=True, kw_only=True):
    """What people said of the sessions that one model alerted, in sessions.

    Attributes:
        model: uid of the model bundle.
        alerted: sessions with an alert of it.
        attacks: labelled as attacks.
        others: labelled false-positive or benign.
        tests: labelled as tests: no part of the precision.
        unlabelled: nobody has said anything.
        precision: attacks among attacks and others; None when there are neither.
        low: lower bound of its interval of 95 % (Wilson's).
        high: upper bound.
    """

    model: str
    alerted: int
    attacks: int
    others: int
    tests: int
    unlabelled: int
    precision: float | None
    low: float | None
    high: float | None


def precision_by_model(alerted: Iterable[tuple[str, str]], labels: Mapping[str, SessionLabel]) -> list[ModelPrecision]:
    """Return the precision of every model, in the order in which they first alerted.

    Args:
        alerted: model and session of every alert; a session counts once a model.
        labels: the latest label of each session that has one, by session.
    """
    sessions: dict[str, set[str]] = {}
    for model, session in alerted:
        sessions.setdefault(model, set()).add(session)
    return [_precision(model, own, labels) for model, own in sessions.items()]


def _precision(model: str, sessions: set[str], labels: Mapping[str, SessionLabel]) -> ModelPrecision:
    said = Counter(labels[name].verdict for name in sessions if name in labels)
    attacks, others = said[Said.TRUE_POSITIVE], said[Said.FALSE_POSITIVE] + said[Said.BENIGN]
    share = Share(attacks, attacks + others)
    low, high = share.interval if share.of else (None, None)
    return ModelPrecision(
        model=model,
        alerted=len(sessions),
        attacks=attacks,
        others=others,
        tests=said[Said.TEST],
        unlabelled=len(sessions) - said.total(),
        precision=share.value if share.of else None,
        low=low,
        high=high,
    )
