"""The recipe of CatBoost models: oblivious trees, behind the extra ``catboost``."""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from featurizer.features import Matrix
from scorer.ensemble import Ensemble
from scorer.examples import Labels, Scores
from scorer.oblivious import from_catboost


class CatBoostRecipe(msgspec.Struct, frozen=True):
    """Parameters of CatBoost's oblivious trees, at most 2^depth leaves each. Names as in CatBoost, but class_weight.

    The defaults were not tuned: depth 4 gives as many leaves as the other recipe has at most, the rest are a few
    hundred trees at a usual rate.
    """

    NAME: ClassVar[str] = "catboost"
    ESTIMATOR: ClassVar[str] = "CatBoost's CatBoostClassifier"
    SPACE: ClassVar[Mapping[str, Sequence[float]]] = {
        "learning_rate": (0.05, 0.1, 0.15),
        "iterations": (150, 250, 400),
        "depth": (3, 4),
        "l2_leaf_reg": (1.0, 3.0, 10.0),
    }
    """What a search may try."""

    learning_rate: float = 0.1
    iterations: int = 250
    depth: int = 4
    l2_leaf_reg: float = 3.0
    class_weight: str | None = "balanced"

    def fit(self, features: Matrix, anomalous: Labels, weights: Scores, seed: int) -> Any:
        """Return the estimator fitted to the rows.

        Raises:
            ModuleNotFoundError: the extra ``catboost`` is not installed.
        """
        from catboost import CatBoostClassifier  # noqa: PLC0415 -- the other recipe works without it

        parameters = msgspec.structs.asdict(self)
        balance = compute_sample_weight(parameters.pop("class_weight"), anomalous)
        estimator = CatBoostClassifier(
            **parameters, random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False
        )
        return estimator.fit(features, anomalous.astype(np.int64), sample_weight=weights * balance)


def compile_catboost(estimator: Any) -> Ensemble:
    """Return a fitted ``CatBoostClassifier`` as an ensemble; errors as ``from_catboost``."""
    # The one file that scorer ever touches: CatBoost gives its trees to nothing else.
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        estimator.save_model(file.name, format="json")
        return from_catboost(file.read(), int(estimator.n_features_in_))
