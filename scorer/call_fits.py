"""The fits of the recipe for call logs, and the thresholds that their scores out of fold give."""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from featurizer.features import FeatureSchema
from scorer.bootstrap import Weights, by_client
from scorer.call_recipe import examples_of, preparation, ready
from scorer.examples import Indices, Labels, greatest
from scorer.holdout import Holdout
from scorer.labelling import LabelledVectors
from scorer.manifest import Interval
from scorer.search import search
from scorer.thresholds import Greatest, Thresholds, allowed_alerts, most_found
from scorer.training import AnyRecipe, Fitted, fit_and_score

INTERVAL_RESAMPLES = 200
"""How often clients are drawn for the intervals of thresholds."""


@dataclass(frozen=True, eq=False)
class FittedRows(Fitted):
    """A model of some vectors; no model that gave a score out of fold saw a session of its client.

    Attributes:
        rows: which vectors it was fitted to, shape (n,) of all.
    """

    rows: Labels


@dataclass(frozen=True, eq=False)
class CallFits:
    """The two models of a training run.

    Attributes:
        measured: of the training side of the split; says how good the recipe is here.
        final: of all sessions; ends up in the bundle.
    """

    measured: FittedRows
    final: FittedRows


def fit_rows(  # noqa: PLR0913, PLR0917 -- what decides a fit
    vectors: LabelledVectors, rows: Labels, recipe: AnyRecipe, seed: int, schema: FeatureSchema, candidates: int = 1
) -> FittedRows:
    """Fit to some vectors, and score them out of fold.

    Args:
        vectors: all vectors.
        rows: which of them, shape (n,).
        recipe: parameters of the trees.
        seed: of the search, the fits, the folds and the variation of the traffic.
        schema: features of the vectors.
        candidates: recipes to choose from, that one among them; 1 is no search.
    """
    examples, prepare = examples_of(vectors, rows), preparation(seed, schema)
    fitted = fit_and_score(examples, search(examples, recipe, candidates, seed, prepare), seed, prepare)
    return FittedRows(fitted.estimator, fitted.scores, fitted.recipe, rows)


def fit_calls(  # noqa: PLR0913, PLR0917 -- what decides a fit
    vectors: LabelledVectors, split: Holdout, recipe: AnyRecipe, seed: int, schema: FeatureSchema, candidates: int = 1
) -> CallFits:
    """Fit both models of a training run to the vectors that are ``ready``; as ``fit_rows``."""
    usable = ready(vectors)
    sides = (usable & split.train[vectors.session], usable)
    return CallFits(*(fit_rows(vectors, rows, recipe, seed, schema, candidates) for rows in sides))


class CallThresholds(msgspec.Struct, frozen=True):
    """The thresholds of either model.

    Attributes:
        measured: those of the measured model.
        final: those of the final one.
        intervals: lower and upper bound of either threshold of the final one, 95 %.
    """

    measured: Thresholds
    final: Thresholds
    intervals: dict[str, Interval]


def call_thresholds(
    vectors: LabelledVectors, fits: CallFits, budget: float, contamination: float, seed: int
) -> CallThresholds:
    """Return the thresholds of both models; the seed is that of the intervals."""
    measured, final = (deciding(vectors, fitted, contamination) for fitted in (fits.measured, fits.final))
    return CallThresholds(measured.chosen(budget), final.chosen(budget), final.intervals(budget, seed))


class Deciding(NamedTuple):
    """The sessions that thresholds are chosen by.

    Attributes:
        benign: their greatest scores.
        attacked: the same of attacks.
        client: number of each session's client, the benign ones first.
    """

    benign: Greatest
    attacked: Greatest
    client: Indices

    def chosen(self, budget: float) -> Thresholds:
        """Return the pair of thresholds that finds the most attacks within so many false alerts in 1,000."""
        return most_found(self.benign, self.attacked, allowed_alerts(len(self.benign.early), budget))

    def intervals(self, budget: float, seed: int, resamples: int = INTERVAL_RESAMPLES) -> dict[str, Interval]:
        """Return how far either threshold would vary over other clients of the same kind, 95 %: ``open``, ``closed``.

        It is chosen again for each resample, by the scores that there are: the model stays the same.

        Args:
            budget: false alerts in 1,000 benign sessions.
            seed: of the resampling.
            resamples: how often clients are drawn, all of their sessions together.
        """
        benign = len(self.benign.early)

        def again(weights: Weights) -> Weights:
            drawn = np.repeat(np.arange(len(weights)), weights.astype(np.intp))
            attacked = drawn[drawn >= benign] - benign
            own = Deciding(self.benign.of(drawn[drawn < benign]), self.attacked.of(attacked), self.client[drawn])
            if not len(attacked) or len(attacked) == len(drawn):
                return np.full(2, np.nan)  # nothing to choose by
            chosen = own.chosen(budget)
            return np.array([chosen.open, chosen.closed])

        _, low, high = by_client(again, self.client, seed, resamples)
        names = ("open", "closed")
        return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def deciding(vectors: LabelledVectors, fitted: FittedRows, contamination: float = 0.0) -> Deciding:
    """Return the sessions, with their scores out of fold, that the thresholds of a model are chosen by.

    The budget counts benign sessions that raise any alert, at whichever of their vectors. So does a session that was
    left out of training as a suspect: it was left out because it looks like an attack, so the sessions of tomorrow that
    alert are of its kind. Only one that is likelier a hidden attack than not, given how many there may be, does not.

    Args:
        vectors: all vectors.
        fitted: the model.
        contamination: share of the sessions that may be hidden attacks, 0 to 1; those of weight 0 are suspects.
    """
    scores = greatest_scores(vectors, fitted)
    present = np.unique(vectors.session[fitted.rows])
    attacked = present[vectors.attacked[present]]
    benign = np.setdiff1d(present, attacked)
    top = np.maximum(scores.early, scores.late)[benign]
    benign = benign[(vectors.weight[benign] > 0) | (top < 1 - contamination)]
    client = vectors.client[np.concatenate([benign, attacked])]
    return Deciding(scores.of(benign), scores.of(attacked), client)


def greatest_scores(vectors: LabelledVectors, fitted: FittedRows) -> Greatest:
    """Return each session's greatest scores out of fold; of an attack, over vectors with hostile calls."""
    rows, scores = fitted.rows, fitted.scores
    closed, session, calls = vectors.closed[rows], vectors.session[rows], vectors.calls[rows]
    count = len(vectors.attacks)
    total = np.zeros(count, dtype=calls.dtype)
    np.maximum.at(total, session, calls)
    telling = vectors.anomalous[rows] | ~vectors.attacked[session]
    early = telling & ~closed
    moments = (early, telling & closed, early & (2 * calls < total[session]))
    return Greatest(*(greatest(scores[own], session[own], count) for own in moments))
