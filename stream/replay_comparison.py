"""ReplayComparison: the same files under two models, alert for alert, so that a promotion can be judged.

Sessions and the moments at which they are scored depend on the files alone, so what both models say can be held side by
side. Each run is what would have happened with that model in use: degree tables, cooldowns and the one early alert of a
session follow its own alerts.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from scorer.alerts import Alert, AlertKind
from scorer.bundle import ModelBundle
from scorer.verdicts import Verdict
from stream.batches import Batch
from stream.outcomes import Outcome, outcome_of
from stream.replay import Progress, Replay
from stream.settings import Settings


class Change(StrEnum):
    """What becomes of an alert when the second model takes the first one's place."""

    REMOVED = "removed"
    ADDED = "added"
    BOTH = "both"


class Opinion(msgspec.Struct, frozen=True):
    """What one model says of a session at one moment.

    Attributes:
        score: probability of anomaly.
        threshold: score from which it is anomalous.
        outcome: what came of it.
        severity: of the alert; empty without one.
        message: of the alert; empty without one.
    """

    score: float
    threshold: float
    outcome: Outcome
    severity: str = ""
    message: str = ""


class Compared(msgspec.Struct, frozen=True):
    """One alert of a session under either model, or under both. Times are epoch milliseconds.

    Attributes:
        change: whether both raise it.
        client: who it is about.
        session_id: the session.
        kind: early or closing.
        start: first call of the session.
        end: latest call of the session when it was alerted, by the first model if by both.
        calls: number of calls then.
        first: what the first model says: at its own alert, or when it has none at the other model's.
        second: likewise the second model.
    """

    change: Change
    client: str
    session_id: str
    kind: AlertKind
    start: int
    end: int
    calls: int
    first: Opinion
    second: Opinion


class _Raised(NamedTuple):
    """An alert with its verdict, and what the other model said at that moment."""

    alert: Alert
    own: Verdict
    other: Verdict


_Key = tuple[str, AlertKind]


class ReplayComparison:
    """Two runs over the same files.

    Args:
        settings: as for ``replay``.
        first: the model in use.
        second: the model that would take its place.
        log_format: format of the files.

    Attributes:
        runs: the run of the first model and that of the second.
    """

    def __init__(self, settings: Settings, first: ModelBundle, second: ModelBundle, log_format: str = "auto") -> None:
        self.runs = (Replay(settings, first, log_format), Replay(settings, second, log_format))
        self._bundles = (first, second)
        self._raised: tuple[dict[_Key, _Raised], dict[_Key, _Raised]] = ({}, {})

    def run(self, files: Iterable[Path], progress: Progress = lambda _: None) -> list[Compared]:
        """Run both and return all their alerts, in the order in which they were first raised.

        Raises:
            OSError: a file cannot be read.
        """
        files = list(files)
        first, second = self.runs
        for one, other in zip(first.run(files, progress), second.run(files), strict=True):
            _take(self._raised[0], one, other)
            _take(self._raised[1], other, one)
        keys = dict.fromkeys([*self._raised[0], *self._raised[1]])
        return [self._compared(key) for key in sorted(keys, key=self._offset)]

    def document(self, compared: Iterable[Compared]) -> dict[str, Any]:
        """Return the comparison as plain JSON types."""
        models = [{"uid": own.uid, "trained_on": own.manifest.trained_on} for own in self._bundles]
        summaries = [msgspec.to_builtins(run.summary) for run in self.runs]
        return {"models": models, "summaries": summaries, "alerts": msgspec.to_builtins(list(compared))}

    def _offset(self, key: _Key) -> int:
        return min(side[key].alert.position.offset for side in self._raised if key in side)

    def _compared(self, key: _Key) -> Compared:
        first, second = (side.get(key) for side in self._raised)
        if first is not None:
            alert, change = first.alert, Change.REMOVED if second is None else Change.BOTH
            own = _opinion(first.own, first.alert)
            other = _opinion(first.other) if second is None else _opinion(second.own, second.alert)
        else:
            alone = self._raised[1][key]
            alert, change = alone.alert, Change.ADDED
            own, other = _opinion(alone.other), _opinion(alone.own, alone.alert)
        about = (alert.client, alert.session_id, alert.kind, alert.start, alert.end, alert.calls)
        return Compared(change, *about, own, other)


def _take(raised: dict[_Key, _Raised], batch: Batch, other: Batch) -> None:
    """Keep a batch's alerts with what both models said; the samples of both are the same."""
    if not batch.alerts:
        return
    verdicts = {
        sample.mark_key: pair for sample, *pair in zip(batch.samples, batch.verdicts, other.verdicts, strict=True)
    }
    for alert in batch.alerts:
        if alert.kind is AlertKind.RAISED:
            continue  # it tells of one that is kept
        raised[alert.session_id, alert.kind] = _Raised(alert, *verdicts[alert.session_id, alert.occasion, alert.calls])


def _opinion(verdict: Verdict, alert: Alert | None = None) -> Opinion:
    told = ("", "") if alert is None else (str(alert.severity), alert.message)
    return Opinion(verdict.score, verdict.threshold, outcome_of(verdict, alert), *told)
