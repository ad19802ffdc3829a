"""The protocols measure what they say, and the honest one sees no test row before it scores it."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from scorer import evaluation
from scorer.evaluation import (
    STRICT_BUDGET,
    Evaluate,
    Fold,
    Split,
    calibration,
    calibration_error,
    calibration_noise,
    honest,
    original,
    quality,
)
from scorer.examples import Examples
from scorer.thresholds import sweep_row
from scorer.training import Recipe
from tests.labelled_sessions import make_examples

QUICK = Recipe(max_iter=3)


@pytest.fixture(scope="module")
def measured() -> tuple[Examples, evaluation.Evaluation]:
    examples = make_examples()
    return examples, honest(examples, QUICK, seeds=(0, 1))


def test_every_row_is_tested_once_a_seed(measured: tuple[Examples, evaluation.Evaluation]) -> None:
    examples, result = measured
    assert len(result.folds) == 10
    for start in (0, 5):
        tested = np.concatenate([fold.test for fold in result.folds[start : start + 5]])
        assert sorted(tested) == list(range(len(examples)))


def test_repetitions_line_up_scores_with_labels(measured: tuple[Examples, evaluation.Evaluation]) -> None:
    examples, result = measured
    for repetition, (labels, scores) in enumerate(result.repetitions(examples.anomalous)):
        folds = result.folds[repetition * 5 : repetition * 5 + 5]
        np.testing.assert_array_equal(labels, examples.anomalous[np.concatenate([fold.test for fold in folds])])
        np.testing.assert_array_equal(scores, np.concatenate([fold.scores for fold in folds]))
        assert len(labels) == len(examples)


def test_the_figures_are_mean_and_spread_over_folds(measured: tuple[Examples, evaluation.Evaluation]) -> None:
    _, result = measured
    values = [fold.quality.f1 for fold in result.folds]
    figure = result.figures()["f1"]
    assert figure.mean == pytest.approx(np.mean(values))
    assert figure.spread == pytest.approx(np.std(values, ddof=1))
    assert set(result.strict_figures()) == {"threshold", "recall", "precision", "false_alerts"}


def test_neither_model_nor_threshold_sees_the_test_fold() -> None:
    """Other labels and other features of the test rows change nothing but the scores and the verdict on them."""
    examples = make_examples()
    rng = np.random.default_rng(9)
    seen: list[Fold] = []

    def run(evaluate: Evaluate, parts: Sequence[Split]) -> Iterable[Fold]:
        seen.append(evaluate(parts[0]))
        return seen

    honest(examples, QUICK, seeds=(0,), run=run, candidates=2)
    test = seen[0].test
    labels, features = examples.anomalous.copy(), examples.features.copy()
    labels[test] = ~labels[test]
    features[test] = rng.normal(size=features[test].shape)
    spoilt = Examples(features, labels, examples.groups, examples.weights)
    known = np.setdiff1d(np.arange(len(examples)), test)

    again = evaluation._honest_fold(spoilt, QUICK, 2, (known, test, 0))

    assert again.quality.threshold == seen[0].quality.threshold
    assert again.strict is not None
    assert seen[0].strict is not None
    assert again.strict.threshold == seen[0].strict.threshold


def test_the_original_protocol_chooses_its_threshold_on_the_test_rows() -> None:
    """Its flaw, kept on purpose: no other threshold does better on the very rows that judge it."""
    examples = make_examples()
    for fold in original(examples, QUICK, count=3).folds:
        labels = examples.anomalous[fold.test]
        assert len(fold.test) == round(0.2 * len(examples))
        assert all(sweep_row(labels, fold.scores, score).f1 <= fold.quality.f1 + 1e-12 for score in fold.scores)
        assert fold.strict is None


def test_who_applies_the_work_changes_nothing() -> None:
    examples = make_examples(120)
    with ThreadPoolExecutor(2) as pool:
        parallel = honest(examples, QUICK, seeds=(0,), run=pool.map)
    assert parallel.figures() == honest(examples, QUICK, seeds=(0,)).figures()


def test_quality_is_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.random(300) < 0.3, rng.random(300)
    result = quality(labels, scores, 0.4)
    flagged = scores >= 0.4
    assert result.f1 == pytest.approx(f1_score(labels, flagged))
    assert result.precision == pytest.approx(precision_score(labels, flagged))
    assert result.recall == pytest.approx(recall_score(labels, flagged))
    assert result.brier == pytest.approx(np.mean((scores - labels) ** 2))


def test_perfect_probabilities_have_no_calibration_error() -> None:
    labels = np.array([True] * 3 + [False] * 7 + [True] * 9 + [False])
    scores = np.array([0.3] * 10 + [0.9] * 10)
    assert calibration_error(labels, scores) == pytest.approx(0.0)
    parts = calibration(labels, scores)
    assert [part.rows for part in parts] == [10, 10]
    assert [part.score for part in parts] == pytest.approx([0.3, 0.9])


def test_even_perfect_probabilities_show_a_calibration_error_by_chance_and_less_of_it_in_more_rows() -> None:
    rng = np.random.default_rng(0)
    few, many = (calibration_noise(rng.random(rows)) for rows in (300, 3000))
    assert 2 * many < few < 0.1
    assert calibration_noise(np.array([0.0, 1.0])) == 0.0


def test_the_calibration_error_of_an_evaluation_is_over_whole_repetitions(
    measured: tuple[Examples, evaluation.Evaluation],
) -> None:
    examples, result = measured
    whole = [calibration_error(labels, scores) for labels, scores in result.repetitions(examples.anomalous)]
    assert result.calibration_error(examples.anomalous) == pytest.approx(np.mean(whole))
    assert result.calibration_error(examples.anomalous) != pytest.approx(result.figures()["calibration_error"].mean)


def test_certainty_that_is_always_wrong_has_the_greatest_calibration_error() -> None:
    assert calibration_error(np.array([False, True]), np.array([1.0, 0.0])) == 1.0


def test_the_strict_threshold_keeps_its_budget_on_training_rows() -> None:
    """On test rows it may miss it by chance; the threshold itself is never below the other one."""
    examples = make_examples()
    for fold in honest(examples, QUICK, seeds=(0,)).folds:
        assert fold.strict is not None
        assert fold.strict.threshold >= fold.quality.threshold
    assert STRICT_BUDGET == 10
