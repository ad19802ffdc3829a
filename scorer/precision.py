"""Precision: how many of the sessions that a model alerted were attacks, as far as people have said."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import nlargest
from sys import intern

import msgspec

from scorer.feedback import UNNAMED, Said, SessionLabel
from scorer.judged import Share

MOST_MODELS = 20
"""Models that labels are counted for: a dashboard shows no more, and whoever writes labels can name any number."""
_NAME_LENGTH = 120
"""Of a model's name in a count, in characters: bundles have shorter ones, and a label can say anything."""


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
    share = attacks_among(said)
    low, high = share.interval if share.of else (None, None)
    return ModelPrecision(
        model=model,
        alerted=len(sessions),
        attacks=share.hits,
        others=share.of - share.hits,
        tests=said[Said.TEST],
        unlabelled=len(sessions) - said.total(),
        precision=share.value if share.of else None,
        low=low,
        high=high,
    )


def attacks_among(said: Mapping[Said, int]) -> Share:
    """Return the attacks among the sessions that were labelled as attack or as none, given how many were what."""
    attacks = said.get(Said.TRUE_POSITIVE, 0)
    return Share(attacks, attacks + said.get(Said.FALSE_POSITIVE, 0) + said.get(Said.BENIGN, 0))


class LabelTally:
    """What people said of the sessions that each model alerted, as the labels themselves name it.

    Of a session the latest label counts, and one that is taken back no longer does. So the counts depend on the labels
    that there are and on nothing else, whenever somebody began to take them.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, Said, int]] = {}
        self._said: defaultdict[str, Counter[Said]] = defaultdict(Counter)  # kept up: a label must not cost a recount

    def take(self, session: str, label: SessionLabel | None) -> None:
        """Take the next label of a session; None when nothing is said of it any more."""
        before = self._latest.pop(session, None)
        if before is not None:
            model, verdict, _ = before
            self._said[model][verdict] -= 1
            if not self._said[model].total():
                del self._said[model]
        if label is not None:
            # A label may be kept for years: of one only this much is, and equal names are one object.
            model = intern((label.model or UNNAMED)[:_NAME_LENGTH])
            self._latest[session] = (model, label.verdict, label.time)
            self._said[model][label.verdict] += 1

    def by_model(self) -> dict[str, Counter[Said]]:
        """Return how many sessions were what, by model: the MOST_MODELS that labels of the latest time name.

        Labels that name no model are counted under UNNAMED.
        """
        said = {model: +counts for model, counts in self._said.items()}
        if len(said) <= MOST_MODELS:
            return said
        times: dict[str, int] = {}
        for model, _, time in self._latest.values():
            times[model] = max(time, times.get(model, time))
        return {model: said[model] for model in nlargest(MOST_MODELS, said, lambda model: (times[model], model))}
