"""Model card: what a bundle is for, what it was trained on, how good it is and where it fails, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from scorer.catboost_recipe import CatBoostRecipe
from scorer.evaluation import Evaluation, Figure
from scorer.isolation_recipe import IsolationRecipe
from scorer.manifest import Manifest
from scorer.thresholds import SweepRow
from scorer.training import Recipe

CARD = "MODEL_CARD.md"

MEASURES = {
    "roc_auc": "ROC AUC",
    "average_precision": "AP",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "brier": "Brier",
    "calibration_error": "ECE",
    "threshold": "threshold",
}
"""Measure -> heading of its column."""

CAPTIONS = {
    "roc.png": "ROC curve",
    "precision_recall.png": "Precision-recall curve",
    "calibration.png": "Calibration",
    "threshold_sweep.png": "Threshold sweep",
    "feature_distributions.png": "Feature distributions by class",
    "shap_summary.png": "SHAP summary",
}
"""Plot -> its caption, in the order shown."""


_ESTIMATORS = {kind.NAME: kind.ESTIMATOR for kind in (Recipe, CatBoostRecipe, IsolationRecipe)}


def estimator(manifest: Manifest) -> str:
    """Return whose trees the model's are."""
    return _ESTIMATORS[manifest.parameters.get("model", Recipe.NAME)]


def chosen(manifest: Manifest) -> str:
    """Say how the recipe was chosen, where it was; empty where it was not."""
    count = manifest.parameters.get("candidates", 1)
    if count == 1:
        return ""
    return (
        f"The parameters are the best of {count} candidates, drawn at random, by the log loss of scores out of fold;\n"
        "for every figure below they were chosen anew, without the rows that it was measured on."
    )


def card(title: str, sections: Iterable[tuple[str, str]]) -> bytes:
    """Return a card of sections (heading, Markdown)."""
    parts = [f"# {title}", *(f"## {heading}\n\n{text.strip()}" for heading, text in sections)]
    return ("\n\n".join(parts) + "\n").encode()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: Figure) -> str:
    """Return mean and spread, as ``0.924 ± 0.019``."""
    return f"{value.mean:.3f} ± {value.spread:.3f}"


def results(named: Mapping[str, Evaluation], measures: Sequence[str] = tuple(MEASURES)) -> str:
    """Return a table of evaluations, one a row: mean and standard deviation over test folds."""
    rows = []
    for name, evaluation in named.items():
        figures = evaluation.figures()
        rows.append([name, *(figure(figures[measure]) for measure in measures)])
    return table(["what", *(MEASURES[measure] for measure in measures)], rows)


def sweep_table(rows: Iterable[SweepRow]) -> str:
    """Return a table of thresholds and what each does."""
    return table(
        ["threshold", "precision", "recall", "F1", "false alerts in 1,000 benign"],
        (
            [
                f"{row.threshold:.2f}",
                f"{row.precision:.3f}",
                f"{row.recall:.3f}",
                f"{row.f1:.3f}",
                f"{row.false_alerts:.1f}",
            ]
            for row in rows
        ),
    )


def plots(names: Iterable[str]) -> str:
    """Return the plots that there are, in the order of CAPTIONS."""
    there = set(names)
    return "\n\n".join(f"![{caption}]({name})" for name, caption in CAPTIONS.items() if name in there)


def facts(manifest: Manifest) -> str:
    """Return the numbers that decide a verdict, and what made them."""
    parameters = ", ".join(f"{name} {value}" for name, value in manifest.parameters.items())
    versions = ", ".join(f"{name} {version}" for name, version in sorted(manifest.library_versions.items()))
    return "\n".join(
        f"- {name}: {text}"
        for name, text in {
            "uid": f"`{manifest.uid}`",
            "features": f"{manifest.schema_name} version {manifest.schema_version} (`{manifest.schema_fingerprint}`)",
            "threshold, closed sessions": f"{manifest.thresholds['closed']:.4f}",
            "threshold, open sessions": f"{manifest.thresholds['open']:.4f}",
            "minimum edges before verdicts count": f"{manifest.minimum_edges:,}",
            "parameters": parameters,
            "seed": f"{manifest.seed}",
            "data": f"{manifest.data.name}, licence {manifest.data.licence}, SHA-256 `{manifest.data.sha256}`",
            "versions": versions,
        }.items()
    )
