"""Replay: the same pipeline over files, without Kafka, by event time.

The files, in the order given (rotated logs: the oldest first), are one partition without arrival times, so sessions
close by event time alone (the linger is 0) and the result depends on nothing but the files.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.features import FeatureVector
from featurizer.sessions import CloseReason, Outcome
from scorer.alerts import Decision
from scorer.bundle import ModelBundle
from scorer.judge import Judge
from scorer.verdicts import Readiness
from stream import assembly
from stream.batches import Batch, Decode
from stream.pipeline import Sessionizer
from stream.records import REPLAY, FileRecord
from stream.settings import Settings

_BATCH_BYTES = 1 << 20

Progress = Callable[[int], None]
"""Told how many bytes were read since it was last called."""


@dataclass
class ReplaySummary:
    """What a replay led to, in numbers.

    Attributes:
        lines: lines read.
        calls: calls that are in a session.
        duplicates: exact duplicates dropped.
        sessions: sessions closed, by reason.
        vectors: vectors taken, by occasion.
        alerts: alerts, by severity.
        suppressed: alerts suppressed by a rule, by its name; they are among the alerts.
        held_back: anomalous verdicts of clients in their cooldown.
        over_budget: anomalous verdicts beyond the alert budget of their hour.
        learning: verdicts given while the degree table was too small to compare with.
        dead_letters: dead letters, by reason.
        edges: edges in the degree table at the end.
    """

    lines: int = 0
    calls: int = 0
    duplicates: int = 0
    sessions: Counter[str] = field(default_factory=Counter)
    vectors: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    held_back: int = 0
    over_budget: int = 0
    learning: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    edges: int = 0

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        self.lines += batch.records
        self.calls += batch.accepted
        self.duplicates += batch.outcomes[Outcome.DUPLICATE]
        self.held_back += batch.decisions[Decision.COOLDOWN]
        self.over_budget += batch.decisions[Decision.BUDGET]
        for sample in batch.samples:
            self.vectors[sample.vector.occasion] += 1
            if sample.vector.close_reason is not None:
                self.sessions[sample.vector.close_reason] += 1
        self.learning += sum(verdict.readiness is Readiness.LEARNING for verdict in batch.verdicts)
        self.alerts.update(alert.severity for alert in batch.alerts)
        self.suppressed.update(alert.suppression.rule for alert in batch.alerts if alert.suppression)
        self.dead_letters.update(letter.reason for letter in batch.dead_letters)


class Lines:
    """The lines of files, in order, as the records of one partition."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # number of each file's first line
        self._files: list[Path] = []

    def read(self, files: Iterable[Path], progress: Progress = lambda _: None) -> Iterator[list[FileRecord]]:
        """Yield batches of lines.

        Raises:
            OSError: a file cannot be read.
        """
        number = 0
        for path in files:
            self._files.append(path)
            self._starts.append(number)
            with path.open("rb") as file:
                while lines := file.readlines(_BATCH_BYTES):
                    yield [FileRecord(number + at, line.rstrip(b"\r\n")) for at, line in enumerate(lines)]
                    number += len(lines)
                    progress(sum(map(len, lines)))

    def locate(self, offset: int) -> tuple[Path, int]:
        """Return the file and the line (from 1) of an offset."""
        at = bisect_right(self._starts, offset) - 1
        return self._files[at], offset - self._starts[at] + 1


class Replay:
    """One run over files.

    Args:
        settings: as for ``run``; the linger is taken as 0.
        bundle: the model.
        log_format: format of the files.
        decode: reads a line; an adapter of the format when None.

    Attributes:
        lines: where in the files each offset is.
        summary: counts so far.
        degrees: the degree table after the run.
    """

    def __init__(
        self, settings: Settings, bundle: ModelBundle, log_format: str = "auto", decode: Decode | None = None
    ) -> None:
        settings = without_linger(settings)
        judge = assembly.make_judge(settings, bundle, Judge)
        decoders = _decoders(settings, log_format) if decode is None else {REPLAY.topic: decode}
        self._detector = assembly.detector(settings, judge, decoders)
        self._detector.assign(REPLAY)
        self.lines = Lines()
        self.summary = ReplaySummary()
        self.degrees = DegreeSnapshot(0, {})

    def run(self, files: Iterable[Path], progress: Progress = lambda _: None) -> Iterator[Batch]:
        """Yield one scored batch after another; sessions still open at the end are closed.

        Raises:
            OSError: a file cannot be read.
        """
        detector, summary = self._detector, self.summary
        for records in self.lines.read(files, progress):
            batch = detector.sessionize(records)
            detector.score(batch)
            summary.add(batch)
            yield batch
        batch = detector.finish([REPLAY], CloseReason.END_OF_INPUT)
        summary.add(batch)
        summary.edges = detector.degrees.total_edges
        self.degrees = detector.degrees.snapshot()
        yield batch


def replay_vectors(
    files: Iterable[Path], settings: Settings, log_format: str = "auto", progress: Progress = lambda _: None
) -> Iterator[FeatureVector]:
    """Yield every vector of the files' sessions, in log order, without a model: what training starts from.

    Raises:
        OSError: a file cannot be read.
    """
    settings = without_linger(settings)
    sessionizer = assembly.sessionizer(settings, _decoders(settings, log_format))
    yield from vectors_of(sessionizer, Lines().read(files, progress))


def vectors_of(sessionizer: Sessionizer, batches: Iterable[list[FileRecord]]) -> Iterator[FeatureVector]:
    """Yield every vector of the sessions of one partition's records; those still open at the end are closed."""
    sessionizer.assign(REPLAY)
    for records in batches:
        yield from (sample.vector for sample in sessionizer.sessionize(records).samples)
    yield from (sample.vector for sample in sessionizer.close([REPLAY], CloseReason.END_OF_INPUT).samples)


def without_linger(settings: Settings) -> Settings:
    """Return settings for input that has no arrival times to linger by."""
    return settings.model_copy(update={"sessions": settings.sessions.model_copy(update={"linger_s": 0.0})})


def _decoders(settings: Settings, log_format: str) -> dict[str, Decode | None]:
    return {REPLAY.topic: assembly.log_decoder(settings, log_format)}
