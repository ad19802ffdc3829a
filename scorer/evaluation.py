"""Evaluation: how good a model is on rows that neither it nor its threshold has seen.

Two protocols: the honest one, and that of the project the access-behaviour table comes from, for comparison.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import train_test_split

from scorer.examples import Examples, Indices, Labels, Scores
from scorer.search import search
from scorer.thresholds import SweepRow, best_f1, choose, sweep_row
from scorer.training import AnyRecipe, fit, out_of_fold, predict, splits

OUTER_FOLDS = 5
SEEDS = (0, 1, 2)
ORIGINAL_SPLITS = 40
ORIGINAL_TEST_SHARE = 0.2
CALIBRATION_BINS = 10
STRICT_BUDGET = 10.0
"""False alerts in 1,000 benign sessions that the stricter of two thresholds may raise."""


class Quality(msgspec.Struct, frozen=True):
    """Quality of scores against labels.

    Attributes:
        roc_auc: area under the ROC curve.
        average_precision: area under the precision-recall curve.
        f1: at the threshold, as precision and recall.
        precision: anomalous among the flagged.
        recall: flagged among the anomalous.
        brier: mean squared difference of score and label.
        calibration_error: expected calibration error over equal-width bins of the score.
        threshold: score from which a row is flagged.
    """

    roc_auc: float
    average_precision: float
    f1: float
    precision: float
    recall: float
    brier: float
    calibration_error: float
    threshold: float


class Figure(msgspec.Struct, frozen=True):
    """A measure over the test folds."""

    mean: float
    spread: float
    """Standard deviation between folds (ddof=1)."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One test fold.

    Attributes:
        test: positions of the rows held out.
        scores: their scores.
        quality: their quality at the threshold of greatest F1.
        strict: what the stricter threshold does to them; None where only one was chosen.
    """

    test: Indices
    scores: Scores
    quality: Quality
    strict: SweepRow | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All folds of a protocol."""

    folds: Sequence[Fold]

    def figures(self) -> dict[str, Figure]:
        """Return mean and spread of each measure over the folds."""
        names = Quality.__struct_fields__
        return {name: _figure([getattr(fold.quality, name) for fold in self.folds]) for name in names}

    def strict_figures(self) -> dict[str, Figure]:
        """Return mean and spread of recall, precision and false alerts at the stricter threshold."""
        rows = [fold.strict for fold in self.folds if fold.strict is not None]
        names = ("threshold", "recall", "precision", "false_alerts")
        return {name: _figure([getattr(row, name) for row in rows]) for name in names if rows}

    def calibration_error(self, anomalous: Labels) -> float:
        """Return the expected calibration error over all rows of a repetition, the mean of the repetitions."""
        return float(np.mean([calibration_error(*run) for run in self.repetitions(anomalous)]))

    def repetitions(self, anomalous: Labels) -> list[tuple[Labels, Scores]]:
        """Return labels and out-of-fold scores of each whole cross-validation."""
        groups = [self.folds[start : start + OUTER_FOLDS] for start in range(0, len(self.folds), OUTER_FOLDS)]
        return [
            (np.concatenate([anomalous[fold.test] for fold in group]), np.concatenate([fold.scores for fold in group]))
            for group in groups
        ]


Split = tuple[Indices, Indices, int]
"""Training positions, test positions, seed."""
Evaluate = Callable[[Split], Fold]
Runner = Callable[[Evaluate, Sequence[Split]], Iterable[Fold]]
"""Applies a function to splits, in order; ``map`` does, and so does the map of a process pool."""


def honest(
    examples: Examples, recipe: AnyRecipe, seeds: Sequence[int] = SEEDS, run: Runner = map, candidates: int = 1
) -> Evaluation:
    """Evaluate by repeated cross-validation; groups stay together, thresholds come from the training folds.

    Each fold is the test fold once a seed. Its thresholds are chosen by a further cross-validation inside its training
    rows, and so is its recipe where there are candidates.

    Args:
        examples: what to evaluate on.
        recipe: parameters of the trees.
        seeds: one cross-validation each.
        run: applies the work to the splits.
        candidates: recipes that ``search`` compares for each test fold; 1 is no search.
    """
    parts = [(train, test, seed) for seed in seeds for train, test in splits(examples, OUTER_FOLDS, seed)]
    return Evaluation(list(run(partial(_honest_fold, examples, recipe, candidates), parts)))


def original(examples: Examples, recipe: AnyRecipe, count: int = ORIGINAL_SPLITS, run: Runner = map) -> Evaluation:
    """Evaluate as the deriving project did: one random split, the threshold chosen ON the test rows.

    It flatters. It is repeated over ``count`` random splits to show how far a single one is luck.
    """
    parts = []
    for seed in range(count):
        train, test = train_test_split(
            np.arange(len(examples)), test_size=ORIGINAL_TEST_SHARE, stratify=examples.anomalous, random_state=seed
        )
        parts.append((train, test, seed))
    return Evaluation(list(run(partial(_original_fold, examples, recipe), parts)))


def _honest_fold(examples: Examples, recipe: AnyRecipe, candidates: int, split: Split) -> Fold:
    train, test, seed = split
    known = examples.take(train)
    recipe = search(known, recipe, candidates, seed)
    chosen = choose(known.anomalous, out_of_fold(known, recipe, seed), STRICT_BUDGET)
    scores, labels = predict(fit(known, recipe, seed), examples.features[test]), examples.anomalous[test]
    return Fold(test, scores, quality(labels, scores, chosen.closed), sweep_row(labels, scores, chosen.open))


def _original_fold(examples: Examples, recipe: AnyRecipe, split: Split) -> Fold:
    train, test, seed = split
    scores, labels = predict(fit(examples.take(train), recipe, seed), examples.features[test]), examples.anomalous[test]
    return Fold(test, scores, quality(labels, scores, best_f1(labels, scores)))


def quality(anomalous: Labels, scores: Scores, threshold: float) -> Quality:
    """Return the quality of scores against labels, at a threshold."""
    row = sweep_row(anomalous, scores, threshold)
    return Quality(
        roc_auc=float(roc_auc_score(anomalous, scores)),
        average_precision=float(average_precision_score(anomalous, scores)),
        f1=row.f1,
        precision=row.precision,
        recall=row.recall,
        brier=float(brier_score_loss(anomalous, scores)),
        calibration_error=calibration_error(anomalous, scores),
        threshold=threshold,
    )


class CalibrationBin(msgspec.Struct, frozen=True):
    """Rows whose scores lie in one bin: mean score, share that is anomalous, number."""

    score: float
    anomalous: float
    rows: int


def calibration(anomalous: Labels, scores: Scores, bins: int = CALIBRATION_BINS) -> list[CalibrationBin]:
    """Return the bins of equal width that hold rows, by ascending score."""
    index = np.minimum((scores * bins).astype(np.intp), bins - 1)
    return [
        CalibrationBin(float(scores[rows].mean()), float(anomalous[rows].mean()), int(rows.sum()))
        for rows in (index == number for number in range(bins))
        if rows.any()
    ]


def calibration_error(anomalous: Labels, scores: Scores, bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error: mean distance of score and share of anomalies, by rows of a bin."""
    parts = calibration(anomalous, scores, bins)
    return sum(part.rows * abs(part.score - part.anomalous) for part in parts) / len(scores)


def calibration_noise(scores: Scores, draws: int = 100) -> float:
    """Return the expected calibration error that the scores would show if they were exactly the probabilities.

    It is not 0: in a bin of few rows the share of anomalies differs from the mean score by chance.

    Args:
        scores: shape (n,).
        draws: sets of labels that are drawn by the scores.
    """
    rng = np.random.default_rng(0)
    return float(np.mean([calibration_error(rng.random(len(scores)) < scores, scores) for _ in range(draws)]))


def _figure(values: Sequence[float]) -> Figure:
    return Figure(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
