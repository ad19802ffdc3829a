"""Page: a detector's report as one HTML file, the figures that matter most at the top."""

from collections.abc import Mapping, Sequence

from scorer.ablation import Ablation
from scorer.bootstrap import Estimate
from scorer.comparison import BY_BUDGET, MODEL, Compared, Comparison
from scorer.detection import KindFound, Proportion
from scorer.detector_report import DetectorReport, Drifted, Raised
from scorer.markup import cards, document, folded, images, items, note, section, table

CAPTIONS = {
    "kinds": "Share of the attacks of each kind that were found",
    "time_to_detect": "Calls and seconds from the first hostile call to the alert, by kind of attack",
    "precision_recall": "Precision against recall",
    "roc": "ROC curve",
    "compared": "Precision against recall, beside simpler detectors",
    "compared_roc": "ROC curve, beside simpler detectors",
    "drift": "False alerts when something changes",
    "ablation": "What detection loses without each group of features",
    "calibration": "Reliability plot",
    "sweep": "Precision, recall and F1 by threshold",
}
"""Plot -> what it shows."""

_HOW = """
An attack counts as found when its session raises an alert once hostile calls are among its calls; the cooldown, which
holds further alerts of a client back, is left aside except in alerts a day. What the labels do not name counts as
benign: attacks that nobody labelled make false alerts of right ones. Sessions without a verdict that counts, because
the degree table was still too small, are left out. If the model was trained on these calls, all of this flatters it.
""".strip()


def page(report: DetectorReport, pictures: Mapping[str, bytes]) -> str:
    """Return the page.

    Args:
        report: what was measured.
        pictures: plots by name, those of CAPTIONS; any may be absent.
    """

    def shown(*names: str, wide: bool = False) -> str:
        return images([(CAPTIONS[name], pictures[name]) for name in names if name in pictures], wide=wide)

    return document(
        f"Evaluation of {report.model}",
        [
            _traffic(report),
            _figures(report),
            section("Attacks found, by kind", _kinds(report), shown("kinds"), shown("time_to_detect", wide=True)),
            section("Against simpler detectors", _comparison(report), shown("compared", "compared_roc")),
            section("When something changes that is no attack", _drift(report.drift), shown("drift")),
            section("How well scores rank sessions", _ranking(report), shown("precision_recall", "roc")),
            section("What groups of features are worth", _ablation(report.ablation), shown("ablation", wide=True)),
            section("Calibration and thresholds", _thresholds(report), shown("calibration", "sweep")),
            section("How this was measured", note(_HOW)),
        ],
    )


def _traffic(report: DetectorReport) -> str:
    own = report.traffic
    unmatched = f" {own.unmatched:,} labelled attacks have no call in a session." if own.unmatched else ""
    return note(
        f"{own.files}: {own.calls:,} calls of {own.clients:,} clients in {own.sessions:,} sessions over "
        f"{_duration(own.days)}; {own.benign:,} benign and {own.attacked:,} attacked sessions judged, "
        f"{own.learning:,} too early to judge.{unmatched} Brackets hold intervals of 95 %. "
        f"The model was trained on: {report.trained_on}."
    )


def _figures(report: DetectorReport) -> str:
    detected, raised = report.detected, report.raised
    calls, seconds = detected.overall.calls, detected.overall.seconds
    found, benign = detected.found_by_client, detected.false_alerts
    made = [
        (f"{100 * found.value:.0f} %", f"of attacks found ({_bounds(found, 100)})"),
        (f"{1000 * benign.value:.1f}", f"of 1,000 benign sessions alert ({_bounds(benign, 1000, 1)})"),
        (f"{raised.false_per_day.value:,.0f}", f"false alerts a day of this traffic ({_per_day(raised)})"),
    ]
    if calls:
        made.append(
            (f"{calls[2]:.0f} calls", f"from the first hostile one to the alert, {_seconds(seconds[2])} (medians)")
        )
    if report.comparison is not None:
        equal = [own for own in report.comparison.detectors if own.chosen == BY_BUDGET]
        model, *others = (own for own in sorted(equal, key=lambda own: own.name != MODEL))
        best = max(others, key=lambda own: own.detected.found_by_client.value)
        share = 100 * model.detected.found_by_client.value
        text = f"found by the best simpler detector, {best.name}, with the budget of false alerts that the model finds"
        made.append((f"{100 * best.detected.found_by_client.value:.0f} %", f"{text} {share:.0f} % with"))
    return cards(made)


def _kinds(report: DetectorReport) -> str:
    header = [
        "attack",
        "sessions",
        "found",
        "found while it went on",
        "before half of its calls",
        "calls to the alert",
        "time to the alert",
    ]
    rows = [_kind(kind) for kind in (*report.detected.kinds, report.detected.overall)]
    early = report.detected.premature
    return table(header, rows, {len(rows) - 1}) + note(
        "Calls and time from the first hostile call to the alert, by the log's clock: median, in brackets the middle "
        "half of the attacks found. Intervals of shares are Wilson's. "
        f"{early.hits:,} of {early.of:,} attacked sessions raised an alert before their first hostile call."
    )


def _kind(kind: KindFound) -> list[str]:
    calls = f"{kind.calls[2]:.0f} ({kind.calls[1]:.0f} to {kind.calls[3]:.0f})" if kind.calls else ""
    times = [_seconds(value) for value in kind.seconds]
    seconds = f"{times[2]} ({times[1]} to {times[3]})" if times else ""
    shares = [_percent(share) for share in (kind.found, kind.early, kind.before_half)]
    return [kind.attack, f"{kind.found.of:,}", *shares, calls, seconds]


def _ranking(report: DetectorReport) -> str:
    ranked = report.ranked
    return note(
        f"Average precision {_estimate(ranked.average_precision)}, area under the ROC curve "
        f"{_estimate(ranked.roc_auc)}. A session counts by its greatest score, an attacked one from its first hostile "
        "call on. Bands and brackets come from drawing clients, not sessions, with replacement."
    )


def _comparison(report: DetectorReport) -> str:
    found = report.comparison
    if found is None:
        return note(f"Not compared: {report.not_compared}.")
    header = [
        "detector",
        "alerts from",
        "attacks found",
        "false alerts in 1,000",
        "calls",
        "average precision",
        "ROC area",
    ]
    rows = [_compared(own) for own in found.detectors]
    marked = {number for number, own in enumerate(found.detectors) if own.name == MODEL}
    sources = {own.name: f"{own.name}: {own.how} ({own.source})" for own in found.detectors if own.source}
    return table(header, rows, marked) + note(_split(found)) + items(list(sources.values()))


def _split(found: Comparison) -> str:
    return (
        f"The log's first {found.training_sessions:,} sessions fit the detectors that need it and set the thresholds: "
        f"each may alert on {found.budget:.1f} of 1,000 benign sessions there. The table is of the "
        f"{found.test_sessions:,} sessions that start later; calls are the median from the first hostile one to the "
        "alert, intervals are by client."
    )


def _compared(own: Compared) -> list[str]:
    calls = own.detected.overall.calls
    threshold = "" if own.threshold is None else f"{own.threshold:,.4g}, "
    found, benign = own.detected.found_by_client, own.detected.false_alerts
    return [
        own.name,
        f"{threshold}{own.chosen}",
        f"{100 * found.value:.0f} % ({_bounds(found, 100)})",
        f"{1000 * benign.value:.1f} ({_bounds(benign, 1000, 1)})",
        f"{calls[2]:.0f}" if calls else "",
        _estimate(own.ranked.average_precision),
        _estimate(own.ranked.roc_auc),
    ]


def _drift(drift: Sequence[Drifted]) -> str:
    if not drift:
        return ""
    header = ["change", "attacks found", "false alerts in 1,000", "sessions that turned", "added sessions that alert"]
    rows = [
        [
            own.name,
            _percent(own.found),
            f"{1000 * own.false_alerts.value:.1f} ({_bounds(own.false_alerts, 1000, 1)})",
            f"{own.turned.hits:,} of {own.turned.of:,}",
            "" if own.added is None else f"{own.added.hits:,} of {own.added.of:,}",
        ]
        for own in drift
    ]
    text = (
        "Over the sessions that start from half way on. A session turned when it alerts now and did not before, or the "
        "other way round. Clients that a change adds are counted by themselves."
    )
    return table(header, rows, {0}) + note(text) + items([f"{own.name}: {own.what}" for own in drift])


def _ablation(found: Ablation | None) -> str:
    if found is None:
        return ""
    header = ["group", "features", "attacks no longer found", "average precision lost"]
    rows = [
        [
            loss.group,
            f"{len(loss.features)}",
            f"{100 * loss.found.value:.0f} % ({_bounds(loss.found, 100)})",
            _estimate(loss.average_precision),
        ]
        for loss in found.losses
    ]
    text = (
        f"With all groups {100 * found.found.value:.0f} % of the attacks are found ({_bounds(found.found, 100)}) at "
        f"{found.budget:.1f} false alerts in 1,000 benign sessions, average precision "
        f"{_estimate(found.average_precision)}. Then each session gets a group's features of a benign session drawn at "
        "random, thresholds are chosen anew by the same budget, and the loss is shown: the mean of "
        f"{found.repeats} draws, intervals over clients and draws. The model is not trained anew, so this is what it "
        "uses: trained without the group, it could make up for some of it."
    )
    return (
        note(text) + table(header, rows) + items([f"{loss.group}: {', '.join(loss.features)}" for loss in found.losses])
    )


def _thresholds(report: DetectorReport) -> str:
    header = ["threshold", "precision", "recall", "F1", "false alerts in 1,000"]
    rows = [
        [
            f"{row.threshold:.2f}",
            *(f"{value:.3f}" for value in (row.precision, row.recall, row.f1)),
            f"{row.false_alerts:.1f}",
        ]
        for row in report.sweep[1:-1]
    ]
    chosen = ", ".join(f"{value:.3f} for {name} sessions" for name, value in sorted(report.thresholds.items()))
    text = (
        f"Complete sessions by their last score. Expected calibration error {report.calibration.error:.3f}. The model "
        f"alerts from {chosen}."
    )
    return note(text) + folded("Threshold sweep", table(header, rows))


def _percent(share: Proportion) -> str:
    return f"{100 * share.value:.0f} % ({_bounds(share, 100)})"


def _estimate(value: Estimate) -> str:
    return f"{value.value:.3f} ({_bounds(value, 1, 3)})"


def _bounds(value: Estimate | Proportion, times: float, digits: int = 0) -> str:
    return f"{times * value.low:.{digits}f} to {times * value.high:.{digits}f}"


def _per_day(raised: Raised) -> str:
    rate = raised.false_per_day
    return f"{rate.low:,.0f} to {rate.high:,.0f}; {raised.false:,} in the log"


def _seconds(value: float) -> str:
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def _duration(days: float) -> str:
    return f"{days:.1f} days" if days >= 2 else _seconds(days * 86_400)
