"""Ablation: what detection loses when a group of features says nothing of a session.

Each session gets the group's columns of a benign session drawn at random, vector by vector: permutation importance
(Breiman, Random Forests, Machine Learning 45, 2001) of whole groups, and of whole sessions, since their vectors
resemble each other. Donors are benign because a budget of false alerts is small: columns of attacks, put into as many
benign sessions as there are attacks, would use it up alone. A group then has one distribution, whoever calls.

The model is not fitted anew. What correlated groups say in common is not missed when one of them is permuted, and pairs
of values that do not occur together are judged by trees that never saw them (Hooker, Mentch and Zhou, Statistics and
Computing 31, 2021): it measures what this model uses, not what another could do without.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from featurizer.features import FeatureSchema, Group, Matrix
from scorer.alerts import AlertPolicy
from scorer.bootstrap import Estimate, Ranking, Weights, by_client
from scorer.detection import Alerting, model_scores
from scorer.examples import Indices, Scores
from scorer.recording import Recording, position_in_group
from scorer.tuning import Budget, Tuning

REPEATS = 5
"""Draws of donors that a loss is the mean of."""


class Scorer(NamedTuple):
    """A model that can score changed vectors.

    Attributes:
        score: the scores of raw features, shape (n,) of (n, f).
        schema: the features.
    """

    score: Callable[[Matrix], Scores]
    schema: FeatureSchema


class GroupLoss(msgspec.Struct, frozen=True):
    """What detection loses without a group, with intervals by client and draw; negative where it gains.

    Attributes:
        group: the group.
        features: its features.
        found: share of the attacked sessions that are no longer found.
        average_precision: by how much average precision is less.
    """

    group: str
    features: list[str]
    found: Estimate
    average_precision: Estimate


class Ablation(msgspec.Struct, frozen=True):
    """What each group of features is worth to a model.

    Attributes:
        budget: false alerts in 1,000 benign sessions that thresholds are chosen by, each time anew.
        repeats: draws of donors.
        found: share of the attacked sessions found with all groups.
        average_precision: with all groups.
        losses: a group each, the greatest loss of attacks found first.
    """

    budget: float
    repeats: int
    found: Estimate
    average_precision: Estimate
    losses: list[GroupLoss]


def ablate(recording: Recording, scorer: Scorer, budget: float | None, seed: int) -> Ablation:
    """Measure what each group of features is worth.

    Args:
        recording: labelled sessions, of which at least one attacked and one benign were judged.
        scorer: the model that judged them.
        budget: false alerts in 1,000 benign sessions; None for as many as the model raised.
        seed: of donors and intervals.
    """
    if budget is None:
        scored = model_scores(recording)
        budget = 1000 * Alerting(scored, recording.alerting[scored.rows]).false_alerts.value
    groups = list(dict.fromkeys(feature.group for feature in scorer.schema.features))
    intact = _Outcome(recording, budget)
    donors = [donated_rows(recording, np.random.default_rng((seed, repeat))) for repeat in range(REPEATS)]
    without = [[_Outcome(_rescored(recording, scorer, group, rows), budget) for rows in donors] for group in groups]

    rng = np.random.default_rng((seed, REPEATS))

    def figures(weights: Weights, draws: Indices) -> Weights:
        numbers, counts = np.unique(draws, return_counts=True)
        whole, lost = intact.figures(weights), []
        for repeats in without:
            parts = [whole - repeats[number].figures(weights) for number in numbers]
            lost.append(np.average(parts, axis=0, weights=counts))
        return np.concatenate([whole, *lost])

    value = figures(np.ones(len(intact.judged)), np.arange(REPEATS))
    # Donors were drawn as well as clients: the intervals have to cover both.
    _, low, high = by_client(
        lambda weights: figures(weights, rng.integers(0, REPEATS, REPEATS)),
        recording.vectors.client[intact.judged],
        seed,
    )
    estimates = [Estimate(*one) for one in zip(value.tolist(), low.tolist(), high.tolist(), strict=True)]
    losses = [
        GroupLoss(
            group=str(group),
            features=[own.name for own in scorer.schema.features if own.group is group],
            found=estimates[2 * number + 2],
            average_precision=estimates[2 * number + 3],
        )
        for number, group in enumerate(groups)
    ]
    losses.sort(key=lambda loss: -loss.found.value)
    return Ablation(budget, REPEATS, estimates[0], estimates[1], losses)


class _Outcome:
    """What scores come to, for any weights of the sessions judged."""

    def __init__(self, recording: Recording, budget: float) -> None:
        thresholds = Tuning(recording, AlertPolicy(), labelled=True, seed=0).chosen(Budget(budget))
        scored = model_scores(recording)
        limits = np.where(recording.complete[scored.rows], thresholds.closed, thresholds.open)
        self.judged, scores = scored.ranking()
        self._attacked = recording.vectors.attacked[self.judged]
        self._found = Alerting(scored, scored.scores >= limits).finds[self.judged]
        self._ranking = Ranking(self._attacked, scores)

    def figures(self, weights: Weights) -> Weights:
        """Return the share of the attacked sessions found, and average precision; NaN where no attack has weight."""
        attacks = weights[self._attacked].sum()
        found = weights[self._attacked & self._found].sum() / attacks if attacks else np.nan
        return np.array([found, self._ranking.average_precision(weights)])


def _rescored(recording: Recording, scorer: Scorer, group: Group, donated: Indices) -> Recording:
    """Return the recording with the scores that its vectors get with a group's columns of other vectors."""
    columns = np.array([own.group is group for own in scorer.schema.features])
    rows = np.flatnonzero(recording.ready)
    values = recording.vectors.values[rows]
    values[:, columns] = recording.vectors.values[donated][:, columns]
    scores = recording.scores.copy()
    scores[rows] = scorer.score(values)
    return replace(recording, scores=scores)


def donated_rows(recording: Recording, rng: np.random.Generator) -> Indices:
    """Return for each vector that counts the vector it gets columns of, shape (vectors that count,).

    A session's first vector gets those of its donor's first one, and so on, its last those of the last. Benign
    sessions swap among themselves; attacked ones draw with replacement.
    """
    rows, attacked = np.flatnonzero(recording.ready), recording.vectors.attacked
    session = recording.vectors.session[rows]
    benign = np.flatnonzero(recording.judged & ~attacked)
    donor = np.zeros(len(attacked), dtype=np.intp)
    donor[benign] = rng.permutation(benign)
    donor[attacked] = rng.choice(benign, int(attacked.sum()))
    count = np.bincount(session, minlength=len(attacked))
    first = np.cumsum(count) - count
    position, last = position_in_group(session), count[donor[session]] - 1
    at_end = position == count[session] - 1
    place = first[donor[session]] + np.where(at_end, last, np.minimum(position, last))
    donated: Indices = rows[np.argsort(session, kind="stable")][place]
    return donated
