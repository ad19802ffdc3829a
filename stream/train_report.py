"""What ``gatewatch train`` prints: for people, and for another program."""

from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from scorer.call_evaluation import CallReport
from scorer.call_recipe import BUDGET
from scorer.evaluation import Evaluation
from scorer.feedback import Feedback
from scorer.judged import Detection, Share
from scorer.manifest import Manifest
from scorer.table_recipe import TableReport
from stream.train import Made

MEASURES = {"roc_auc": "ROC AUC", "average_precision": "AP", "f1": "F1", "precision": "precision", "recall": "recall"}
SPREAD = "f1"
"""The measure whose spread is shown too."""


def summary(made: Made, path: Path) -> dict[str, Any]:
    """Return what was made and how good it is, for another program."""
    manifest = made.bundle.manifest
    result: dict[str, Any] = {
        "uid": manifest.uid,
        "path": str(path),
        "trained_on": manifest.trained_on,
        "thresholds": manifest.thresholds,
        "minimum_edges": manifest.minimum_edges,
        "metrics": manifest.metrics,
    }
    if isinstance(made.report, TableReport):
        result["honest_protocol"] = [
            {"rows": rows, "features": features, **msgspec.to_builtins(evaluation.figures())}
            for (rows, features), evaluation in made.report.honest.items()
        ]
        result["original_protocol"] = msgspec.to_builtins(made.report.original.figures())
    else:
        result["threshold_intervals"] = manifest.threshold_intervals
        result["budget"] = {name: manifest.parameters[name] for name in BUDGET if name in manifest.parameters}
        result["split"] = made.report.split
        result["attacks"] = "woven" if made.report.woven else "labelled"
        result["detection"] = [_detection(detection) for detection in (*made.report.kinds, made.report.overall)]
        result["false_alerts"] = _share(made.report.false_alerts)
        result["false_early_alerts"] = _share(made.report.false_early)
    if made.feedback is not None:
        result["feedback"] = msgspec.to_builtins(made.feedback)
    return result


def chosen(manifest: Manifest) -> str:
    """Say which thresholds were chosen, with their intervals where there are some."""
    early, closing = manifest.thresholds["open"], manifest.thresholds["closed"]
    intervals = manifest.threshold_intervals
    if isinstance(intervals, msgspec.UnsetType):
        return f"{early:.3f} while a session is open, {closing:.3f} at its end"
    bounds = {name: f"{low:.3f} to {high:.3f}" for name, (low, high) in intervals.items()}
    return f"{early:.3f} ({bounds['open']}) while a session is open, {closing:.3f} ({bounds['closed']}) at its end"


def daily(manifest: Manifest) -> str:
    """Say what a budget by day came to; empty when it was given in 1,000."""
    in_thousand, a_day, sessions = (manifest.parameters.get(name) for name in BUDGET)
    if a_day is None:
        return ""
    came = f"{a_day:g} false alerts a day are {in_thousand:g} in 1,000"
    return f"{came}: the input has {sessions:,.1f} benign sessions a day"


def kept(feedback: Feedback) -> str:
    """Say which sessions a model was trained on."""
    labelled = f"{feedback.attacks:,} labelled as attacks and {feedback.benign:,} as none"
    there = f"{feedback.unlabelled:,} not labelled, {labelled}"
    left = f"{feedback.alerted:,} alerted and not labelled, {feedback.tests:,} tests, {feedback.going_on:,} that go on"
    rest = f"; {feedback.foreign:,} records were passed over" if feedback.foreign else ""
    lost = f"; {feedback.without_session:,} labels belong to no session" if feedback.without_session else ""
    return f"{there}; left out: {left}{lost}{rest}"


def tables(report: TableReport | CallReport) -> list[Table]:
    """Return the tables for people."""
    return _of_table(report) if isinstance(report, TableReport) else _of_calls(report)


def _of_table(report: TableReport) -> list[Table]:
    honest = Table("rows", "features", *MEASURES.values(), title="Honest protocol: 5 folds, 3 seeds, inner thresholds")
    for (rows, features), evaluation in report.honest.items():
        honest.add_row(rows, features, *_figures(evaluation), style="bold" if evaluation is report.shipped else "")
    own = Table(
        "rows",
        "features",
        *MEASURES.values(),
        title="The deriving project's own: 40 splits, threshold on the test rows",
    )
    own.add_row("default", "nine with copies", *_figures(report.original))
    return [_left(honest), _left(own)]


def _of_calls(report: CallReport) -> list[Table]:
    title = "Woven attacks, of which it has not seen the client" if report.woven else "Clients it has not seen"
    found = Table("attack", "sessions", "found", "early", "before half", "calls to detect", title=title)
    for detection in (*report.kinds, report.overall):
        calls = "" if detection.calls is None else f"{detection.calls:.0f}"
        shares = (f"{100 * share.value:.0f} %" for share in (detection.found, detection.early, detection.before_half))
        found.add_row(detection.attack, str(detection.found.of), *shares, calls)
    complete = report.complete
    rest = Table(
        "false alerts", "early", *MEASURES.values(), title="Alerts in 1,000 benign sessions; quality over complete ones"
    )
    rates = (f"{1000 * share.value:.1f}" for share in (report.false_alerts, report.false_early))
    rest.add_row(*rates, *(f"{getattr(complete, measure):.3f}" for measure in MEASURES))
    return [_left(found), _left(rest)]


def _left(table: Table) -> Table:
    table.title_justify = "left"
    table.box = None
    table.pad_edge = False
    return table


def _figures(evaluation: Evaluation) -> list[str]:
    figures = evaluation.figures()
    spread = f" ± {figures[SPREAD].spread:.3f}"
    return [f"{figures[measure].mean:.3f}{spread if measure == SPREAD else ''}" for measure in MEASURES]


def _detection(detection: Detection) -> dict[str, Any]:
    return {
        "attack": detection.attack,
        "found": _share(detection.found),
        "early": _share(detection.early),
        "before_half": _share(detection.before_half),
        "median_calls": detection.calls,
        "median_seconds": detection.seconds,
    }


def _share(share: Share) -> dict[str, Any]:
    return {"hits": share.hits, "of": share.of, "interval": list(share.interval)}
