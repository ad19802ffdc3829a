"""The model card and the plots of the recipe ``access-behaviour``."""

import numpy as np

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer import feature_plots, plots
from scorer.access_behaviour import OUR_COLUMNS, Rows, read_table
from scorer.evaluation import STRICT_BUDGET, calibration_noise
from scorer.examples import Examples
from scorer.explanation import contributions
from scorer.manifest import Manifest
from scorer.model_card import CAPTIONS, CARD, card, chosen, estimator, facts, figure, results, sweep_table, table
from scorer.model_card import plots as embedded
from scorer.table_recipe import ROWS, TableReport, medians
from scorer.thresholds import sweep
from scorer.training import Recipe, Trained


def documents(data: bytes, trained: Trained, report: TableReport) -> dict[str, bytes]:
    """Return the card and the plots of the shipped model.

    Args:
        data: content of ``scorer/data/access_behaviour.csv``.
        trained: what ``bundle_of_table`` made of it.
        report: what was measured.
    """
    manifest, runs = trained.bundle.manifest, report.shipped.repetitions(report.anomalous)
    examples = read_table(data).without_copies().select(ROWS).examples()
    some = examples.features[feature_plots.representatives(examples.anomalous)]
    shap, _ = contributions(trained.bundle.ensemble, some)
    pictures = {
        "roc.png": plots.roc(runs),
        "precision_recall.png": plots.precision_recall(runs),
        "calibration.png": plots.reliability(runs),
        "threshold_sweep.png": plots.threshold_sweep(runs, manifest.thresholds),
        "feature_distributions.png": feature_plots.feature_distributions(
            examples.features, examples.anomalous, ACCESS_BEHAVIOUR_V1, feature_plots.most_important(shap)
        ),
        "shap_summary.png": feature_plots.shap_summary(some, shap, ACCESS_BEHAVIOUR_V1),
    }
    return {CARD: _card(manifest, report, examples, data), **pictures}


def _card(manifest: Manifest, report: TableReport, examples: Examples, data: bytes) -> bytes:
    return card(
        "Model card: access-behaviour",
        [
            ("Read this first", _warning(examples)),
            ("Intended use", _USE),
            ("Data", _data(data)),
            ("Features", _features()),
            ("Training", _training(examples, manifest)),
            ("How good it is: honest protocol", _honest(report)),
            ("The deriving project's own protocol", _original(report)),
            ("Threshold sweep", _sweep(report)),
            ("Plots", embedded(CAPTIONS)),
            ("Limits", _LIMITS),
            ("Facts", facts(manifest)),
            ("Make it again", f"`{_command(manifest)}`\n{_AGAIN}"),
        ],
    )


_USE = """
A demonstration that the method works on public data, a check that training and serving agree, and a starting
point to compare with. It was trained on one application whose traffic is not yours. To watch an API, train on
its own calls: `gatewatch train --calls FILE --labels FILE`.

Not for: blocking clients, judging people, or any API before its alerts were looked at for a while.
"""

_LIMITS = """
- One application, one labelling, no times, no status codes: it knows the shape of a session and nothing else.
- Short sessions look anomalous to it, see above.
- It has seen complete sessions only. While a session is open its score is that of a short session, which is
  why open sessions have the stricter threshold; on an API with short normal sessions that is not enough.
- Scores are probabilities in a population with as many outliers as the table has, more than a quarter: far more
  than any API has.
- The labels are somebody's judgement; equal rows with both labels do not occur, but nobody can check the calls
  behind them.
- Edges of the table were counted before four rows without values were dropped, and the repeated graphs several
  times: the sum that shares are of is known to about 0.5 %.
"""

_AGAIN = """
The same data, seed and library versions give the same uid; other versions of scikit-learn or numpy may round
differently.
"""


def _warning(examples: Examples) -> str:
    benign, anomalous = medians(examples)
    return (
        f"In this table normal sessions have a median of **{benign:.0f} edges** and outliers a median of\n"
        f"**{anomalous:.0f}**. A model of it therefore calls every short session anomalous. True there, false on most\n"
        "APIs, where most normal sessions are a handful of calls. `gatewatch run` says so when it\n"
        "starts with this model."
    )


def _data(data: bytes) -> str:
    raw = read_table(data)
    cleaned = raw.without_copies()
    rows = [
        [name, f"{len(part.ids):,}", f"{(~part.anomalous).sum():,}", f"{part.anomalous.sum():,}"]
        for name, part in {
            "as derived": raw,
            "one row an `_id` (**all**)": cleaned,
            "without `datacenter` rows (**default**; this model)": cleaned.select(Rows.DEFAULT),
        }.items()
    ]
    before = raw.columns["n_connections"]
    return f"""
Kaggle, user tangodelta, "API access behaviour anomaly dataset" (GPL-2.0); graph features derived by the public
project "API Security: Anomaly Detection App". The file, its licence and its known defects lie in `scorer/data`.

{table(["rows", "number", "benign", "anomalous"], rows)}

What was done about the defects:
- **Copies**: seven `_id`s occur four times, all anomalous; one row each is kept. Their edges had been counted
  four times too; `n_connections` is divided by four. (With the copies the median of outliers is
  {np.median(before[raw.anomalous]):.0f} edges.)
- **Equal rows** are one group and never on both sides of a split.
- **Leakage**: `num_users == 1` is the label, and the other usage columns are functions of it; none is in the file.
  `datacenter` is an outlier by rule: those rows are left out of this model, and results with them are given below.
- **Direction**: the deriving project swapped `from` and `to`; see Features.
- **Global degrees** were counted over all rows, test rows included; this can't be undone without the graphs.
"""


def _features() -> str:
    rows = [[f"`{name}`", _origin(name)] for name in ACCESS_BEHAVIOUR_V1.names]
    return f"""
By true edge direction. The table calls the destination of an edge its source; this is where each of our
features comes from:

{table(["feature", "column of the table"], rows)}

`g_out` and `g_in` were counted over the graphs of all rows, of either class and any `ip_type`. Shares are therefore
of the sum of `n_connections` over all distinct rows, although this model is trained on fewer.
"""


def _origin(name: str) -> str:
    factors, divisors = (" x ".join(f"`{own}`" for own in names) for names in OUR_COLUMNS[name])
    return f"{factors} / ({divisors})" if "x" in divisors.split() else " / ".join(filter(None, (factors, divisors)))


def _command(manifest: Manifest) -> str:
    own = manifest.parameters
    model = "" if own.get("model", Recipe.NAME) == Recipe.NAME else f" --model {own['model']}"
    search = "" if own.get("candidates", 1) == 1 else f" --search {own['candidates']}"
    return f"gatewatch train --recipe access-behaviour{model}{search} --seed {manifest.seed}"


_HANDFUL = """\
The parameters are the best of a handful that were compared by the protocol below, on its test folds: that flatters
them a little."""


def _training(examples: Examples, manifest: Manifest) -> str:
    return f"""
{estimator(manifest)} (parameters under Facts) on all {len(examples):,} rows.
{chosen(manifest) or _HANDFUL}

Thresholds come from scores out of fold (5 folds, groups kept together):
- closed sessions: the threshold of greatest F1;
- open sessions: the table has no prefixes of sessions to choose by. The threshold is the score that
  {STRICT_BUDGET:.0f} in 1,000 complete benign sessions reach, if that is more than the one for closed sessions.
"""


def _honest(report: TableReport) -> str:
    named = {f"{features}; {rows} rows": part for (rows, features), part in report.honest.items()}
    strict = report.shipped.strict_figures()
    false = strict["false_alerts"]
    shipped = report.shipped
    whole = shipped.calibration_error(report.anomalous)
    noise_of_folds = float(np.mean([calibration_noise(fold.scores) for fold in shipped.folds]))
    noise = float(np.mean([calibration_noise(scores) for _, scores in shipped.repetitions(report.anomalous)]))
    return f"""
StratifiedGroupKFold, 5 folds, 3 seeds, equal rows kept together; each fold's threshold is chosen by a further
cross-validation inside its training rows. Mean ± standard deviation over the 15 test folds.

- **ours**: this model's features and parameters; the first row is this model.
- **their nine**: the deriving project's nine features as it named them, and its parameters, `class_weight` really
  applied.
- **their nine + 2**: those, `n_apis` and `edges_per_api`.

{results(named)}

ECE needs more rows than a test fold has: scores that are exactly probabilities would show {noise_of_folds:.3f} there.
Over all rows of a repetition this model shows **{whole:.3f}**, where such scores would show {noise:.3f}.

At the threshold for open sessions (chosen the same way): recall {figure(strict["recall"])}, precision
{figure(strict["precision"])}, {false.mean:.1f} ± {false.spread:.1f} false alerts in 1,000 benign sessions.

The threshold's own spread shows that its exact value means little.
"""


def _original(report: TableReport) -> str:
    return f"""
80/20 random split, the threshold chosen **on the test rows**, copies of rows on both sides, `class_weight`
dropped at the final fit; {len(report.original.folds)} splits instead of one. Not a measure of quality: it
shows what that protocol gives, and how far a single split is luck. (That project reports one split: F1 0.926
at threshold 0.59.)

{results({"nine features; default rows": report.original})}
"""


def _sweep(report: TableReport) -> str:
    labels, scores = report.shipped.repetitions(report.anomalous)[0]
    return "Out-of-fold scores of the first of the three repetitions.\n\n" + sweep_table(sweep(labels, scores)[1:-1])
