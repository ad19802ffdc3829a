"""A search finds the better recipe, sees its rows only, and says the same for the same seed."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from scorer import search as searching
from scorer.catboost_recipe import CatBoostRecipe
from scorer.evaluation import honest
from scorer.examples import Examples
from scorer.search import candidates, loss, search
from scorer.training import AnyRecipe, Recipe, out_of_fold
from tests.labelled_sessions import make_examples

POOR = Recipe(max_iter=1, learning_rate=0.01)
"""One hesitant tree: nearly any other recipe is better."""


@pytest.fixture
def small_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few trees, so that tests are quick."""
    monkeypatch.setattr(Recipe, "SPACE", {"max_iter": (2, 8), "learning_rate": (0.1, 0.3)})


@pytest.mark.parametrize("recipe", [Recipe(), CatBoostRecipe()])
def test_the_recipe_itself_is_a_candidate_and_the_others_differ_within_its_space(recipe: AnyRecipe) -> None:
    first, *others = candidates(recipe, 6, seed=1)
    assert first is recipe
    assert len({str(one) for one in others}) == 5
    for one in others:
        for name, value in msgspec.structs.asdict(one).items():
            assert value in recipe.SPACE.get(name, (getattr(recipe, name),))
    assert candidates(recipe, 6, seed=1) == [first, *others] != candidates(recipe, 6, seed=2)


def test_no_candidate_has_more_leaves_than_the_narrow_words_hold() -> None:
    assert max(Recipe.SPACE["max_leaf_nodes"]) == 2 ** max(CatBoostRecipe.SPACE["depth"]) == 16


@pytest.mark.usefixtures("small_space")
def test_the_best_by_log_loss_out_of_fold_is_found_and_found_again() -> None:
    examples = make_examples(150)
    found = search(examples, POOR, 4, seed=0)
    tried = candidates(POOR, 4, seed=0)
    losses = [loss(examples, one, out_of_fold(examples, one, 0)) for one in tried]
    assert found == tried[int(np.argmin(losses))] != POOR
    assert search(examples, POOR, 4, seed=0) == found


def test_one_candidate_is_no_search_and_fits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "out_of_fold", None)
    assert search(make_examples(20), POOR, 1, seed=0) is POOR


def test_loss_weighs_classes_as_the_recipe_does() -> None:
    """Scores of 0.1 are good where one row in ten is anomalous, and poor where both classes weigh the same."""
    examples = make_examples(100)
    tenth = replace(examples, anomalous=np.arange(100) % 10 == 0)
    low, even = np.full(100, 0.1), np.full(100, 0.5)
    plain, balanced = Recipe(class_weight=None), Recipe()
    assert loss(tenth, plain, low) < loss(tenth, plain, even)
    assert loss(tenth, balanced, low) > loss(tenth, balanced, even)


@pytest.mark.usefixtures("small_space")
def test_an_evaluation_searches_in_each_folds_training_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Examples, int]] = []

    def watched(examples: Examples, recipe: Recipe, count: int, _seed: int) -> AnyRecipe:
        seen.append((examples, count))
        return recipe

    monkeypatch.setattr("scorer.evaluation.search", watched)
    examples = make_examples(100)
    result = honest(examples, POOR, seeds=(0,), candidates=3)
    for fold, (known, count) in zip(result.folds, seen, strict=True):
        assert count == 3
        rest = np.setdiff1d(np.arange(100), fold.test)
        np.testing.assert_array_equal(known.features, examples.features[rest])
