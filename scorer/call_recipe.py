"""The recipe for call logs: a model from labelled sessions of one's own API, whole ones and their beginnings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from featurizer.features import FeatureSchema
from scorer.catboost_recipe import CatBoostRecipe
from scorer.examples import Examples, Labels
from scorer.feedback import Feedback
from scorer.isolation_recipe import IsolationRecipe
from scorer.labelling import LabelledVectors
from scorer.manifest import DataSource, Interval, Manifest
from scorer.thresholds import Thresholds
from scorer.training import INNER_FOLDS, AnyRecipe, Prepare, Recipe, Trained, assemble, smallest_table

FALSE_ALERT_BUDGET = 1.0
"""Benign sessions in 1,000 that may raise an alert, unless told otherwise."""
BUDGET = ("false_alert_budget", "false_alerts_a_day", "benign_sessions_a_day")
"""Parameters of a manifest that tell the budget: in 1,000; where it was given by day also how it became that."""
FEWEST_ATTACKS = 10
"""Attacked sessions, and benign ones, below which nothing can be learnt and measured."""

RECIPES: Mapping[str, AnyRecipe] = {own.NAME: own for own in (Recipe(), CatBoostRecipe(), IsolationRecipe())}
"""The recipe of each kind of model."""

COPIES = 3
"""Copies of every training row as of another mix of traffic."""
VARIATION = 0.05
"""How far each feature of the traffic is moved in a copy: standard deviation of the logarithm."""


class Weaving(msgspec.Struct, frozen=True, kw_only=True):
    """How calls without labels came to have labelled attacks.

    Attributes:
        attacks: attacks woven in.
        left_out: kinds of attack that the API offers no endpoints for, with what it lacks.
        contamination: share of the sessions that was assumed to be hidden attacks.
        trimmed: sessions left out of training for it.
    """

    attacks: int
    left_out: dict[str, str]
    contamination: float
    trimmed: int

    def parameters(self) -> dict[str, Any]:
        """Return what a manifest records."""
        return {
            "woven_attacks": self.attacks,
            "kinds_left_out": sorted(self.left_out),
            "contamination": self.contamination,
            "trimmed_sessions": self.trimmed,
        }


@dataclass(frozen=True, eq=False)
class CallVectors:
    """What a model of call logs is trained on.

    Attributes:
        vectors: labelled vectors, in log order.
        weaving: how the attacks came about, when they were woven in.
        feedback: which sessions these are, when people labelled some of those that workers judged.
        sha256: hash of the records read, of a source that has no files.
    """

    vectors: LabelledVectors
    weaving: Weaving | None = None
    feedback: Feedback | None = None
    sha256: str = ""


class DailyBudget(msgspec.Struct, frozen=True):
    """A budget of false alerts by day.

    Attributes:
        false_alerts_a_day: benign sessions a day that may raise an alert, early or at their end.
        benign_sessions_a_day: those of the input; 0 until it has been read.
    """

    false_alerts_a_day: float
    benign_sessions_a_day: float = 0.0

    def of(self, vectors: LabelledVectors) -> "DailyBudget":
        """Return the budget for an input: its benign sessions that are judged, by the time that they were counted in.

        Raises:
            ValueError: there is no benign session.
        """
        judged = np.bincount(vectors.session[ready(vectors)], minlength=len(vectors.attacks)) > 0
        benign = judged & ~vectors.attacked
        if not benign.any():
            raise ValueError("no benign session to tell from how many there are a day")
        return DailyBudget(self.false_alerts_a_day, int(benign.sum()) / vectors.days(benign))

    @property
    def in_thousand(self) -> float:
        """What it comes to: benign sessions in 1,000, all of them at most."""
        return 1000 * min(1.0, self.false_alerts_a_day / self.benign_sessions_a_day)


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user decides.

    Attributes:
        name: what the model is called.
        seed: seed of every random choice.
        false_alert_budget: benign sessions in 1,000 that may raise an alert, early or at their end.
        daily: the budget was given by day; None when it was given in 1,000.
        recipe: parameters of the trees.
        candidates: recipes to choose from, that one among them; 1 is no search.
        session_limits: settings that the sessions were cut by, by name; recorded, since service should have the same.
        weaving: how the labelled attacks came about, when they were woven in.
        feedback: which sessions these are, when people labelled some of those that workers judged.
    """

    name: str
    seed: int = 0
    false_alert_budget: float = FALSE_ALERT_BUDGET
    daily: DailyBudget | None = None
    recipe: AnyRecipe = Recipe()
    candidates: int = 1
    session_limits: dict[str, float] = {}
    weaving: Weaving | None = None
    feedback: Feedback | None = None

    def budgeted(self, vectors: LabelledVectors) -> "CallOptions":
        """Return the options with a budget in 1,000, whichever way it was given.

        Raises:
            ValueError: it was given by day, and there is no benign session.
        """
        if self.daily is None:
            return self
        daily = self.daily.of(vectors)
        return msgspec.structs.replace(self, daily=daily, false_alert_budget=daily.in_thousand)


def trained_edges(vectors: LabelledVectors) -> float:
    """Return the edges in the degree table at the end of the input."""
    return float(vectors.total_edges.max())


def ready(vectors: LabelledVectors) -> Labels:
    """Return which vectors were taken when the degree table was large enough for a verdict, shape (n,).

    The others are left out of training and measuring, as they would be left out in service.
    """
    return vectors.total_edges >= smallest_table(trained_edges(vectors))


def examples_of(vectors: LabelledVectors, rows: Labels) -> Examples:
    """Return some vectors as examples: a session's rows share its weight, a client's stay together.

    Args:
        vectors: all vectors.
        rows: which of them, shape (n,).
    """
    session = vectors.session[rows]
    return Examples(
        vectors.values[rows],
        vectors.anomalous[rows],
        vectors.client[session],
        vectors.weight[session] / np.bincount(session)[session],
    )


def vary_traffic(examples: Examples, schema: FeatureSchema, seed: int) -> Examples:
    """Add copies of the rows as they might be in a somewhat other mix of traffic; weights stay the same in total.

    The mix shifts from day to day, and with it every endpoint's share of the transitions. In one recording it does
    not: there, trees learn to recognise single endpoints by their exact share, and miss the same attack a day later.

    Args:
        examples: rows to train on.
        schema: names the columns that are read from the traffic.
        seed: of the variation.
    """
    rng, columns = np.random.default_rng(seed), schema.traffic_columns
    rows = np.tile(np.arange(len(examples)), COPIES + 1)
    varied = examples.take(rows)
    features = varied.features.copy()
    features[len(examples) :, columns] *= np.exp(rng.normal(0, VARIATION, (COPIES * len(examples), len(columns))))
    return Examples(features, varied.anomalous, varied.groups, varied.weights / (COPIES + 1))


def preparation(seed: int, schema: FeatureSchema) -> Prepare:
    """Return what is done to training rows before every fit."""
    return lambda examples: vary_traffic(examples, schema, seed)


def check_size(vectors: LabelledVectors, rows: Labels) -> None:
    """Refuse input too small to learn from.

    Raises:
        ValueError: says what there is and what is needed.
    """
    present = np.unique(vectors.session[rows])
    attacked = vectors.attacked[present]
    for kind, chosen in (("attacked", present[attacked]), ("benign", present[~attacked])):
        clients = len(np.unique(vectors.client[chosen]))
        if len(chosen) < FEWEST_ATTACKS or clients < INNER_FOLDS:
            left_out, edges = len(vectors.attacks) - len(present), smallest_table(trained_edges(vectors))
            raise ValueError(
                f"there are {len(chosen)} {kind} sessions of {clients} clients to train on, at least "
                f"{FEWEST_ATTACKS} of {INNER_FOLDS} clients are needed ({left_out} sessions were too early to judge: "
                f"the degree table held fewer than {edges:,} edges)"
            )


def bundle_of_calls(  # noqa: PLR0913 -- what a manifest records, each named at the call
    vectors: LabelledVectors,
    estimator: Any,
    thresholds: Thresholds,
    options: CallOptions,
    source: DataSource,
    *,
    schema: FeatureSchema,
    metrics: Mapping[str, float],
    versions: Mapping[str, str],
    intervals: Mapping[str, Interval] | msgspec.UnsetType = msgspec.UNSET,
) -> Trained:
    """Return the bundle of the model of all sessions, without documents.

    Args:
        vectors: labelled vectors.
        estimator: fitted to those that are ``ready``.
        thresholds: its thresholds.
        options: what the user decides.
        source: where the calls came from.
        schema: features of the vectors.
        metrics: quality to record.
        versions: library versions to record.
        intervals: how far either threshold would vary, where that was measured.
    """
    parameters = {
        "model": options.recipe.NAME,
        **msgspec.structs.asdict(options.recipe),
        "candidates": options.candidates,
        "false_alert_budget": options.false_alert_budget,
        **(msgspec.structs.asdict(options.daily) if options.daily else {}),
        "traffic_copies": COPIES,
        "traffic_variation": VARIATION,
        **options.session_limits,
        **(options.weaving.parameters() if options.weaving else {}),
        **(options.feedback.parameters() if options.feedback else {}),
    }
    made = Manifest(
        name=options.name,
        thresholds=msgspec.structs.asdict(thresholds),
        minimum_edges=smallest_table(trained_edges(vectors)),
        data=source,
        trained_on=sentence(vectors, source, woven=options.weaving is not None),
        seed=options.seed,
        parameters=parameters,
        metrics=dict(metrics),
        library_versions=dict(versions),
        threshold_intervals=intervals if intervals is msgspec.UNSET else dict(intervals),
    )
    return assemble(examples_of(vectors, ready(vectors)), estimator, made, schema)


def sentence(vectors: LabelledVectors, source: DataSource, *, woven: bool) -> str:
    """Say what a model was trained on, for people who start a worker with it."""
    attacked = int(vectors.attacked.sum())
    kinds = len(set(vectors.attacks) - {""})
    clients = len(np.unique(vectors.client))
    hostile = len(np.unique(vectors.client[vectors.attacked]))
    description = source.description.rstrip(".")
    if woven:
        benign = len(vectors.attacks) - attacked
        return (
            f"{description}: {benign:,} sessions of {clients - hostile:,} clients without labels, and {attacked:,} "
            f"woven attacks of {kinds} kinds; its detection figures are on woven attacks"
        )
    return (
        f"{description}: {len(vectors.attacks):,} sessions of {clients:,} clients, {attacked:,} of them with one of "
        f"{kinds} kinds of labelled attack"
    )
