"""Detection: what a detector's alerts come to, whichever moments of a session it judges."""

from dataclasses import dataclass

import msgspec
import numpy as np

from scorer.bootstrap import Estimate, Ranked, ranked, rate_by_client, share_by_client
from scorer.examples import Indices, Labels, Scores, greatest
from scorer.judged import Judged, Share
from scorer.labelling import LabelledVectors
from scorer.recording import Recording

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of a detector.

    Attributes:
        moments: what was judged, as ``Recording.vector_moments`` or ``call_moments`` has it.
        rows: positions of the moments that count, in log order.
        scores: their scores, the greater the more anomalous; shape (len(rows),).
    """

    moments: LabelledVectors
    rows: Indices
    scores: Scores

    def of(self, sessions: Labels) -> "Scored":
        """Return the moments of some sessions."""
        kept = sessions[self.moments.session[self.rows]]
        return Scored(self.moments, self.rows[kept], self.scores[kept])

    def greatest(self) -> Scores:
        """Return each session's greatest score, shape (sessions,); NaN where it has no moment.

        Of an attacked session only moments with a hostile call count: an alert before the attack does not find it.
        """
        session = self.moments.session[self.rows]
        counts = self.moments.anomalous[self.rows] | ~self.moments.attacked[session]
        found = greatest(self.scores[counts], session[counts], len(self.moments.attacks), -np.inf)
        return np.where(np.isinf(found), np.nan, found)

    def ranking(self) -> tuple[Indices, Scores]:
        """Return the sessions judged, and the scores to rank them by; attacks never judged once hostile rank last."""
        judged = np.unique(self.moments.session[self.rows])
        greatest = self.greatest()[judged]
        lowest = greatest[~np.isnan(greatest)].min(initial=0.0)
        return judged, np.where(np.isnan(greatest), lowest - 1, greatest)


class Proportion(msgspec.Struct, frozen=True):
    """A share of sessions with its interval of 95 % (Wilson)."""

    hits: int
    of: int
    value: float
    low: float
    high: float

    @classmethod
    def of_share(cls, share: Share) -> "Proportion":
        """Return the share with its interval."""
        low, high = share.interval
        return cls(share.hits, share.of, share.value, low, high)


class KindFound(msgspec.Struct, frozen=True):
    """How attacks of one kind were found.

    Attributes:
        attack: kind of attack.
        found: attacked sessions that raised an alert once hostile calls were among theirs.
        early: those that raised it while the session went on.
        before_half: those that raised it before half of their calls, counted from the first hostile one, were made.
        calls: of the attacks found, quantiles (10, 25, 50, 75, 90 %) of the calls from the first hostile one, that
            one included, to the alert; empty when none was found.
        seconds: likewise of the seconds from the first hostile call until the alert was raised, by the log's clock.
    """

    attack: str
    found: Proportion
    early: Proportion
    before_half: Proportion
    calls: list[float]
    seconds: list[float]


class Detected(msgspec.Struct, frozen=True):
    """What a detector's alerts come to.

    Attributes:
        overall: all attacks together.
        kinds: each kind of attack.
        found_by_client: share of the attacked sessions found, its interval by client.
        false_alerts: share of benign sessions with an alert, its interval by client.
        false_alert_sessions: the same as a count, with Wilson's interval.
        premature: attacked sessions with an alert before their first hostile call.
    """

    overall: KindFound
    kinds: list[KindFound]
    found_by_client: Estimate
    false_alerts: Estimate
    false_alert_sessions: Proportion
    premature: Proportion


class Alerting:
    """Alerts of a detector over some sessions.

    Args:
        scored: the moments judged.
        alerting: which of them alert, shape (len(scored.rows),).
    """

    def __init__(self, scored: Scored, alerting: Labels) -> None:
        self._scored = scored
        self._judged = Judged(scored.moments, scored.rows, alerting)

    @property
    def found(self) -> Share:
        """Attacked sessions found."""
        return self._judged.share(self.finds, self._scored.moments.attacked)

    @property
    def finds(self) -> Labels:
        """Which sessions it finds an attack in, shape (sessions,)."""
        return self._judged.first >= 0

    @property
    def false_alerts(self) -> Share:
        """Benign sessions with an alert."""
        return self._judged.share(self._judged.any_alert, ~self._scored.moments.attacked)

    def detected(self, seed: int) -> Detected:
        """Return the figures; the seed is that of the bootstrap."""
        moments, judged = self._scored.moments, self._judged
        attacked, kinds = moments.attacked, np.array(moments.attacks)
        there = sorted({str(kind) for kind in kinds[judged.there] if kind})
        hostile, benign = attacked & judged.there, ~attacked & judged.there
        return Detected(
            overall=self._kind("all", attacked),
            kinds=[self._kind(kind, kinds == kind) for kind in there],
            found_by_client=share_by_client(self.finds[hostile], moments.client[hostile], seed),
            false_alerts=share_by_client(judged.any_alert[benign], moments.client[benign], seed),
            false_alert_sessions=Proportion.of_share(self.false_alerts),
            premature=Proportion.of_share(judged.share(judged.premature, attacked)),
        )

    def delays(self, sessions: Labels) -> tuple[Scores, Scores]:
        """Return calls and seconds from the first hostile call to the alert; infinite for attacks not found.

        Both have one entry for each attacked session among ``sessions`` that was judged.
        """
        moments, judged = self._scored.moments, self._judged
        numbers = np.flatnonzero(sessions & moments.attacked & judged.there)
        first = judged.first[numbers]
        found = first >= 0
        calls = np.where(found, moments.calls[first], np.inf)
        return calls, np.where(found, (moments.end[first] - moments.hostile_from[numbers]) / 1000, np.inf)

    def _kind(self, attack: str, sessions: Labels) -> KindFound:
        found = self._judged.detection(attack, sessions)
        calls, seconds = (delay[np.isfinite(delay)] for delay in self.delays(sessions))
        return KindFound(
            attack=attack,
            found=Proportion.of_share(found.found),
            early=Proportion.of_share(found.early),
            before_half=Proportion.of_share(found.before_half),
            calls=np.quantile(calls, QUANTILES).tolist() if len(calls) else [],
            seconds=np.quantile(seconds, QUANTILES).tolist() if len(seconds) else [],
        )


def alerts_a_day(recording: Recording, raised: Indices, among: Labels, seed: int) -> Estimate:
    """Return the alerts raised on some of the sessions judged, by days of traffic, with the interval by client.

    Args:
        recording: the sessions.
        raised: session of each alert.
        among: the sessions to count, shape (sessions,).
        seed: of the bootstrap.
    """
    counted = among & recording.judged
    counts = np.bincount(raised, minlength=len(counted))[counted]
    return rate_by_client(counts, recording.vectors.client[counted], recording.days, seed)


def model_scores(recording: Recording) -> Scored:
    """Return the model's scores of the vectors that count."""
    rows = np.flatnonzero(recording.ready)
    return Scored(recording.vector_moments(), rows, recording.scores[rows])


def ranking_of(scored: Scored, seed: int) -> Ranked:
    """Return how well the sessions' greatest scores put attacked ones first; attacks never judged rank last."""
    judged, scores = scored.ranking()
    return ranked(scored.moments.attacked[judged], scores, scored.moments.client[judged], seed)
