"""Drift: whether live vectors and their scores are still distributed as the benign training rows were.

The measure is the population stability index of each feature and of the score, over a window of the latest vectors.
It says how far two distributions are apart, not how likely that is by chance: with the thousands of vectors of a busy
API a significance test would call every difference significant.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.bins import Counts, Matrix, bin_counts
from scorer.reference import Reference

SCORE = "score"
"""Name of the score among the variables."""
FLOOR = 1e-4
"""Least share of a bin: the logarithm of an empty one would be infinite."""
PARTS = 10
"""The window moves on by a part: vectors are forgotten a tenth of it at a time."""

Vector = NDArray[np.float64]


class DriftPolicy(msgspec.Struct, frozen=True):
    """Limits of drift. Meaning and defaults: settings ``drift``.

    Attributes:
        window_vectors: at least 1.
        window: event time, milliseconds.
        minimum_vectors: at least 1.
        raise_above: PSI.
        clear_below: PSI, at most ``raise_above``.
    """

    window_vectors: int = 100_000
    window: int = 86_400_000
    minimum_vectors: int = 1000
    raise_above: float = 0.25
    clear_below: float = 0.1


def population_stability_index(reference: Matrix, live: Matrix) -> Vector:
    """Return how far apart two distributions over the same bins are; 0 when they are equal.

    PSI = sum over bins of (live - reference) ln(live / reference), after N. Siddiqi, Credit Risk Scorecards (Wiley,
    2006), who calls less than 0.1 no significant change and more than 0.25 a major one. It is the divergence of
    Jeffreys (1946). Without any drift it is about chi squared with bins - 1 degrees of freedom, times
    1/live rows + 1/reference rows (B. Yurdakul, Statistical Properties of Population Stability Index, 2018): of 1,000
    vectors against 1,000 rows in ten bins, 0.02 on average and 0.06 once in a thousand times.

    Args:
        reference: shares of the bins, shape (variables, bins); those below FLOOR count as FLOOR, here and in ``live``.
        live: likewise.

    Returns:
        Shape (variables,).
    """
    expected, actual = np.maximum(reference, FLOOR), np.maximum(live, FLOOR)
    index: Vector = ((actual - expected) * np.log(actual / expected)).sum(axis=1)
    return index


@dataclass(slots=True)
class _Part:
    """Counts of consecutive vectors, shape (variables, bins), and when they came."""

    counts: Counts
    vectors: int
    first: int
    last: int


class DriftMonitor:
    """Compares the latest vectors with a model's reference; one observation takes O(features), memory is bounded.

    The window holds at most ``window_vectors`` vectors (more only while one observation alone has more) and none older
    than ``window``, to a tenth of either. A variable's drift is raised when its PSI is above ``raise_above`` and
    cleared when it is below ``clear_below``; neither happens while the window holds fewer than ``minimum_vectors``.

    Args:
        reference: what the model was trained on.
        features: names of the features, in the order of the schema.
        policy: window and limits.

    Attributes:
        variables: what is measured: the features, and last the score.
    """

    def __init__(self, reference: Reference, features: Sequence[str], policy: DriftPolicy) -> None:
        self.variables = (*features, SCORE)
        self._policy = policy
        self._edges = reference.edges
        self._expected = reference.bin_shares
        self._parts: deque[_Part] = deque()
        self._counts = np.zeros(self._expected.shape, dtype=np.int64)
        self._vectors = 0
        self._now = 0
        self._raised = np.zeros(len(self.variables), dtype=np.bool_)
        self._index: Vector | None = None  # of the window; None while it holds too few vectors

    @property
    def vectors(self) -> int:
        """Vectors in the window."""
        return self._vectors

    @property
    def psi(self) -> dict[str, float]:
        """The PSI of each variable over the window; empty while there are too few vectors to tell."""
        return {} if self._index is None else dict(zip(self.variables, self._index.tolist(), strict=True))

    @property
    def raised(self) -> tuple[str, ...]:
        """Variables whose drift is raised, in order."""
        return tuple(name for name, raised in zip(self.variables, self._raised.tolist(), strict=True) if raised)

    def observe(self, rows: Matrix, scores: Vector, now: int) -> None:
        """Take vectors into the window and let older ones go.

        Args:
            rows: vectors as the model sees them, shape (n, features), NaN where missing.
            scores: the model's probabilities, shape (n,).
            now: event time, epoch milliseconds; an earlier one than before counts as the latest.
        """
        self._now = now = max(now, self._now)
        if len(rows):
            self._add(bin_counts(np.column_stack([rows, scores]), self._edges), len(rows), now)
        self._forget(now)
        self._index = None
        if self._vectors >= self._policy.minimum_vectors:
            self._index = index = population_stability_index(self._expected, self._counts / self._vectors)
            self._raised = (self._raised | (index > self._policy.raise_above)) & (index >= self._policy.clear_below)

    def _add(self, counts: Counts, vectors: int, now: int) -> None:
        own, part = self._policy, self._parts[-1] if self._parts else None
        if part is None or part.vectors * PARTS >= own.window_vectors or (now - part.first) * PARTS >= own.window:
            part = _Part(np.zeros_like(self._counts), 0, now, now)
            self._parts.append(part)
        part.counts += counts
        part.vectors += vectors
        part.last = now
        self._counts += counts
        self._vectors += vectors

    def _forget(self, now: int) -> None:
        own, parts = self._policy, self._parts
        while parts and ((len(parts) > 1 and self._vectors > own.window_vectors) or now - parts[0].last > own.window):
            gone = parts.popleft()
            self._counts -= gone.counts
            self._vectors -= gone.vectors
