"""The recipe ``access-behaviour``: a model from the public table, measured beside those of the deriving project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec
import numpy as np

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.access_behaviour import Rows, Table, read_table
from scorer.evaluation import SEEDS, STRICT_BUDGET, Evaluation, Runner, honest, original
from scorer.examples import Examples, Labels
from scorer.manifest import DataSource, Manifest
from scorer.thresholds import choose
from scorer.training import Recipe, Trained, out_of_fold, smallest_table, train

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


def train_on_table(
    data: bytes, seed: int, versions: Mapping[str, str], metrics: Mapping[str, float] | None = None
) -> Trained:
    """Train the shipped model.

    Args:
        data: content of ``scorer/data/access_behaviour.csv``.
        seed: seed of the fit and of the split that the thresholds are chosen by.
        versions: library versions to record.
        metrics: quality to record.

    Raises:
        ValueError: the data is not the table.
    """
    whole = read_table(data).without_copies()
    examples, recipe = whole.select(ROWS).examples(), RECIPE
    thresholds = choose(examples.anomalous, out_of_fold(examples, recipe, seed), STRICT_BUDGET)
    manifest = Manifest(
        name=NAME,
        thresholds=msgspec.structs.asdict(thresholds),
        minimum_edges=smallest_table(whole.total_edges),
        metrics=dict(metrics or {}),
        data=source_of(data),
        trained_on=sentence(examples),
        seed=seed,
        parameters={**msgspec.structs.asdict(recipe), "rows": ROWS.value, "strict_budget": STRICT_BUDGET},
        library_versions=dict(versions),
    )
    return train(examples, recipe, manifest, ACCESS_BEHAVIOUR_V1)


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


def evaluate_table(data: bytes, run: Callable[[str], Runner] = lambda _: map) -> TableReport:
    """Measure the recipe by both protocols, on both choices of rows, with all feature sets.

    Args:
        data: content of ``scorer/data/access_behaviour.csv``.
        run: given what is measured, returns what applies the work (to show progress).
    """
    raw = read_table(data)
    table = raw.without_copies()
    results = {
        (rows, name): honest(examples_of(table.select(rows)), recipe, SEEDS, run(f"{name}, {rows} rows"))
        for rows in Rows
        for name, (examples_of, recipe) in FEATURE_SETS.items()
    }
    theirs = raw.select(Rows.DEFAULT).nine()
    without_weights = Recipe(class_weight=None)
    flattering = original(theirs, without_weights, run=run("the deriving project's own protocol"))
    return TableReport(results, flattering, table.select(ROWS).anomalous)
