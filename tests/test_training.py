"""Training is deterministic, uses the class weights, and makes the bundle that ships."""

from importlib.metadata import version

import msgspec
import numpy as np
import pytest

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.access_behaviour import Rows, read_table
from scorer.ensemble import Ensemble
from scorer.examples import Examples
from scorer.manifest import ENSEMBLE, REFERENCE
from scorer.table_recipe import ELEVEN, FEATURE_SETS, NINE, RECIPE, source_of
from scorer.training import Recipe, Trained, coarse, fit, out_of_fold, predict, smallest_table, splits
from stream.bundles import read_bundle
from stream.train import table_data
from tests.labelled_sessions import make_examples
from tests.trained_models import table_model

QUICK = Recipe(max_iter=10)


def raw_start(recipe: Recipe, examples: Examples) -> float:
    """Score before the first tree: the log-odds of the weighted classes."""
    return Ensemble.from_estimator(fit(examples, recipe, 0)).baseline


@pytest.fixture(scope="module")
def trained() -> Trained:
    """The shipped model, made anew."""
    return table_model()


def test_the_same_data_and_seed_give_the_same_model(trained: Trained) -> None:
    again = table_model()
    assert again.bundle.uid == trained.bundle.uid
    files, others = trained.bundle.to_files(), again.bundle.to_files()
    assert files[ENSEMBLE] == others[ENSEMBLE]
    assert files[REFERENCE] == others[REFERENCE]
    assert files == others


def test_the_shipped_bundle_is_what_the_recipe_makes_now(trained: Trained) -> None:
    """Bit for bit with the libraries that made it; to rounding with others."""
    shipped = read_bundle("access-behaviour", ACCESS_BEHAVIOUR_V1)
    manifest, fresh = shipped.manifest, trained.bundle.manifest
    assert manifest.data.sha256 == fresh.data.sha256
    assert manifest.trained_on == fresh.trained_on
    assert manifest.minimum_edges == fresh.minimum_edges
    if all(version(name) == manifest.library_versions[name] for name in ("numpy", "scikit-learn")):
        assert shipped.uid == trained.bundle.uid
    rows = read_table(table_data()).without_copies().features()
    np.testing.assert_allclose(shipped.score(rows), trained.bundle.score(rows), rtol=0, atol=1e-6)


def test_the_estimator_and_the_bundle_agree(trained: Trained) -> None:
    rows = read_table(table_data()).without_copies().select(Rows.DEFAULT).features()
    expected = trained.estimator.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(trained.bundle.score(rows), expected, rtol=0, atol=1e-12)


def test_the_recipe_says_its_parameters_and_keeps_to_them(trained: Trained) -> None:
    for name, value in msgspec.structs.asdict(RECIPE).items():
        assert trained.bundle.manifest.parameters[name] == getattr(trained.estimator, name) == value


def test_the_deriving_projects_models_have_its_parameters() -> None:
    recipe = {
        "learning_rate": 0.1,
        "max_iter": 60,
        "max_leaf_nodes": 16,
        "max_depth": 9,
        "l2_regularization": 0.5451546397377538,
        "class_weight": "balanced",
    }
    for name in (NINE, ELEVEN):
        assert recipe.items() <= msgspec.structs.asdict(FEATURE_SETS[name][1]).items()


def test_the_manifest_names_the_data_and_its_licence(trained: Trained) -> None:
    source = trained.bundle.manifest.data
    assert source == source_of(table_data())
    assert source.licence == "GPL-2.0-only"


def test_class_weights_are_used() -> None:
    """Balanced classes start from even odds; without weights the odds are those of the labels."""
    examples = make_examples()
    share = examples.anomalous.mean()
    assert raw_start(QUICK, examples) == pytest.approx(0.0, abs=1e-6)
    unweighted = msgspec.structs.replace(QUICK, class_weight=None)
    assert raw_start(unweighted, examples) == pytest.approx(np.log(share / (1 - share)), abs=1e-6)


def test_classes_weigh_the_same_however_many_rows_their_sessions_have() -> None:
    examples = make_examples()
    weights = np.where(examples.anomalous, np.linspace(0.1, 1, len(examples)), 0.5)
    uneven = Examples(examples.features, examples.anomalous, examples.groups, weights)
    assert raw_start(QUICK, uneven) == pytest.approx(0.0, abs=1e-6)


def test_a_row_that_weighs_half_twice_is_a_row() -> None:
    """The vectors of a session count as one session."""
    once = make_examples(120)
    rows = once.take(np.repeat(np.arange(len(once)), 2))
    twice = Examples(rows.features, rows.anomalous, rows.groups, rows.weights / 2)
    # Stumps, so that min_samples_leaf, which counts rows and not weight, does not matter.
    recipe = Recipe(max_iter=5, max_leaf_nodes=2)
    np.testing.assert_allclose(
        predict(fit(once, recipe, 0), once.features), predict(fit(twice, recipe, 0), once.features), atol=1e-6
    )


def test_weights_change_the_model() -> None:
    examples = make_examples()
    weights = np.linspace(0.01, 1, len(examples))
    weighted = Examples(examples.features, examples.anomalous, examples.groups, weights)
    plain, other = (predict(fit(part, QUICK, 0), examples.features) for part in (examples, weighted))
    assert np.abs(plain - other).max() > 0.01


def test_a_feature_missing_in_every_row_is_ignored_in_service() -> None:
    examples = make_examples()
    features = examples.features.copy()
    features[:, 2] = np.nan
    estimator = fit(Examples(features, examples.anomalous, examples.groups, examples.weights), QUICK, 0)
    before = predict(estimator, features)
    features[:, 2] = np.linspace(0, 1e5, len(features))
    np.testing.assert_array_equal(predict(estimator, features), before)


def test_a_row_goes_the_way_its_coarse_self_went_in_training() -> None:
    """Moving values to quantiles is binning: the trees can't tell the two apart."""
    rng = np.random.default_rng(2)
    features = rng.lognormal(size=(900, 3))
    features[rng.random(features.shape) < 0.1] = np.nan
    features[:, 2] = np.round(features[:, 2])
    labels = np.nan_to_num(features[:, 0], nan=9.0) * features[:, 1] > 1
    examples = Examples(features, labels, np.arange(900), np.ones(900))
    estimator = fit(examples, QUICK, 0)

    moved = coarse(features)

    assert max(len(np.unique(column[~np.isnan(column)])) for column in moved.T) == 255
    np.testing.assert_array_equal(np.isnan(moved), np.isnan(features))
    np.testing.assert_array_equal(predict(estimator, features), predict(estimator, moved))


def test_few_values_are_not_moved() -> None:
    features = np.repeat(np.arange(100.0), 3)[:, None]
    np.testing.assert_array_equal(coarse(features), features)


def test_one_class_alone_is_refused() -> None:
    examples = make_examples()
    with pytest.raises(ValueError, match="both anomalous and benign"):
        fit(examples.take(examples.anomalous), QUICK, 0)


def test_groups_never_straddle_folds() -> None:
    examples = make_examples(200)
    groups = np.arange(200) // 3
    grouped = Examples(examples.features, examples.anomalous, groups.astype(np.intp), examples.weights)
    seen = np.zeros(200, dtype=int)
    for train, test in splits(grouped, 5, seed=1):
        assert not set(groups[train]) & set(groups[test])
        seen[test] += 1
    assert (seen == 1).all()


def test_scores_out_of_fold_are_of_models_that_saw_nothing_of_the_group() -> None:
    """Labels are a coin toss, but equal rows share theirs: whoever saw a copy knows the answer."""
    rng = np.random.default_rng(5)
    features = np.repeat(rng.normal(size=(80, 3)), 5, axis=0)
    labels = np.repeat(rng.random(80) < 0.5, 5)
    apart = Examples(features, labels, np.arange(400), np.ones(400))
    together = Examples(features, labels, np.repeat(np.arange(80), 5), np.ones(400))
    right = {
        name: ((out_of_fold(part, QUICK, 0) >= 0.5) == labels).mean()
        for name, part in {"apart": apart, "together": together}.items()
    }
    assert right["apart"] > 0.8
    assert right["together"] < 0.65


@pytest.mark.parametrize(("reference", "edges"), [(100, 200), (20_000, 1000), (417_156, 5000)])
def test_a_degree_table_needs_a_share_of_the_reference(reference: float, edges: int) -> None:
    assert smallest_table(reference) == edges
