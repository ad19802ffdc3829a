"""Search: the parameters of the trees, chosen among a few by cross-validation inside the training rows.

Whoever evaluates with a search gives it each fold's training rows, so that the test rows have no say (nested
cross-validation): the figures are those of the search, not of the parameters that it happens to find.
"""

import msgspec
import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import ParameterSampler
from sklearn.utils.class_weight import compute_sample_weight

from scorer.examples import Examples, Scores
from scorer.training import AnyRecipe, Prepare, as_they_are, out_of_fold


def candidates(recipe: AnyRecipe, count: int, seed: int) -> list[AnyRecipe]:
    """Return the recipe as it is and ``count - 1`` others, drawn at random from its SPACE."""
    drawn = ParameterSampler(recipe.SPACE, n_iter=count - 1, random_state=seed)
    return [recipe, *(msgspec.structs.replace(recipe, **parameters) for parameters in drawn)]


def search(examples: Examples, recipe: AnyRecipe, count: int, seed: int, prepare: Prepare = as_they_are) -> AnyRecipe:
    """Return the recipe with the least log loss of scores out of fold; of equal ones the first.

    Log loss, because it is a proper score that every row adds to: F1 at the best threshold is decided by the few rows
    near it and differs more between splits than between recipes.

    Args:
        examples: rows to train on; their groups stay together.
        recipe: the first candidate, and what the others have in common with it.
        count: candidates; 1 is no search.
        seed: of the draw, the folds and the fits.
        prepare: done to training rows before a fit.
    """
    if count == 1:
        return recipe
    tried = candidates(recipe, count, seed)
    losses = [loss(examples, one, out_of_fold(examples, one, seed, prepare)) for one in tried]
    return tried[int(np.argmin(losses))]


def loss(examples: Examples, recipe: AnyRecipe, scores: Scores) -> float:
    """Return the mean log loss of scores, weighted as the recipe weights the classes."""
    weights = examples.weights * compute_sample_weight(recipe.class_weight, examples.anomalous)
    return float(log_loss(examples.anomalous, scores, sample_weight=weights))
