"""Report on a detector: everything that is measured of it on labelled call logs."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from scorer.ablation import Ablation, Scorer, ablate
from scorer.bootstrap import Estimate, Ranked
from scorer.comparison import Comparison, compare
from scorer.detection import Alerting, Detected, Proportion, alerts_a_day, model_scores, ranking_of
from scorer.evaluation import CALIBRATION_BINS, CalibrationBin, calibration, calibration_error
from scorer.examples import Labels
from scorer.judged import Share
from scorer.manifest import Manifest
from scorer.plots import Run
from scorer.recording import Recording
from scorer.thresholds import SweepRow, sweep

SWEEP_STEPS = 20


class Traffic(msgspec.Struct, frozen=True):
    """What was judged.

    Attributes:
        files: names of the files.
        calls: calls in sessions.
        clients: distinct clients.
        sessions: sessions.
        benign: benign sessions judged.
        attacked: attacked sessions judged.
        learning: sessions without a verdict that counts: the degree table was too small.
        unmatched: labelled attacks of which no call is in any session.
        days: event time judged, days.
    """

    files: str
    calls: int
    clients: int
    sessions: int
    benign: int
    attacked: int
    learning: int
    unmatched: int
    days: float


class Raised(msgspec.Struct, frozen=True):
    """Alerts as service raises them, cooldown and all.

    Attributes:
        false: alerts on benign sessions.
        true: alerts on attacked sessions.
        false_per_day: false ones by days of traffic, with an interval by client.
    """

    false: int
    true: int
    false_per_day: Estimate


class Calibration(msgspec.Struct, frozen=True):
    """Scores of complete sessions as probabilities.

    Attributes:
        error: expected calibration error: mean distance of score and share of attacks, over bins of equal width.
        bins: the bins that hold sessions.
    """

    error: float
    bins: list[CalibrationBin]


class Drifted(msgspec.Struct, frozen=True):
    """What a change to the log does to detection, over the sessions that start from half way on.

    Attributes:
        name: what happens.
        what: what is done to the log.
        found: attacks found.
        false_alerts: benign sessions of the log's own clients with an alert.
        turned: sessions of the log's own clients that alert now and did not before, or the other way round; a session
            is the same when its client and its first call are.
        added: sessions of clients that the change added, with an alert; None when it adds none.
    """

    name: str
    what: str
    found: Proportion
    false_alerts: Proportion
    turned: Proportion
    added: Proportion | None


class DetectorReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured.

    Attributes:
        model: uid of the bundle.
        trained_on: what the model was trained on.
        thresholds: scores from which it alerts, for open and for closed sessions.
        traffic: what was judged.
        detected: what its alerts come to, over the whole log.
        ranked: how well each session's greatest score ranks sessions.
        raised: alerts with cooldown.
        calibration: of complete sessions.
        sweep: what thresholds would do to complete sessions.
        comparison: with baselines; None when the log is too small, see ``not_compared``.
        not_compared: why there is no comparison; empty when there is one.
        drift: what changes to the log do; empty when they were not tried.
        ablation: what each group of features is worth; None when there was no model to score with.
    """

    model: str
    trained_on: str
    thresholds: dict[str, float]
    traffic: Traffic
    detected: Detected
    ranked: Ranked
    raised: Raised
    calibration: Calibration
    sweep: list[SweepRow]
    comparison: Comparison | None
    not_compared: str
    drift: list[Drifted]
    ablation: Ablation | None

    def document(self) -> dict[str, Any]:
        """Return the report as plain JSON types; what is not a number is None."""
        result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return result


def measure(  # noqa: PLR0913 -- what a report is made of, each named at the call
    recording: Recording,
    manifest: Manifest,
    thresholds: dict[str, float],
    *,
    files: str,
    budget: float | None,
    seed: int,
    drift: list[Drifted],
    scorer: Scorer | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> DetectorReport:
    """Measure a model on a recording.

    Args:
        recording: labelled sessions with the model's verdicts.
        manifest: of the model's bundle.
        thresholds: those that the verdicts were given by, ``open`` and ``closed``.
        files: names of the files.
        budget: false alerts in 1,000 benign sessions that baselines, and the model without a group of features, may
            raise; None for as many as the model.
        seed: of everything that draws.
        drift: what changes to the log did.
        scorer: the model, to say what its features are worth.
        advance: told what is being measured.

    Raises:
        ValueError: no attacked or no benign session got a verdict.
    """
    vectors, judged = recording.vectors, recording.judged
    attacked = vectors.attacked
    for kind, sessions in (("attacked", attacked), ("benign", ~attacked)):
        if not (judged & sessions).any():
            raise ValueError(
                f"no {kind} session got a verdict: {int((~judged).sum()):,} of {len(judged):,} were too early"
            )
    scored = model_scores(recording)
    detected = Alerting(scored, recording.alerting[scored.rows]).detected(seed)
    false = int((~attacked[recording.raised]).sum())
    labels, scores = complete(recording)
    comparison, not_compared = None, ""
    try:
        comparison = compare(recording, budget, seed, advance)
    except ValueError as error:
        not_compared = str(error)
    advance("groups of features")
    ablation = None if scorer is None else ablate(recording, scorer, budget, seed)
    return DetectorReport(
        model=manifest.uid,
        trained_on=manifest.trained_on,
        thresholds=thresholds,
        traffic=Traffic(
            files=files,
            calls=len(recording.calls.session),
            clients=len(np.unique(vectors.client)),
            sessions=len(judged),
            benign=int((judged & ~attacked).sum()),
            attacked=int((judged & attacked).sum()),
            learning=int((~judged).sum()),
            unmatched=len(vectors.unmatched),
            days=recording.days,
        ),
        detected=detected,
        ranked=ranking_of(scored, seed),
        raised=Raised(false, len(recording.raised) - false, alerts_a_day(recording, recording.raised, ~attacked, seed)),
        calibration=Calibration(calibration_error(labels, scores), calibration(labels, scores, CALIBRATION_BINS)),
        sweep=sweep(labels, scores, SWEEP_STEPS),
        comparison=comparison,
        not_compared=not_compared,
        drift=drift,
        ablation=ablation,
    )


def complete(recording: Recording) -> Run:
    """Return labels and scores of the sessions at their end."""
    rows = recording.ready & recording.vectors.closed
    return recording.vectors.anomalous[rows], recording.scores[rows]


def drifted(  # noqa: PLR0913 -- what a change is known by, each named at the call
    recording: Recording, before: Recording, *, name: str, what: str, added: Labels, since: int
) -> Drifted:
    """Return what a change to the log did.

    Args:
        recording: the changed log.
        before: the log as it is.
        name: what happens.
        what: what was done to the log.
        added: sessions of clients that the change added, shape (sessions,).
        since: event time from which sessions have to start to count, epoch milliseconds.
    """
    later, scored = recording.judged & (recording.vectors.start >= since), model_scores(recording)
    alerting = recording.alerting[scored.rows]
    session = scored.moments.session[scored.rows]

    def detection(sessions: Labels) -> Alerting:
        return Alerting(scored.of(sessions), alerting[sessions[session]])

    own, others = detection(later & ~added), later & added
    return Drifted(
        name=name,
        what=what,
        found=Proportion.of_share(own.found),
        false_alerts=Proportion.of_share(own.false_alerts),
        turned=Proportion.of_share(_turned(_alerted(before, since), _alerted(recording, since))),
        added=Proportion.of_share(detection(others).false_alerts) if others.any() else None,
    )


def _alerted(recording: Recording, since: int) -> dict[tuple[str, int], bool]:
    """Return which sessions alert, by client and first call."""
    scored, start = model_scores(recording), recording.vectors.start.tolist()
    alerting = np.bincount(scored.moments.session[scored.rows], recording.alerting[scored.rows], len(start)) > 0
    return {
        (recording.clients[number], start[number]): bool(alerting[number])
        for number in np.flatnonzero(recording.judged & (recording.vectors.start >= since)).tolist()
    }


def _turned(before: dict[tuple[str, int], bool], after: dict[tuple[str, int], bool]) -> Share:
    both = before.keys() & after.keys()
    return Share(sum(before[session] != after[session] for session in both), len(both))
