"""Training: from labelled examples to an estimator, its scores on rows it has not seen, and a ModelBundle.

Same examples, recipe and seed give the same model: every fit runs on one thread, because a sum over threads
depends on their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn, untyped

from featurizer.features import FeatureSchema, Matrix
from scorer.bundle import ModelBundle, Reference
from scorer.catboost_recipe import CatBoostRecipe, compile_catboost
from scorer.ensemble import Ensemble
from scorer.examples import Examples, Labels, Scores
from scorer.isolation_recipe import Isolation, IsolationRecipe, compile_isolation
from scorer.manifest import Manifest

INNER_FOLDS = 5
"""Folds of the cross-validation that a threshold is chosen by."""

_BINS = 255
"""Values of a feature that scikit-learn's histograms tell apart, missing ones aside."""


class Recipe(msgspec.Struct, frozen=True):
    """Parameters of the histogram gradient-boosted trees.

    The defaults are those of the project that derived the access-behaviour table. Names as in scikit-learn.
    """

    NAME: ClassVar[str] = "hgbt"
    ESTIMATOR: ClassVar[str] = "scikit-learn's HistGradientBoostingClassifier"
    SPACE: ClassVar[Mapping[str, Sequence[float]]] = {
        "learning_rate": (0.03, 0.06, 0.1),
        "max_iter": (100, 200, 300),
        "max_leaf_nodes": (4, 8, 16),
        "max_features": (0.1, 0.3, 0.5, 1.0),
        "min_samples_leaf": (5, 10, 20),
        "l2_regularization": (0.1, 1.0, 5.0),
    }
    """What a search may try."""

    learning_rate: float = 0.1
    max_iter: int = 60
    max_leaf_nodes: int = 16
    max_depth: int = 9
    l2_regularization: float = 0.5451546397377538
    class_weight: str | None = "balanced"
    max_features: float = 1.0
    min_samples_leaf: int = 20

    def estimator(self, seed: int) -> Any:
        """Return the estimator, not yet fitted."""
        return HistGradientBoostingClassifier(**msgspec.structs.asdict(self), early_stopping=False, random_state=seed)

    def fit(self, features: Matrix, anomalous: Labels, weights: Scores, seed: int) -> Any:
        """Return the estimator fitted to the rows."""
        return self.estimator(seed).fit(coarse(features), anomalous.astype(np.int64), weights)


AnyRecipe = Recipe | CatBoostRecipe | IsolationRecipe


def fit(examples: Examples, recipe: AnyRecipe, seed: int) -> Any:
    """Return the estimator fitted to the examples that weigh something.

    Raises:
        ValueError: the examples hold only one class.
    """
    examples = examples.take(examples.weights > 0)
    if len(np.unique(examples.anomalous)) != 2:
        raise ValueError("training needs both anomalous and benign examples")
    with threadpool_limits(limits=1):
        return recipe.fit(_without_empty(examples.features), examples.anomalous, _sample_weights(examples), seed)


def coarse(features: Matrix) -> Matrix:
    """Move every value to the nearest of at most 255 quantiles of its column; missing values stay missing.

    scikit-learn would bin the columns by such quantiles itself, but with weighted rows it sorts a column once per
    quantile, which takes three quarters of a fit. Of 255 values it makes 255 bins that meet half way between
    neighbours: just where a value starts to be nearer to the next. So a row that is not coarse goes the way in every
    tree that its coarse self went in training.
    """
    result = np.array(features, dtype=np.float64)
    for column in result.T:
        known = ~np.isnan(column)
        kept = np.unique(np.quantile(column[known], np.linspace(0, 1, _BINS), method="inverted_cdf"))
        column[known] = kept[np.searchsorted((kept[:-1] + kept[1:]) / 2, column[known])]
    return result


def compiled(estimator: Any) -> Ensemble:
    """Return the ensemble that scores as a fitted estimator of any recipe does."""
    if isinstance(estimator, HistGradientBoostingClassifier):
        return Ensemble.from_estimator(estimator)
    return compile_isolation(estimator) if isinstance(estimator, Isolation) else compile_catboost(estimator)


def predict(estimator: Any, features: Matrix) -> Scores:
    """Return the probability of anomaly of each row, shape (n,)."""
    return compiled(estimator).probabilities(features)


Prepare = Callable[[Examples], Examples]
"""What is done to training rows, and to them only, before a fit."""


def as_they_are(examples: Examples) -> Examples:
    """Return the examples."""
    return examples


def out_of_fold(examples: Examples, recipe: AnyRecipe, seed: int, prepare: Prepare = as_they_are) -> Scores:
    """Return each row's score by a model that saw neither the row nor any of its group, shape (n,)."""
    scores = np.full(len(examples), np.nan)
    for train, held_out in splits(examples, INNER_FOLDS, seed):
        scores[held_out] = predict(fit(prepare(examples.take(train)), recipe, seed), examples.features[held_out])
    return scores


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model.

    Attributes:
        estimator: the estimator, of scikit-learn, CatBoost or ``isolation_recipe``.
        scores: of the rows that it was fitted to, out of fold, shape (n,).
        recipe: what it was made by.
    """

    estimator: Any
    scores: Scores
    recipe: AnyRecipe


def fit_and_score(examples: Examples, recipe: AnyRecipe, seed: int, prepare: Prepare = as_they_are) -> Fitted:
    """Fit to the examples, and score them out of fold; those that weigh nothing are scored alone.

    Raises:
        ValueError: the examples hold only one class.
    """
    scores = out_of_fold(examples, recipe, seed, prepare)
    return Fitted(fit(prepare(examples), recipe, seed), scores, recipe)


def splits(examples: Examples, folds: int, seed: int) -> list[tuple[Any, Any]]:
    """Return (train, test) positions of a stratified cross-validation that keeps groups together."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(examples.features, examples.anomalous, examples.groups))


def smallest_table(trained_edges: float) -> int:
    """Return the edges a live degree table needs before verdicts count: a twentieth of training's, 200 to 5,000.

    A degree of share s, counted over E edges, is known to about 1 / sqrt(s E): at 5,000 edges an endpoint that
    takes part in 1 % of them is known to 14 %. The model was trained against far less noise, so a much smaller
    table would be judged by chance; a share of the training table, rather than the whole, lets a new installation
    start within its first hours.
    """
    return int(min(max(trained_edges / 20, 200), 5000))


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model.

    Attributes:
        bundle: ready to score, without documents.
        estimator: what it was compiled from, of scikit-learn, CatBoost or ``isolation_recipe``.
    """

    bundle: ModelBundle
    estimator: Any


def assemble(examples: Examples, estimator: Any, manifest: Manifest, schema: FeatureSchema) -> Trained:
    """Make the bundle of an estimator.

    Args:
        examples: what it was fitted to, as they are; features must be those of the schema.
        estimator: fitted.
        manifest: what is known beside the trees: name, thresholds, data, seed.
        schema: the features.
    """
    ensemble = compiled(estimator)
    reference = _reference(examples.features[~examples.anomalous], ensemble)
    return Trained(ModelBundle.assemble(manifest, schema, ensemble, reference), estimator)


def _sample_weights(examples: Examples) -> Scores:
    """Scale the weights so that both classes carry half of the total.

    ``class_weight="balanced"`` multiplies by rows / (2 rows of the class), whatever the rows weigh. With these weights
    each class ends up with half the sum of the examples' weights, and weights of 1 stay as they are.
    """
    weights = np.array(examples.weights, dtype=np.float64)
    mean = weights.mean()
    for label in (False, True):
        rows = examples.anomalous == label
        weights[rows] *= mean / weights[rows].mean()
    return weights


def _reference(benign: Matrix, ensemble: Ensemble) -> Reference:
    """Summarise the benign rows; a feature that is missing in all of them has no range and is marked as missing."""
    return replace(Reference.of(_without_empty(benign), ensemble), missing=np.isnan(benign).mean(axis=0))


def _without_empty(features: Matrix) -> Matrix:
    """Fill features that are missing in every row with a constant: no tree can compare them, so no score changes.

    Neither scikit-learn's binning nor quantiles take a column without a single value.
    """
    return np.where(np.isnan(features).all(axis=0), 0.0, features)
