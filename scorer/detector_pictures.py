"""Pictures of a detector's report: which plots there are and what each shows."""

import numpy as np

from scorer import detector_plots, plots
from scorer.comparison import MODEL
from scorer.detection import Alerting, model_scores
from scorer.detector_report import DetectorReport, complete
from scorer.recording import Recording


def pictures(report: DetectorReport, recording: Recording) -> dict[str, bytes]:
    """Return the plots by name, as PNG bytes.

    Args:
        report: what was measured.
        recording: what it was measured on.
    """
    kinds = report.detected.kinds
    runs = [complete(recording)]
    chance = report.traffic.attacked / (report.traffic.attacked + report.traffic.benign)
    made = {
        "kinds": detector_plots.shares(
            [(kind.attack, kind.found) for kind in kinds], "Attacks found, by kind", "attacked sessions found, %"
        ),
        "time_to_detect": detector_plots.time_to_detect(_delays(recording)),
        "precision_recall": detector_plots.precision_recall({MODEL: report.ranked.precision_recall}, chance, MODEL),
        "roc": detector_plots.roc({MODEL: report.ranked.roc}, MODEL),
        "calibration": plots.reliability(runs),
        "sweep": plots.threshold_sweep(runs, report.thresholds),
    }
    if report.comparison is not None:
        ranked = {own.name: own.ranked for own in report.comparison.detectors}
        made["compared"] = detector_plots.precision_recall(
            {name: own.precision_recall for name, own in ranked.items()}, chance, MODEL
        )
        made["compared_roc"] = detector_plots.roc({name: own.roc for name, own in ranked.items()}, MODEL)
    if report.drift:
        made["drift"] = detector_plots.shares(
            [(own.name, own.false_alerts) for own in report.drift],
            "False alerts when something changes",
            "benign sessions with an alert, in 1,000",
            per=1000,
        )
    if report.ablation is not None:
        made["ablation"] = detector_plots.losses(
            [(loss.group, loss.found, loss.average_precision) for loss in report.ablation.losses]
        )
    return made


def _delays(recording: Recording) -> dict[str, detector_plots.Delays]:
    scored, kinds = model_scores(recording), np.array(recording.vectors.attacks)
    detection = Alerting(scored, recording.alerting[scored.rows])
    present = sorted({str(kind) for kind in kinds[recording.judged] if kind})
    return {kind: detection.delays(kinds == kind) for kind in present}
