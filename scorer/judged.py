"""What verdicts on the vectors of sessions come to: alerts, shares of sessions with their intervals, time to detect."""

import math

import msgspec
import numpy as np

from scorer.examples import Indices, Labels
from scorer.labelling import LabelledVectors

_Z95 = 1.959964


class Share(msgspec.Struct, frozen=True):
    """A share of cases, with its 95 % interval (Wilson, Probable Inference, JASA 22, 1927)."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """Hits by cases; 0 without cases."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound."""
        if not self.of:
            return 0.0, 1.0
        z2 = _Z95 * _Z95 / self.of
        middle = (self.value + z2 / 2) / (1 + z2)
        half = _Z95 / (1 + z2) * math.sqrt(self.value * (1 - self.value) / self.of + z2 / (4 * self.of))
        return max(0.0, middle - half), min(1.0, middle + half)


class Detection(msgspec.Struct, frozen=True):
    """How attacks of one kind were found.

    Attributes:
        attack: kind of attack.
        found: sessions that raised an alert, early or closing, once hostile calls were among theirs.
        early: sessions that raised it while they went on.
        before_half: sessions that raised it before half of their calls, counted from the first hostile one, were made.
        calls: median of the calls from the first hostile one to the alert, over the found; None when none was.
        seconds: median of the event time from the first hostile call to the latest call at the alert.
    """

    attack: str
    found: Share
    early: Share
    before_half: Share
    calls: float | None
    seconds: float | None


class Judged:
    """Alerts that the verdicts on some vectors would raise, one entry a session; cooldown left aside.

    Args:
        vectors: all vectors.
        rows: positions of those judged, in log order.
        alerting: which of these alert.

    Attributes:
        there: sessions of which a vector was judged.
        any_alert: sessions that raised an alert.
        early_alert: sessions that raised one while they went on.
        premature: attacked sessions that raised one before their first hostile call.
        found_early: sessions that raised one while they went on, once hostile calls were among theirs.
        first: position of the first alerting vector with a hostile call; -1 where there is none.
    """

    def __init__(self, vectors: LabelledVectors, rows: Indices, alerting: Labels) -> None:
        session, closed = vectors.session[rows], vectors.closed[rows]
        hostile = vectors.anomalous[rows]
        count = len(vectors.attacks)
        self.there = _any(session, np.ones(len(rows), dtype=bool), count)
        self.any_alert = _any(session, alerting, count)
        self.early_alert = _any(session, alerting & ~closed, count)
        self.premature = _any(session, alerting & ~hostile, count) & vectors.attacked
        self.found_early = _any(session, alerting & hostile & ~closed, count)
        self.first = np.full(count, -1, dtype=np.intp)
        found = rows[alerting & hostile][::-1]
        self.first[vectors.session[found]] = found  # the last assignment wins: the earliest vector
        self._vectors = vectors
        self._calls = vectors.calls - self._calls_before()[vectors.session]

    def share(self, sessions: Labels, among: Labels) -> Share:
        """Return how many of the sessions judged."""
        return Share(int((sessions & among & self.there).sum()), int((among & self.there).sum()))

    def detection(self, attack: str, sessions: Labels) -> Detection:
        """Return how the attacks of some sessions were found."""
        vectors, found = self._vectors, self.first[sessions & self.there & (self.first >= 0)]
        seconds = (vectors.end[found] - vectors.hostile_from[vectors.session[found]]) / 1000
        calls = self._calls[found]
        return Detection(
            attack=attack,
            found=self.share(self.first >= 0, sessions),
            early=self.share(self.found_early, sessions),
            before_half=self.share(self._found_before_half(), sessions),
            calls=float(np.median(calls)) if len(found) else None,
            seconds=float(np.median(seconds)) if len(found) else None,
        )

    def _found_before_half(self) -> Labels:
        """Return which sessions were found when fewer than half of their calls from the first hostile one were made."""
        total = np.zeros(len(self.first), dtype=np.intp)
        np.maximum.at(total, self._vectors.session, self._calls)
        return (self.first >= 0) & (2 * self._calls[self.first] < total)

    def _calls_before(self) -> Indices:
        """Return each session's calls at its last vector without a hostile call: at most those before the attack."""
        vectors = self._vectors
        before = np.zeros(len(vectors.attacks), dtype=np.intp)
        rows = ~vectors.anomalous
        np.maximum.at(before, vectors.session[rows], vectors.calls[rows])
        return before


def _any(session: Indices, flags: Labels, count: int) -> Labels:
    result = np.zeros(count, dtype=bool)
    result[session[flags]] = True
    return result
