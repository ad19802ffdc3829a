"""The model card and the plots of a model trained on call logs."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from featurizer.features import FeatureSchema
from scorer import feature_plots, plots
from scorer.bootstrap import share_by_client
from scorer.call_evaluation import CallReport
from scorer.call_fits import INTERVAL_RESAMPLES
from scorer.call_recipe import BUDGET, COPIES, VARIATION, Weaving, examples_of, ready
from scorer.examples import Scores
from scorer.explanation import contributions
from scorer.feedback import Feedback
from scorer.judged import Detection, Judged, Share
from scorer.labelling import LabelledVectors
from scorer.manifest import Manifest
from scorer.model_card import CAPTIONS, CARD, card, chosen, estimator, facts, sweep_table, table
from scorer.model_card import plots as embedded
from scorer.thresholds import highest, sweep
from scorer.training import Trained


def documents(  # noqa: PLR0913 -- what a card is about
    vectors: LabelledVectors,
    trained: Trained,
    scores: Scores,
    report: CallReport,
    schema: FeatureSchema,
    *,
    weaving: Weaving | None = None,
    feedback: Feedback | None = None,
) -> dict[str, bytes]:
    """Return the card and the plots.

    Args:
        vectors: labelled vectors that the model was trained on.
        trained: the model.
        scores: scores out of fold of the vectors that are ``ready``, in order.
        report: quality on held-out sessions.
        schema: features of the vectors.
        weaving: how the attacks came about, when they were woven in.
        feedback: which sessions these are, when people labelled some of those that workers judged.
    """
    manifest, usable = trained.bundle.manifest, ready(vectors)
    complete = usable & vectors.closed
    runs = [(vectors.anomalous[complete], scores[vectors.closed[usable]])]
    features = examples_of(vectors, complete).features
    labels = vectors.anomalous[complete]
    some = features[feature_plots.representatives(labels)]
    shap, _ = contributions(trained.bundle.ensemble, some)
    pictures = {
        "roc.png": plots.roc(runs),
        "precision_recall.png": plots.precision_recall(runs),
        "calibration.png": plots.reliability(runs),
        "threshold_sweep.png": plots.threshold_sweep(runs, manifest.thresholds),
        "feature_distributions.png": feature_plots.feature_distributions(
            features, labels, schema, feature_plots.most_important(shap)
        ),
        "shap_summary.png": feature_plots.shap_summary(some, shap, schema),
    }
    sections = [
        ("Intended use", _use(manifest)),
        ("Data", _data(vectors, manifest)),
        *([("Woven attacks", _weaving(weaving))] if weaving else []),
        *([("Feedback", _feedback(feedback))] if feedback else []),
        ("Training", _training(vectors, manifest)),
        ("Thresholds", _thresholds(vectors, manifest, scores)),
        ("How good it is on clients it has not seen", _quality(report)),
        ("Threshold sweep", _SWEEP + sweep_table(sweep(*runs[0])[1:-1])),
        ("Plots", _PLOTS + embedded(CAPTIONS)),
        ("Limits", (_WOVEN_LIMITS if weaving else "") + (_FEEDBACK_LIMITS if feedback else "") + _LIMITS),
        ("Facts", facts(manifest)),
    ]
    return {CARD: card(f"Model card: {manifest.name}", sections), **pictures}


_SWEEP = (
    "Complete sessions of the whole input, scored out of fold (no fold's model saw any session of their client).\n\n"
)
_PLOTS = f"""
Complete sessions of the whole input, scored out of fold; feature values and SHAP values of the final model, of the
{feature_plots.MOST_SHOWN} features that move its scores most.

"""

_WOVEN_LIMITS = """
- **All figures of detection are on woven attacks**, made by gatewatch of these very calls. They say how well the model
  tells woven attacks from benign use; how many real attacks it finds, nobody knows before there are some."""

_FEEDBACK_LIMITS = """
- **Sessions that a model alerted and nobody labelled are in no figure.** False alerts are counted among the others, so
  there are more in service; and the attacks are those that a model had alerted, or somebody came across."""

_LIMITS = """
- It knows the attacks it was shown. What differs from all of them and still looks like benign use is not found.
- What the labels do not name was taken as benign; attacks nobody labelled teach it that they are normal.
- Scores are not calibrated probabilities: `class_weight="balanced"` raises them (see the calibration plot).
  Severity cut-offs in the settings are cut-offs of this score.
- All was measured within one recording; another day has another mix of traffic.
- It fits sessions cut by the settings it was trained with (`sessions.…` under Facts).
- False alerts hold for benign use like that of the training calls. A new release of the API or a new kind of
  client changes what is usual; train again then.
- Measured without the cooldown, which suppresses further alerts of a client, and without taking alerted
  sessions back out of the degree tables, which service does.
"""


def _use(manifest: Manifest) -> str:
    return f"""
Alerts on sessions of the API whose calls it was trained on: {manifest.data.description}

Not for other APIs: degrees and session lengths differ too much between them. Not for blocking clients without
a person looking first.
"""


def _data(vectors: LabelledVectors, manifest: Manifest) -> str:
    kinds = Counter(vectors.attacks)
    rows = [[kind or "benign", f"{count:,}"] for kind, count in sorted(kinds.items())]
    early = int((~ready(vectors)).sum())
    unmatched = len(vectors.unmatched)
    return f"""
{manifest.data.name}; licence {manifest.data.licence}.

{table(["sessions", "number"], rows)}

{len(vectors.values):,} vectors of {len(vectors.attacks):,} sessions; {early:,} vectors were taken too early to
judge (the degree table held fewer than {manifest.minimum_edges:,} edges) and are left out. {unmatched:,} labelled
attacks have no call in the input.
"""


def _weaving(weaving: Weaving) -> str:
    left_out = "".join(f"\n- left out: `{kind}`, since {reason}" for kind, reason in sorted(weaving.left_out.items()))
    return f"""
Nobody labelled these calls. {weaving.attacks:,} attacks were woven into them, by the roles that endpoints play in the
calls and with the clients' own pauses; the degree tables hold each only while it is measured. For training, the
{weaving.trimmed:,} sessions were left out that were both isolated from the others (isolation forest) and taken for
attacks by a first model, on the assumption that at most {100 * weaving.contamination:g} % of the calls' sessions are
hidden attacks. Their number is no finding: benign sessions are among them, and some hidden attacks are not. So they
count as benign in every figure of false alerts; only thresholds are chosen without those of them that score
{1 - weaving.contamination:g} or more, which makes them likelier attacks than not.
{left_out}
"""


def _feedback(feedback: Feedback) -> str:
    rows = [
        ["labelled as attacks", f"{feedback.attacks:,}", f"{feedback.label_weight:g}"],
        ["labelled as none", f"{feedback.benign:,}", f"{feedback.label_weight:g}"],
        ["ended without an anomalous verdict, taken to be benign", f"{feedback.unlabelled:,}", "1"],
        ["with an anomalous verdict, and not labelled", f"{feedback.alerted:,}", "left out"],
        ["labelled as tests", f"{feedback.tests:,}", "left out"],
        ["not ended, and not labelled", f"{feedback.going_on:,}", "left out"],
    ]
    return f"""
Sessions that workers judged, with what people said of some of them.

{table(["sessions", "number", "weight"], rows)}

A model does not teach its successor that what it alerted was benign, nor that it was an attack: only a label puts such
a session in. {feedback.without_session:,} labels are of sessions of which there are no vectors any more;
{feedback.foreign:,} records were passed over, as those of another version's features.
"""


def _training(vectors: LabelledVectors, manifest: Manifest) -> str:
    usable = ready(vectors) & (vectors.weight[vectors.session] > 0)
    opened = int((usable & ~vectors.closed).sum())
    return f"""
{estimator(manifest)} (parameters below), on {int(usable.sum()):,} vectors: sessions at
their end, and {opened:,} vectors of sessions that still went on. The rows of a session share its weight, both
classes weigh the same. A vector taken before the first hostile call is benign.

{chosen(manifest)}

{COPIES} copies of every training row have features of the traffic that are somewhat greater or smaller (about
{VARIATION:.0%} each): the mix of traffic shifts from day to day, and a model must not recognise an endpoint by its
exact share.
"""


def _thresholds(vectors: LabelledVectors, manifest: Manifest, scores: Scores) -> str:
    budget, limits = manifest.parameters["false_alert_budget"], manifest.thresholds
    rows = np.flatnonzero(ready(vectors))
    alerting = scores >= np.where(vectors.closed[rows], limits["closed"], limits["open"])
    judged = Judged(vectors, rows, alerting)
    benign = judged.there & ~vectors.attacked
    share = judged.share(judged.any_alert, ~vectors.attacked)
    clients = share_by_client(judged.any_alert[benign], vectors.client[benign], manifest.seed)
    least = 1000 * highest(0, share.of)
    few = (
        f"{share.of:,} benign sessions are too few to be sure of {budget:g} in 1,000: with no alert among them the\n"
        f"share may still be {least:.1f}. Thresholds are above all of their scores, or nearly so; give more calls."
    )
    return f"""
{limits["open"]:.4f} for sessions that go on, {limits["closed"]:.4f} for those that have ended. They come from scores
out of fold (5 folds, a client's sessions kept together). Of all pairs that alert on so few benign sessions, early or at
their end, that the upper end of the interval keeps within {budget:g} in 1,000, this one finds the most attacks; those
found before half of their calls were made count twice.
{_daily(manifest)}
{_varying(manifest)}
Benign sessions that alert, out of fold: {_rate(share)} in 1,000, with clients drawn (bootstrap)
{1000 * clients.low:.1f} to {1000 * clients.high:.1f}.
{few if least > budget else ""}
"""


def _daily(manifest: Manifest) -> str:
    """Say what a budget by day came to."""
    in_thousand, a_day, sessions = (manifest.parameters.get(name) for name in BUDGET)
    if a_day is None:
        return ""
    return f"""
The budget was {a_day:g} false alerts a day. The input has {sessions:,.1f} benign sessions a day, from the first of
them to the last call, so that is {in_thousand:g} in 1,000.
"""


def _varying(manifest: Manifest) -> str:
    """Say how far thresholds would vary over other clients."""
    intervals = manifest.threshold_intervals
    if isinstance(intervals, msgspec.UnsetType):
        return ""
    bounds = {name: f"{low:.4f} to {high:.4f}" for name, (low, high) in intervals.items()}
    return f"""
Chosen again with clients drawn (bootstrap, {INTERVAL_RESAMPLES} times) they are {bounds["open"]} for sessions
that go on and {bounds["closed"]} for those that have ended (95 %); the model is the same in every draw. Where few or no
benign sessions may alert, thresholds hang on the few highest scores. No draw holds a higher one: upper ends are then
too low.
"""


def _quality(report: CallReport) -> str:
    rows = [_row(detection) for detection in (*report.kinds, report.overall)]
    complete, chosen = report.complete, report.thresholds
    return f"""
For these numbers a model was trained on {report.train_sessions:,} sessions and judged by
{report.test_sessions:,} others: {report.split}.
Its thresholds ({chosen.open:.3f} open, {chosen.closed:.3f} closed) were chosen on the training sessions. The model
of this bundle is then trained on all sessions in the same way. Intervals are 95 %.

{table(["attack", "sessions", "found", "found early", "before half", "calls to detect", "seconds to detect"], rows)}

Found early: while the session went on; before half: before half of its calls, counted from the first hostile
one, were made. Calls and seconds: median from the first hostile call to the vector that raised the first alert,
over the attacks found.

- False alerts: {_rate(report.false_alerts)} in 1,000 benign sessions; early ones {_rate(report.false_early)}.
- Attacked sessions with an alert before the first hostile call: {report.premature.hits} of {report.premature.of}.
- Complete sessions: ROC AUC {complete.roc_auc:.3f}, average precision {complete.average_precision:.3f}, F1
  {complete.f1:.3f} (precision {complete.precision:.3f}, recall {complete.recall:.3f}), Brier
  {complete.brier:.3f}, calibration error {complete.calibration_error:.3f}.
"""


def _row(detection: Detection) -> Sequence[str]:
    return [
        detection.attack,
        f"{detection.found.of:,}",
        _percent(detection.found),
        _percent(detection.early),
        _percent(detection.before_half),
        "none" if detection.calls is None else f"{detection.calls:.0f}",
        "none" if detection.seconds is None else f"{detection.seconds:.1f}",
    ]


def _percent(share: Share) -> str:
    low, high = share.interval
    return f"{100 * share.value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def _rate(share: Share) -> str:
    low, high = share.interval
    return f"{1000 * share.value:.1f} ({1000 * low:.1f} to {1000 * high:.1f}; {share.hits} of {share.of:,})"
