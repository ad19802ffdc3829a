"""Evaluation from files: replays labelled logs, as they are and changed, and gives the files of a report."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from featurizer.degree_snapshots import DegreeSnapshot
from scorer.ablation import Scorer
from scorer.bundle import ModelBundle
from scorer.comparison import half_way
from scorer.detector_page import page
from scorer.detector_pictures import pictures
from scorer.detector_report import DetectorReport, Drifted, drifted, measure
from scorer.judge import Judge
from scorer.labelling import AttackLabel
from scorer.recording import Recording
from stream import assembly
from stream.errors import CommandError
from stream.recorder import Recorder
from stream.replay import Progress
from stream.settings import Settings
from stream.traffic_changes import Scenario, added, scaled, scenarios

REPORT, PAGE = "report.json", "report.html"

Advance = Callable[[str], None]
"""Told what is done next."""


class LabelledLog(NamedTuple):
    """Labelled call logs and how they are read.

    Attributes:
        calls: the files, the oldest first.
        format: their format.
        labels: the known attacks.
        settings: as for ``run``.
    """

    calls: Sequence[Path]
    format: str
    labels: Sequence[AttackLabel]
    settings: Settings


def evaluate(  # noqa: PLR0913 -- what the command is given, each named at the call
    log: LabelledLog,
    bundle: ModelBundle,
    *,
    budget: float | None,
    seed: int,
    with_drift: bool,
    progress: Progress = lambda _: None,
    advance: Advance = lambda _: None,
) -> tuple[DetectorReport, dict[str, bytes]]:
    """Return the report, and its files by name.

    Args:
        log: the labelled calls.
        bundle: the model.
        budget: false alerts in 1,000 benign sessions that baselines may raise; None for as many as the model.
        seed: of bootstrap and baselines.
        with_drift: replay the log with changes as well, once a change.
        progress: told of the bytes read in the first replay.
        advance: told what is done next.

    Raises:
        CommandError: there is nothing to measure by.
        OSError: a file cannot be read.
    """
    run = Recorder(log.settings, bundle, log.format)
    recording, degrees = run.record(log.calls, log.labels, progress)
    judge = assembly.make_judge(log.settings, bundle, Judge)
    try:
        report = measure(
            recording,
            bundle.manifest,
            {"open": judge.threshold_open, "closed": judge.threshold_closed},
            files=", ".join(path.name for path in log.calls),
            budget=budget,
            seed=seed,
            scorer=Scorer(bundle.score, bundle.schema),
            drift=drift(log, bundle, recording, degrees, advance) if with_drift else [],
            advance=advance,
        )
    except ValueError as error:
        raise CommandError(str(error), "give more calls, or labels of attacks in them") from error
    advance("plots")
    files = {
        REPORT: msgspec.json.format(msgspec.json.encode(report.document())) + b"\n",
        PAGE: page(report, pictures(report, recording)).encode(),
    }
    return report, files


def drift(
    log: LabelledLog, bundle: ModelBundle, recording: Recording, degrees: DegreeSnapshot, advance: Advance
) -> list[Drifted]:
    """Replay the log with each change; return what it led to, the log as it is first.

    Args:
        log: the labelled calls.
        bundle: the model.
        recording: the log as it is.
        degrees: the degree table at its end.
        advance: told which change comes next.
    """
    since = half_way(recording)

    def of(changed: Recording, name: str, what: str) -> Drifted:
        return drifted(changed, recording, name=name, what=what, added=added(changed), since=since)

    results = [of(recording, "none", "the log as it is")]
    with tempfile.TemporaryDirectory() as folder:
        for scenario in scenarios(recording):
            advance(scenario.name)
            settings = _settings(log.settings, scenario, degrees, Path(folder))
            change = None if scenario.change is None else scenario.change()
            changed, _ = Recorder(settings, bundle, log.format, change).record(log.calls, log.labels)
            results.append(of(changed, scenario.name, scenario.what))
    return results


def _settings(settings: Settings, scenario: Scenario, degrees: DegreeSnapshot, folder: Path) -> Settings:
    """Return the settings of a scenario: with a constant degree table, nothing is too early to judge."""
    if scenario.volume is None:
        return settings
    path = folder / f"degrees-{scenario.volume:g}.json"
    path.write_bytes(msgspec.json.encode(scaled(degrees, scenario.volume)))
    return settings.model_copy(
        update={
            "degrees": settings.degrees.model_copy(update={"frozen": path}),
            "model": settings.model.model_copy(update={"minimum_edges": 0}),
        }
    )
