"""Recording: labelled sessions as the detector saw them, verdict by verdict and call by call."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scorer.examples import Indices, Labels, Scores
from scorer.labelling import LabelledVectors


@dataclass(frozen=True, eq=False)
class Calls:
    """The calls of all sessions, in log order; the arrays have one entry a call.

    Attributes:
        session: number of its session.
        time: event time, epoch milliseconds.
        endpoint: number of the endpoint called.
        endpoints: the endpoints by number.
    """

    session: Indices
    time: NDArray[np.int64]
    endpoint: Indices
    endpoints: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Recording:
    """What the sessionizer and the judge made of a log.

    Attributes:
        vectors: the labelled vectors; sessions are numbered as in it.
        scores: the model's score of each vector, shape (n,).
        complete: vectors that the threshold for closed sessions holds for, shape (n,).
        alerting: vectors whose verdict is anomalous, whatever the cooldown says, shape (n,).
        ready: vectors taken when the degree table was large enough for a verdict, shape (n,).
        clock: the log's clock (greatest event time read) when each vector was taken, epoch milliseconds, shape (n,).
        raised: session of each alert that was raised, cooldown and all, but for those of a risen severity.
        clients: client of each session.
        calls: the calls.
    """

    vectors: LabelledVectors
    scores: Scores
    complete: Labels
    alerting: Labels
    ready: Labels
    clock: NDArray[np.int64]
    raised: Indices
    clients: tuple[str, ...]
    calls: Calls

    @property
    def judged(self) -> Labels:
        """Sessions of which at least one vector got a verdict that counts, shape (sessions,)."""
        return np.bincount(self.vectors.session[self.ready], minlength=len(self.clients)) > 0

    @property
    def days(self) -> float:
        """Event time from the start of the first session judged to the last call, days."""
        return self.vectors.days(self.judged)

    def vector_moments(self) -> LabelledVectors:
        """Return the vectors on the clock of the attack.

        ``calls`` counts from the first hostile call of an attacked session, and ``end`` is when an alert on the vector
        would be raised: a session's last vector is taken a gap after its last call.
        """
        vectors = self.vectors
        return replace(vectors, calls=vectors.calls - self._calls_before()[vectors.session], end=self.clock)

    def call_moments(self) -> LabelledVectors:
        """Return the calls as moments of the same kind, without features: for a detector that judges every call."""
        vectors, session = self.vectors, self.calls.session
        count = len(session)
        return replace(
            vectors,
            values=np.empty((count, 0)),
            total_edges=np.zeros(count),
            session=session,
            closed=np.zeros(count, dtype=bool),
            calls=position_in_group(session) + 1 - self._calls_before()[session],
            end=self.calls.time,
            anomalous=vectors.attacked[session] & (self.calls.time >= vectors.hostile_from[session]),
        )

    def _calls_before(self) -> NDArray[np.int64]:
        """Return how many calls each attacked session made before its first hostile one; 0 for the others."""
        session, vectors = self.calls.session, self.vectors
        before = vectors.attacked[session] & (self.calls.time < vectors.hostile_from[session])
        return np.bincount(session[before], minlength=len(self.clients)).astype(np.int64)


def position_in_group(group: Indices) -> NDArray[np.int64]:
    """Return for each entry how many earlier ones belong to the same group, shape (n,)."""
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(first, append=len(group))
    position = np.empty(len(group), dtype=np.int64)
    position[order] = np.arange(len(group)) - np.repeat(first, sizes)
    return position


def previous_in_group(group: Indices, values: Indices) -> Indices:
    """Return each entry's value of the entry before it in the same group; -1 for the first of a group, shape (n,)."""
    order = np.argsort(group, kind="stable")
    before = np.full(len(group), -1, dtype=np.intp)
    before[order[1:]] = np.where(group[order[1:]] == group[order[:-1]], values[order[:-1]], -1)
    return before
