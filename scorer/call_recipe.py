"""The recipe for call logs: a model from labelled sessions of one's own API, whole ones and their beginnings."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from featurizer.features import FeatureSchema
from scorer.examples import Examples, Labels, Scores, greatest
from scorer.labelling import LabelledVectors
from scorer.manifest import DataSource, Manifest
from scorer.thresholds import Thresholds, best_f1, most_found, within_budget
from scorer.training import INNER_FOLDS, Prepare, Recipe, Trained, out_of_fold, smallest_table, train

FALSE_ALERT_BUDGET = 1.0
"""Early alerts in 1,000 benign sessions that the threshold for open sessions may raise, unless told otherwise."""
FEWEST_ATTACKS = 10
"""Attacked sessions, and benign ones, below which nothing can be learnt and measured."""

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
        trimmed: sessions taken out for it before the attacks were woven.
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


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user decides.

    Attributes:
        name: what the model is called.
        seed: seed of every random choice.
        false_alert_budget: early alerts in 1,000 benign sessions that the threshold for open sessions may raise.
        recipe: parameters of the trees.
        session_limits: settings that the sessions were cut by, by name; recorded, since service should have the same.
        weaving: how the labelled attacks came about, when they were woven in; the budget then bounds false alerts of
            any kind, early or at a session's end.
    """

    name: str
    seed: int = 0
    false_alert_budget: float = FALSE_ALERT_BUDGET
    recipe: Recipe = Recipe()
    session_limits: dict[str, float] = {}
    weaving: Weaving | None = None


def trained_edges(vectors: LabelledVectors) -> float:
    """Return the edges in the degree table at the end of the input."""
    return float(vectors.total_edges.max())


def ready(vectors: LabelledVectors) -> Labels:
    """Return which vectors were taken when the degree table was large enough for a verdict, shape (n,).

    The others are left out of training and measuring, as they would be left out in service.
    """
    return vectors.total_edges >= smallest_table(trained_edges(vectors))


def examples_of(vectors: LabelledVectors, rows: Labels) -> Examples:
    """Return some vectors as examples: a session's rows weigh 1 together, a client's stay together.

    Args:
        vectors: all vectors.
        rows: which of them, shape (n,).
    """
    session = vectors.session[rows]
    return Examples(
        vectors.values[rows],
        vectors.anomalous[rows],
        vectors.client[session],
        1.0 / np.bincount(session)[session],
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


def preparation(options: CallOptions, schema: FeatureSchema) -> Prepare:
    """Return what is done to training rows before every fit."""
    return lambda examples: vary_traffic(examples, schema, options.seed)


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


def chosen_thresholds(vectors: LabelledVectors, rows: Labels, scores: Scores, options: CallOptions) -> Thresholds:
    """Return the thresholds by scores out of fold: as ``thresholds_of`` says, or for woven attacks by the budget alone.

    F1 depends on how many attacks there are among the sessions. With woven ones that number was made up, so both
    thresholds are chosen by false alerts, which are those of benign sessions and were not.

    Args:
        vectors: all vectors.
        rows: which of them were scored, shape (n,).
        scores: their scores, in order.
        options: what the user decides.
    """
    if options.weaving is None:
        return thresholds_of(vectors, rows, scores, options.false_alert_budget)
    closed, session = vectors.closed[rows], vectors.session[rows]
    telling = vectors.anomalous[rows] | ~vectors.attacked[session]
    moments = (telling & ~closed, telling & closed)
    early, late = (greatest(scores[own], session[own], len(vectors.attacks)) for own in moments)
    present = np.unique(session)
    attacked = present[vectors.attacked[present]]
    benign = np.setdiff1d(present, attacked)
    return most_found((early[benign], late[benign]), (early[attacked], late[attacked]), options.false_alert_budget)


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


def train_on_calls(  # noqa: PLR0913 -- what a manifest records, each named at the call
    vectors: LabelledVectors,
    options: CallOptions,
    source: DataSource,
    schema: FeatureSchema,
    *,
    metrics: Mapping[str, float],
    versions: Mapping[str, str],
) -> tuple[Trained, Scores]:
    """Train on all sessions; return the model and the scores out of fold of the vectors that are ``ready``.

    Args:
        vectors: labelled vectors.
        options: what the user decides.
        source: where the calls came from.
        schema: features of the vectors.
        metrics: quality to record.
        versions: library versions to record.

    Raises:
        ValueError: there are too few sessions to learn from.
    """
    rows = ready(vectors)
    check_size(vectors, rows)
    examples = examples_of(vectors, rows)
    prepare = preparation(options, schema)
    scores = out_of_fold(examples, options.recipe, options.seed, prepare)
    thresholds = chosen_thresholds(vectors, rows, scores, options)
    parameters = {
        **msgspec.structs.asdict(options.recipe),
        "false_alert_budget": options.false_alert_budget,
        "traffic_copies": COPIES,
        "traffic_variation": VARIATION,
        **options.session_limits,
        **(options.weaving.parameters() if options.weaving else {}),
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
    )
    return train(examples, options.recipe, made, schema, prepare), scores


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
