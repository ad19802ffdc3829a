"""Severity: how urgent an alert is, by its score, by what was called, and by how that was answered.

The score gives a severity; sensitive endpoints and answers move it by steps. It decides nothing but urgency: whether
there is an alert at all is a matter of the score alone.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from math import nan

import msgspec

from featurizer.features import FeatureVector


class Severity(StrEnum):
    """How urgent an alert is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """From 1 for low to 4 for critical."""
        return _RANKS[self]

    @classmethod
    def of_rank(cls, rank: int) -> "Severity | None":
        """Return the severity of a rank; None for 0."""
        return list(cls)[rank - 1] if rank else None


_RANKS = {severity: rank for rank, severity in enumerate(Severity, 1)}


class Worth(StrEnum):
    """What an endpoint is worth to whoever runs the API."""

    LOW = "low"
    """Harmless: a health check, a public catalogue."""
    HIGH = "high"
    """Sensitive: it deletes, exports, pays or grants."""


class Factor(msgspec.Struct, frozen=True):
    """What moves a severity.

    Attributes:
        name: `sensitive` or `harmless` endpoints; `succeeded` or `failed` calls.
        steps: by how much; negative towards low.
        because: what the session did, for a person.
    """

    name: str
    steps: int
    because: str


class Grade(msgspec.Struct, frozen=True):
    """A severity, and how it came about.

    Attributes:
        severity: the result; never below low or above critical.
        by_score: severity by the score alone.
        factors: what moves it from there; empty when nothing does.
    """

    severity: Severity
    by_score: Severity
    factors: tuple[Factor, ...] = ()

    @property
    def sentence(self) -> str:
        """Why it is not the severity of the score, for a person; empty when it is.

        It is empty too when the factors do not lead there: an alert that is published again has its first severity.
        """
        if self.severity is self.by_score or self.severity is not _moved(self.by_score, self.factors):
            return ""
        because = " and ".join(factor.because for factor in self.factors)
        return f"Its severity is {self.severity} instead of {self.by_score}, because {because}."


class SeverityPolicy(msgspec.Struct, frozen=True):
    """The table of severities. Meaning and defaults: settings ``alerts.severity``.

    Attributes:
        endpoints: globs of endpoints with what they are worth; of several that fit one the first counts.
    """

    medium: float = 0.7
    high: float = 0.85
    critical: float = 0.95
    endpoints: tuple[tuple[str, Worth], ...] = ()
    sensitive_steps: int = 1
    harmless_steps: int = -1
    succeeded_steps: int = 0
    failed_steps: int = -1
    mostly: float = 0.8

    def by_score(self, score: float) -> Severity:
        """Return the severity of a score."""
        if score >= self.critical:
            return Severity.CRITICAL
        if score >= self.high:
            return Severity.HIGH
        return Severity.MEDIUM if score >= self.medium else Severity.LOW

    def grade(self, vector: FeatureVector, score: float, called: Collection[str] = (), *, whole: bool = False) -> Grade:
        """Return the severity of a session with this score.

        Args:
            vector: the vector judged; how its calls were answered is read from it.
            score: its score.
            called: endpoints that the session is known to have called.
            whole: these are all of them.
        """
        found = (self._worth(called, whole=whole), self._answers(vector))
        factors = tuple(factor for factor in found if factor is not None and factor.steps)
        by_score = self.by_score(score)
        return Grade(_moved(by_score, factors), by_score, factors)

    def _worth(self, called: Collection[str], *, whole: bool) -> Factor | None:
        """Return what the endpoints do: one sensitive call is enough, harmless are only all of them."""
        if not self.endpoints or not called:
            return None
        worth = {endpoint: self._worth_of(endpoint) for endpoint in called}
        sensitive = [endpoint for endpoint, own in worth.items() if own is Worth.HIGH]
        if sensitive:
            return Factor("sensitive", self.sensitive_steps, f"it called {min(sensitive)}, which is sensitive")
        if whole and all(own is Worth.LOW for own in worth.values()):
            return Factor("harmless", self.harmless_steps, "it called harmless endpoints only")
        return None

    def _worth_of(self, endpoint: str) -> Worth | None:
        return next((worth for glob, worth in self.endpoints if fnmatchcase(endpoint, glob)), None)

    def _answers(self, vector: FeatureVector) -> Factor | None:
        """Return what the answers do; nothing when they are mixed, or not known."""
        values = vector.named()
        # What is missing is NaN, which reaches no limit.
        refused, broken = (values.get(name, nan) for name in ("client_error_share", "server_error_share"))
        succeeded = 1 - refused - broken
        if refused >= self.mostly:
            return Factor("failed", self.failed_steps, f"{round(refused * 100)} % of its calls were answered 4xx")
        if succeeded >= self.mostly:
            return Factor("succeeded", self.succeeded_steps, f"{round(succeeded * 100)} % of its calls succeeded")
        return None


def _moved(severity: Severity, factors: Iterable[Factor]) -> Severity:
    """Return what factors make of a severity."""
    rank = severity.rank + sum(factor.steps for factor in factors)
    return list(Severity)[min(max(rank, 1), len(Severity)) - 1]
