"""Comparison: a model and simpler detectors on the same sessions, each with the same budget of false alerts.

The log is cut in two by the sessions' start. The first part fits the baselines that need fitting and sets every
threshold: the lowest that alerts on at most the budget of benign sessions. The second part judges. Baselines see the
sessions as they are, attacks and all; labels only set thresholds.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np

from scorer.baselines.half_space_trees import half_space_scores
from scorer.baselines.isolation_forest import isolation_scores
from scorer.baselines.midas import TICK_MS, edge_bursts
from scorer.baselines.transitions import RULE_OF_THUMB, rare_transitions
from scorer.bootstrap import Ranked
from scorer.detection import Alerting, Detected, Scored, model_scores, ranking_of
from scorer.examples import Labels
from scorer.recording import Recording
from scorer.thresholds import within_budget

MODEL = "model"
BY_BUDGET = "by the budget"


class Contender(NamedTuple):
    """A detector to compare.

    Attributes:
        name: what it is called.
        how: what it is, in a line.
        source: where it was published; empty for the model.
        scored: its scores of all sessions judged.
        rule_of_thumb: a threshold that people use without data; None when there is none.
    """

    name: str
    how: str
    source: str
    scored: Scored
    rule_of_thumb: float | None = None


class Compared(msgspec.Struct, frozen=True):
    """A detector on the second part of the log.

    Attributes:
        name: what it is called.
        how: what it is, in a line.
        source: where it was published.
        threshold: score from which it alerts; None for a model's own two thresholds.
        chosen: how the threshold was chosen.
        detected: what its alerts come to.
        ranked: how well its scores rank sessions.
    """

    name: str
    how: str
    source: str
    threshold: float | None
    chosen: str
    detected: Detected
    ranked: Ranked


class Comparison(msgspec.Struct, frozen=True):
    """Detectors on the second part of the log, the model first.

    Attributes:
        budget: alerts in 1,000 benign sessions of the first part that every threshold was chosen by.
        training_sessions: sessions of the first part.
        test_sessions: sessions of the second part.
        detectors: the detectors.
    """

    budget: float
    training_sessions: int
    test_sessions: int
    detectors: list[Compared]


Advance = Callable[[str], None]


def half_way(recording: Recording) -> int:
    """Return the event time before which half of the sessions judged start, epoch milliseconds."""
    return int(np.median(recording.vectors.start[recording.judged]))


def halves(recording: Recording) -> tuple[Labels, Labels]:
    """Return the sessions judged that start before half way, and those that start later."""
    first = recording.vectors.start < half_way(recording)
    return recording.judged & first, recording.judged & ~first


def compare(recording: Recording, budget: float | None, seed: int, advance: Advance = lambda _: None) -> Comparison:
    """Return the comparison.

    Args:
        recording: labelled sessions with the model's scores.
        budget: alerts in 1,000 benign sessions; None for as many as the model raises in the first part.
        seed: of the bootstrap and of baselines that draw.
        advance: told what is being scored.

    Raises:
        ValueError: a part holds no benign or no attacked session.
    """
    training, test = halves(recording)
    attacked = recording.vectors.attacked
    for part in (training, test):
        if not (part & attacked).any() or not (part & ~attacked).any():
            raise ValueError("each half of the log needs attacked and benign sessions to compare detectors by")
    model = Contender(MODEL, "the bundle evaluated", "", model_scores(recording))
    alerting = recording.alerting[model.scored.rows]
    if budget is None:
        budget = 1000 * Alerting(*_part(model.scored, training, alerting)).false_alerts.value
    own = Alerting(*_part(model.scored, test, alerting)).detected(seed)
    detectors = [_result(model, None, "the bundle's own", own, ranking_of(model.scored.of(test), seed))]
    for contender in chain([model], baselines(recording, training, seed)):
        advance(contender.name)
        scored = contender.scored.of(test)
        ranked = ranking_of(scored, seed)
        benign = contender.scored.of(training & ~attacked).greatest()
        thresholds = {BY_BUDGET: within_budget(benign[~np.isnan(benign)], budget)}
        if contender.rule_of_thumb is not None:
            thresholds["rule of thumb"] = contender.rule_of_thumb
        for chosen, threshold in thresholds.items():
            detected = Alerting(scored, scored.scores >= threshold).detected(seed)
            detectors.append(_result(contender, threshold, chosen, detected, ranked))
    return Comparison(budget, int(training.sum()), int(test.sum()), detectors)


def _part(scored: Scored, sessions: Labels, alerting: Labels) -> tuple[Scored, Labels]:
    """Return the moments of some sessions, and which of them alert."""
    return scored.of(sessions), alerting[sessions[scored.moments.session[scored.rows]]]


def _result(contender: Contender, threshold: float | None, chosen: str, detected: Detected, ranked: Ranked) -> Compared:
    return Compared(contender.name, contender.how, contender.source, threshold, chosen, detected, ranked)


def baselines(recording: Recording, training: Labels, seed: int) -> Iterator[Contender]:
    """Yield the baselines with their scores of the sessions judged, one after another.

    Args:
        recording: the sessions.
        training: sessions to fit to.
        seed: of baselines that draw.
    """
    calls, vectors = recording.calls, recording.vectors
    of_calls, of_vectors = recording.call_moments(), recording.vector_moments()
    rows, ready = np.flatnonzero(recording.judged[calls.session]), np.flatnonzero(recording.ready)
    fitted = training[vectors.session] & recording.ready
    yield Contender(
        "transition rule",
        "counts transitions seen in less than 5 % of those that leave their source",
        "first-order Markov chain of Ye, IEEE SMC Workshop 2000, as a counting rule",
        Scored(of_calls, rows, rare_transitions(calls, training[calls.session])[rows]),
        RULE_OF_THUMB,
    )
    tick = (calls.time - calls.time.min()) // TICK_MS + 1
    yield Contender(
        "MIDAS",
        "bursts of calls of one client to one endpoint, from count-min sketches",
        "Bhatia et al., AAAI 2020",
        Scored(of_calls, rows, edge_bursts(vectors.client[calls.session], calls.endpoint, tick, seed)[rows]),
    )
    yield Contender(
        "half-space trees",
        "streaming half-space trees (river) over the feature vectors",
        "Tan, Ting and Liu, IJCAI 2011",
        Scored(of_vectors, ready, half_space_scores(vectors.values[ready], fitted[ready], seed)),
    )
    yield Contender(
        "isolation forest",
        "isolation forest (scikit-learn) over the feature vectors",
        "Liu, Ting and Zhou, ICDM 2008",
        Scored(of_vectors, ready, isolation_scores(vectors.values[ready], fitted[ready], seed)),
    )
