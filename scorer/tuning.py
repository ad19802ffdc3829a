"""Tuning: what thresholds do to recorded sessions, and which ones keep a budget of alerts.

The two thresholds descend together, in turn: one session more may alert while it is open, then one more at its end. So
early and closing alerts have an equal part in a budget, though their scores are distributed differently; no label is
needed for that. Both thresholds are multiples of 0.000001: what is shown is what is written.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from math import floor

import msgspec
import numpy as np

from featurizer.features import FeatureVector, Occasion
from scorer.alerts import AlertPolicy
from scorer.bootstrap import Estimate
from scorer.challenger import WouldBeAlerts
from scorer.detection import Alerting, Proportion, alerts_a_day, model_scores
from scorer.examples import Indices, Labels, Scores, greatest
from scorer.recording import Recording
from scorer.severity import Severity
from scorer.thresholds import Thresholds
from scorer.verdicts import Readiness, Verdict

GRID = 1_000_000
"""Steps between the thresholds 0 and 1."""
BUDGETS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Alerts in 1,000 sessions that the trade is shown for."""


class Budget(msgspec.Struct, frozen=True):
    """How many alerts are wanted at most.

    Attributes:
        alerts: in 1,000 sessions, one a session, cooldown aside; or a day, as a worker raises them.
        a_day: it is by day.
    """

    alerts: float
    a_day: bool = False


class TradeRow(msgspec.Struct, frozen=True):
    """What thresholds do to the sessions of a log.

    Attributes:
        budget: what they were chosen by; None for thresholds that were given.
        thresholds: for open and for closed sessions.
        alerting: share of the counted sessions that raise an alert, cooldown aside, with its interval by client.
        alerts_a_day: alerts on these sessions as a worker raises them, cooldown and all, with the interval by client.
        found: attacked sessions found; None without labels.
        early: those found while they went on; None without labels.
    """

    budget: Budget | None
    thresholds: Thresholds
    alerting: Estimate
    alerts_a_day: Estimate
    found: Proportion | None
    early: Proportion | None


class Descent:
    """Pairs of thresholds, the strictest first, each pair letting one session more alert than the one before.

    Args:
        opened: greatest score of each session while it was open, NaN without one; shape (sessions,).
        closed: likewise at its end.
    """

    def __init__(self, opened: Scores, closed: Scores) -> None:
        early, late = _ranks(opened), _ranks(closed)
        # Steps are counted from 1: at odd ones `open` descends by a session, at even ones `closed`.
        self._joins = np.sort(np.minimum(2 * early - 1, 2 * late))
        self._opened, self._closed = (np.sort(scores[~np.isnan(scores)])[::-1] for scores in (opened, closed))

    def __len__(self) -> int:
        return len(self._joins)

    def allowing(self, sessions: int) -> Thresholds:
        """Return the lowest pair that lets at most so many sessions alert."""
        if sessions >= len(self):
            return Thresholds(open=0.0, closed=0.0)
        step = int(self._joins[sessions]) - 1
        return Thresholds(open=_above(self._opened, (step + 1) // 2), closed=_above(self._closed, step // 2))


class Tuning:
    """The alerts that thresholds lead to, over the recorded scores.

    Scores stay those of the recording, though in service thresholds move them a little: sessions that alert are taken
    out of the degree tables. A recording made with the thresholds chosen tells.

    Args:
        recording: sessions with their scores.
        policy: limits of alerting, of which an alert budget does not count: what it holds back is to be seen.
        labelled: attacks are labelled, so alerts are counted on benign sessions only.
        seed: of the intervals.
    """

    def __init__(self, recording: Recording, policy: AlertPolicy, *, labelled: bool, seed: int) -> None:
        self._recording, self._labelled, self._seed = recording, labelled, seed
        self._policy = msgspec.structs.replace(policy, budget=None)
        self._scored = model_scores(recording)
        self._complete = recording.complete[self._scored.rows]
        self.counted = recording.judged & ~recording.vectors.attacked
        self._descent = Descent(*(self._greatest(kind)[self.counted] for kind in (~self._complete, self._complete)))

    def allowed(self, budget: Budget) -> float:
        """Return how many alerts a budget allows in this log: sessions, or alerts raised."""
        return budget.alerts * (self._recording.days if budget.a_day else int(self.counted.sum()) / 1000)

    def keeps(self, budget: Budget, thresholds: Thresholds) -> bool:
        """Return whether thresholds keep within a budget."""
        most = floor(self.allowed(budget))
        if budget.a_day:
            on_counted = (session for session in self.raised(thresholds) if self.counted[session])
            return sum(1 for _ in islice(on_counted, most + 1)) <= most
        session = self._scored.moments.session[self._scored.rows[self._alerting(thresholds)]]
        return len(np.unique(session[self.counted[session]])) <= most

    def chosen(self, budget: Budget) -> Thresholds:
        """Return thresholds of the descent that keep within a budget while the next lower ones do not."""
        if not budget.a_day:
            return self._descent.allowing(floor(self.allowed(budget)))
        within, most = 0, len(self._descent)
        while within < most:
            middle = (within + most + 1) // 2
            if self.keeps(budget, self._descent.allowing(middle)):
                within = middle
            else:
                most = middle - 1
        return self._descent.allowing(within)

    def row(self, thresholds: Thresholds, budget: Budget | None = None) -> TradeRow:
        """Return what thresholds do."""
        recording, alerting = self._recording, Alerting(self._scored, self._alerting(thresholds))
        detected = alerting.detected(self._seed)
        raised = np.fromiter(self.raised(thresholds), dtype=np.intp)
        found = (detected.overall.found, detected.overall.early) if self._labelled else (None, None)
        return TradeRow(
            budget, thresholds, detected.false_alerts, alerts_a_day(recording, raised, self.counted, self._seed), *found
        )

    def trade(self, budgets: Sequence[float] = BUDGETS) -> list[TradeRow]:
        """Return what budgets of alerts in 1,000 sessions lead to; of those that allow as many, the first."""
        wanted = [Budget(alerts) for alerts in budgets]
        first = {floor(self.allowed(budget)): budget for budget in reversed(wanted)}
        return [self.row(self.chosen(budget), budget) for budget in wanted if budget in first.values()]

    def raised(self, thresholds: Thresholds) -> Iterator[int]:
        """Yield the session of each alert that a worker would raise, in log order.

        Left out are those of an open session whose severity has risen: they tell of one that is counted.
        """
        vectors, alerts = self._scored.moments, WouldBeAlerts("", self._policy)
        for row in self._scored.rows[self._alerting(thresholds)].tolist():
            session = int(vectors.session[row])
            occasion = Occasion.CLOSED if vectors.closed[row] else Occasion.GROWING
            score = float(self._recording.scores[row])
            verdict = Verdict(str(session), occasion, "", score, score, Readiness.READY, 0, 0)
            vector = FeatureVector(str(session), self._recording.clients[session], occasion, 0, 0, 0, "", (), 0)
            if alerts.decide(verdict, vector, int(self._recording.clock[row]), Severity.LOW):
                yield session

    def _alerting(self, thresholds: Thresholds) -> Labels:
        return self._scored.scores >= np.where(self._complete, thresholds.closed, thresholds.open)

    def _greatest(self, kind: Labels) -> Scores:
        """Return each session's greatest score over the vectors of a kind; NaN without one."""
        session = self._scored.moments.session[self._scored.rows[kind]]
        found = greatest(self._scored.scores[kind], session, len(self.counted), -1.0)
        return np.where(found < 0, np.nan, found)


def _ranks(scores: Scores) -> Indices:
    """Return how many sessions score at least as much as each; more than there are for NaN."""
    known = np.sort(scores[~np.isnan(scores)])
    ranks = len(known) - np.searchsorted(known, scores, side="left")
    return np.where(np.isnan(scores), len(scores) + 1, ranks).astype(np.intp)


def _above(descending: Scores, flagged: int) -> float:
    """Return the lowest threshold of the grid that flags at most so many scores; 1 is the highest there is."""
    if flagged >= len(descending):
        return 0.0
    score = float(descending[flagged])
    step = round(score * GRID)
    return min(step if step / GRID > score else step + 1, GRID) / GRID
