"""The fits of the recipe for call logs, and the thresholds that their scores out of fold give."""

from dataclasses import dataclass

import msgspec
import numpy as np

from featurizer.features import FeatureSchema
from scorer.call_recipe import examples_of, preparation, ready
from scorer.examples import Labels, Scores, greatest
from scorer.holdout import Holdout
from scorer.labelling import LabelledVectors
from scorer.search import search
from scorer.thresholds import Thresholds, best_f1, most_found, within_budget
from scorer.training import AnyRecipe, Fitted, fit_and_score


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
    """The thresholds of either model."""

    measured: Thresholds
    final: Thresholds


def call_thresholds(vectors: LabelledVectors, fits: CallFits, budget: float, *, woven: bool) -> CallThresholds:
    """Return the thresholds of both models; as ``chosen_thresholds``."""
    own = (chosen_thresholds(vectors, fitted, budget, woven=woven) for fitted in (fits.measured, fits.final))
    return CallThresholds(*own)


def thresholds_of(vectors: LabelledVectors, rows: Labels, scores: Scores, budget: float) -> Thresholds:
    """Return the thresholds by scores out of fold.

    ``closed``: greatest F1 over complete sessions. ``open``: the lowest that raises an early alert in at most
    ``budget`` of 1,000 benign sessions, each judged by the greatest score of its open vectors.

    Args:
        vectors: all vectors.
        rows: which of them were scored, shape (n,).
        scores: their scores, in order.
        budget: false alerts in 1,000 benign sessions.
    """
    closed, session = vectors.closed[rows], vectors.session[rows]
    early = greatest(scores[~closed], session[~closed], len(vectors.attacks))
    benign = np.setdiff1d(session, np.flatnonzero(vectors.attacked))
    return Thresholds(
        open=min(within_budget(early[benign], budget), 1.0),
        closed=best_f1(vectors.anomalous[rows][closed], scores[closed]),
    )


def chosen_thresholds(vectors: LabelledVectors, fitted: FittedRows, budget: float, *, woven: bool) -> Thresholds:
    """Return the thresholds by scores out of fold: as ``thresholds_of`` says, or for woven attacks by the budget alone.

    F1 depends on how many attacks there are among the sessions. With woven ones that number was made up, so both
    thresholds are chosen by false alerts, which are those of benign sessions and were not.

    Args:
        vectors: all vectors.
        fitted: the model that they are for.
        budget: false alerts in 1,000 benign sessions.
        woven: the attacks were woven in.
    """
    rows, scores = fitted.rows, fitted.scores
    if not woven:
        return thresholds_of(vectors, rows, scores, budget)
    closed, session = vectors.closed[rows], vectors.session[rows]
    telling = vectors.anomalous[rows] | ~vectors.attacked[session]
    moments = (telling & ~closed, telling & closed)
    early, late = (greatest(scores[own], session[own], len(vectors.attacks)) for own in moments)
    present = np.unique(session)
    attacked = present[vectors.attacked[present]]
    benign = np.setdiff1d(present, attacked)
    return most_found((early[benign], late[benign]), (early[attacked], late[attacked]), budget)
