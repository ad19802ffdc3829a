"""The recipe ``access-behaviour``: a model from the public table, measured beside those of the deriving project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec
import numpy as np

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.access_behaviour import Rows, Table
from scorer.catboost_recipe import CatBoostRecipe
from scorer.evaluation import SEEDS, STRICT_BUDGET, Evaluation, Runner, honest, original
from scorer.examples import Examples, Labels
from scorer.isolation_recipe import IsolationRecipe
from scorer.manifest import DataSource, Manifest
from scorer.search import search
from scorer.thresholds import Thresholds, choose
from scorer.training import AnyRecipe, Fitted, Recipe, Trained, assemble, fit_and_score, smallest_table

NAME = "access-behaviour"
ROWS = Rows.DEFAULT
"""Rows that the shipped model is trained on: ``datacenter`` rows are outliers by a rule that no feature shows."""

RECIPE = Recipe(
    learning_rate=0.06,
    max_iter=200,
    max_leaf_nodes=8,
    max_depth=9,
    l2_regularization=1.0,
    class_weight=None,
    max_features=0.3,
    min_samples_leaf=10,
)
"""Many small trees, and a third of the features to choose from at each split: they are ratios of a few numbers, so that
greedy choices among all of them repeat each other. Without class weights the scores stay probabilities."""

RECIPES: Mapping[str, AnyRecipe] = {
    Recipe.NAME: RECIPE,
    CatBoostRecipe.NAME: CatBoostRecipe(class_weight=None),
    IsolationRecipe.NAME: IsolationRecipe(),
}
"""The recipe of each kind of model."""

OURS = "ours"
NINE = "their nine"
ELEVEN = "their nine + 2"
FEATURE_SETS: Mapping[str, tuple[Callable[[Table], Examples], Recipe]] = {
    OURS: (Table.examples, RECIPE),
    NINE: (Table.nine, Recipe()),
    ELEVEN: (Table.eleven_as_named, Recipe()),
}
"""What is compared: the shipped model, and the deriving project's trees on the table's columns under its names."""


def source_of(data: bytes) -> DataSource:
    """Describe the table."""
    return DataSource(
        name="API access behaviour anomaly dataset",
        sha256=sha256(data).hexdigest(),
        licence="GPL-2.0-only",
        url="https://www.kaggle.com/datasets/tangodelta/api-access-behaviour-anomaly-dataset",
        description="Labelled API access behaviours of one application, with graph features derived by the public "
        "project API Security: Anomaly Detection App.",
    )


def fit_table(raw: Table, seed: int, recipe: AnyRecipe = RECIPE, candidates: int = 1) -> Fitted:
    """Fit our model to the table.

    Args:
        raw: the table as it is, copies included.
        seed: of the fits, the folds and the search.
        recipe: parameters of the trees.
        candidates: recipes to choose from, that one among them; 1 is no search.
    """
    examples = _examples(raw)
    return fit_and_score(examples, search(examples, recipe, candidates, seed), seed)


def table_thresholds(raw: Table, fitted: Fitted) -> Thresholds:
    """Return the thresholds of the shipped model."""
    return choose(_examples(raw).anomalous, fitted.scores, STRICT_BUDGET)


def bundle_of_table(  # noqa: PLR0913 -- what a manifest records, each named at the call
    raw: Table,
    fitted: Fitted,
    thresholds: Thresholds,
    source: DataSource,
    *,
    seed: int,
    versions: Mapping[str, str],
    metrics: Mapping[str, float],
    candidates: int = 1,
) -> Trained:
    """Return the bundle of our model, without documents.

    Args:
        raw: the table as it is, copies included.
        fitted: the model.
        thresholds: its thresholds.
        source: describes the table.
        seed: that it was fitted with.
        versions: library versions to record.
        metrics: quality to record.
        candidates: recipes that its own was chosen from.
    """
    examples = _examples(raw)
    manifest = Manifest(
        name=NAME,
        thresholds=msgspec.structs.asdict(thresholds),
        minimum_edges=smallest_table(raw.without_copies().total_edges),
        metrics=dict(metrics),
        data=source,
        trained_on=sentence(examples),
        seed=seed,
        parameters={
            "model": fitted.recipe.NAME,
            **msgspec.structs.asdict(fitted.recipe),
            "candidates": candidates,
            "rows": ROWS.value,
            "strict_budget": STRICT_BUDGET,
        },
        library_versions=dict(versions),
    )
    return assemble(examples, fitted.estimator, manifest, ACCESS_BEHAVIOUR_V1)


def _examples(raw: Table) -> Examples:
    return raw.without_copies().select(ROWS).examples()


def sentence(examples: Examples) -> str:
    """Say what the model was trained on, for people who start a worker with it."""
    benign, anomalous = medians(examples)
    return (
        f"a public table of {len(examples):,} labelled sessions of one API, where normal sessions have a median of "
        f"{benign:.0f} edges and outliers {anomalous:.0f}: it calls every short session anomalous, true there and "
        "false on most APIs; train on your own calls with gatewatch train --calls"
    )


def medians(examples: Examples) -> tuple[float, float]:
    """Return the median number of edges of benign and of anomalous sessions."""
    edges = examples.features[:, ACCESS_BEHAVIOUR_V1.names.index("n_connections")]
    return float(np.median(edges[~examples.anomalous])), float(np.median(edges[examples.anomalous]))


@dataclass(frozen=True, eq=False)
class TableReport:
    """How good the recipe is.

    Attributes:
        honest: by rows and feature set, the honest protocol.
        original: the deriving project's own protocol on its own rows, copies included, its final fit without
            class_weight: the threshold is chosen on the test rows.
        anomalous: labels of the shipped model's rows.
    """

    honest: Mapping[tuple[Rows, str], Evaluation]
    original: Evaluation
    anomalous: Labels

    @property
    def shipped(self) -> Evaluation:
        """The honest evaluation of what ships."""
        return self.honest[ROWS, OURS]

    def metrics(self) -> dict[str, float]:
        """Return what the manifest records."""
        figures = {name: figure for name, figure in self.shipped.figures().items() if name != "threshold"}
        strict = {
            f"open_{name}": figure for name, figure in self.shipped.strict_figures().items() if name != "threshold"
        }
        means = {name: round(figure.mean, 4) for name, figure in {**figures, **strict}.items()}
        spreads = {f"{name}_spread": round(figure.spread, 4) for name, figure in {**figures, **strict}.items()}
        return {**means, **spreads}


def measure_ours(raw: Table, rows: Rows, recipe: AnyRecipe, candidates: int, run: Runner = map) -> Evaluation:
    """Measure our features by the honest protocol, with any recipe.

    Args:
        raw: the table as it is, copies included.
        rows: which of its rows.
        recipe: parameters of the trees.
        candidates: recipes to choose from for each test fold anew, that one among them; 1 is no search.
        run: applies the work (to show progress).
    """
    return honest(raw.without_copies().select(rows).examples(), recipe, SEEDS, run, candidates)


def measure(raw: Table, rows: Rows, features: str, run: Runner = map) -> Evaluation:
    """Measure one of FEATURE_SETS by the honest protocol.

    Args:
        raw: the table as it is, copies included.
        rows: which of its rows.
        features: name of the set.
        run: applies the work (to show progress).
    """
    examples_of, recipe = FEATURE_SETS[features]
    return honest(examples_of(raw.without_copies().select(rows)), recipe, SEEDS, run)


def measure_their_way(raw: Table, run: Runner = map) -> Evaluation:
    """Measure the deriving project's nine features by its own protocol.

    Args:
        raw: the table as it is, copies included.
        run: applies the work (to show progress).
    """
    return original(raw.select(Rows.DEFAULT).nine(), Recipe(class_weight=None), run=run)


def shipped_labels(raw: Table) -> Labels:
    """Return the labels of the shipped model's rows."""
    return raw.without_copies().select(ROWS).anomalous
