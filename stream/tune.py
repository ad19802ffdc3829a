"""Tuning from files: replays call logs, and chooses thresholds that keep a budget of alerts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from scorer.bundle import ModelBundle
from scorer.judge import Judge
from scorer.labelling import AttackLabel
from scorer.recording import Recording
from scorer.thresholds import Thresholds
from scorer.tuning import Budget, TradeRow, Tuning
from stream import assembly
from stream.errors import CommandError
from stream.recorder import Recorder
from stream.replay import Progress
from stream.settings import Settings

MOST_REPLAYS = 3
"""Replays with thresholds chosen, until one confirms them: sessions that alert are taken out of the degree tables, so
thresholds move scores."""

Advance = Callable[[str], None]
"""Told what is read next."""


class CallLog(NamedTuple):
    """Call logs and how they are read.

    Attributes:
        calls: the files, the oldest first.
        format: their format.
        labels: the known attacks; None when nobody has looked.
        settings: as for ``run``.
    """

    calls: Sequence[Path]
    format: str
    labels: Sequence[AttackLabel] | None
    settings: Settings


class Tuned(msgspec.Struct, frozen=True):
    """What tuning led to.

    Attributes:
        model: uid of the bundle.
        labelled: alerts are counted on benign sessions; on all when False.
        sessions: sessions counted.
        attacked: attacked sessions judged.
        learning: sessions without a verdict that counts: the degree table was too small.
        days: event time judged, days.
        now: what the thresholds of the settings do.
        trade: what budgets lead to, other than the one given.
        chosen: what the thresholds chosen do, from a replay with them; None when no budget was given.
        allowed: alerts that the budget allows in this log; None when no budget was given.
        kept: that replay keeps the budget.
    """

    model: str
    labelled: bool
    sessions: int
    attacked: int
    learning: int
    days: float
    now: TradeRow
    trade: list[TradeRow]
    chosen: TradeRow | None
    allowed: float | None
    kept: bool

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON types; what is not a number is None."""
        result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return result


def tune(  # noqa: PLR0913 -- what the command is given, each named at the call
    log: CallLog,
    bundle: ModelBundle,
    budget: Budget | None,
    *,
    seed: int,
    progress: Progress = lambda _: None,
    advance: Advance = lambda _: None,
) -> Tuned:
    """Return the trade between alerts and thresholds, and the thresholds that keep a budget.

    Args:
        log: the calls.
        bundle: the model.
        budget: the budget; None to show the trade only.
        seed: of the intervals.
        progress: told of the bytes read, in each replay.
        advance: told of each replay.

    Raises:
        CommandError: there is nothing to tune by.
        OSError: a file cannot be read.
    """
    advance("as it is")
    recording = _record(log, bundle, progress)
    _check(log, recording)
    judge = assembly.make_judge(log.settings, bundle, Judge)
    tuning = _tuning(log, recording, seed)
    now = tuning.row(Thresholds(judge.threshold_open, judge.threshold_closed))
    chosen = None
    if budget is not None:

        def replayed(thresholds: Thresholds) -> Tuning:
            advance("with thresholds chosen")
            return _tuning(log, _record(log, bundle, progress, thresholds), seed)

        chosen, tuning = settled(tuning, budget, replayed)
    judged, attacked = recording.judged, recording.vectors.attacked
    return Tuned(
        model=bundle.uid,
        labelled=log.labels is not None,
        sessions=int(tuning.counted.sum()),
        attacked=int((judged & attacked).sum()),
        learning=int((~judged).sum()),
        days=recording.days,
        now=now,
        trade=[row for row in tuning.trade() if row.budget != budget],
        chosen=None if chosen is None else tuning.row(chosen, budget),
        allowed=None if budget is None else tuning.allowed(budget),
        kept=chosen is None or budget is None or tuning.keeps(budget, chosen),
    )


def settled(tuning: Tuning, budget: Budget, replayed: Callable[[Thresholds], Tuning]) -> tuple[Thresholds, Tuning]:
    """Return thresholds that keep a budget in a replay with them, and that replay; if none does, the last tried."""
    thresholds = tuning.chosen(budget)
    found = thresholds, replayed(thresholds)
    for _ in range(MOST_REPLAYS - 1):
        wanted = found[1].chosen(budget)
        if wanted == thresholds:
            break
        thresholds = wanted
        tried = thresholds, replayed(thresholds)
        if tried[1].keeps(budget, thresholds) or not found[1].keeps(budget, found[0]):
            found = tried
    return found


def _tuning(log: CallLog, recording: Recording, seed: int) -> Tuning:
    return Tuning(recording, assembly.alert_policy(log.settings), labelled=log.labels is not None, seed=seed)


def _record(log: CallLog, bundle: ModelBundle, progress: Progress, thresholds: Thresholds | None = None) -> Recording:
    settings = log.settings
    if thresholds is not None:
        own = {"threshold_open": thresholds.open, "threshold_closed": thresholds.closed}
        settings = settings.model_copy(update={"model": settings.model.model_copy(update=own)})
    recording, _ = Recorder(settings, bundle, log.format).record(log.calls, log.labels or [], progress)
    return recording


def _check(log: CallLog, recording: Recording) -> None:
    """Refuse what no threshold can be chosen by.

    Raises:
        CommandError: says what is missing.
    """
    judged, attacked = recording.judged, recording.vectors.attacked
    if not (judged & ~attacked).any():
        early = f"{int((~judged).sum()):,} of {len(judged):,} were too early: the degree table was too small"
        kind = "session" if log.labels is None else "benign session"
        raise CommandError(f"no {kind} got a verdict; {early}", "give more calls")
    if log.labels is not None and not (judged & attacked).any():
        hint = "clients and times are written as in the calls; without --labels all alerts are counted"
        raise CommandError("no labelled attack has a session that got a verdict", hint)
