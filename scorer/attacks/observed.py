"""What benign calls show: sessions, how many use each endpoint, what follows what, and the pauses between calls."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from featurizer.calls import ApiCall


@dataclass(frozen=True, eq=False)
class Observed:
    """Benign sessions, and what attacks are woven from.

    Attributes:
        sessions: calls of each session in order of time; sessions in order of their first call.
        users: number of sessions that call an endpoint, by endpoint.
        following: how often each endpoint was called next, by the endpoint before it; what is never followed is absent.
        gap_ms: silence that ends a session, milliseconds.
        pauses: milliseconds between consecutive calls of a session, ascending, shape (n,); a gap when there is none.
    """

    sessions: Sequence[Sequence[ApiCall]]
    users: Mapping[str, int]
    following: Mapping[str, Mapping[str, int]]
    gap_ms: int
    pauses: NDArray[np.int64]

    @property
    def end(self) -> int:
        """Event time of the last call, epoch milliseconds."""
        return max(session[-1].time for session in self.sessions)


def observe(calls: Iterable[ApiCall], gap_ms: int) -> Observed:
    """Return what calls show; a client's calls that are at most a gap apart are a session.

    Args:
        calls: calls taken to be benign, in any order.
        gap_ms: silence that ends a session, milliseconds.

    Raises:
        ValueError: there is no call.
    """
    sessions = _sessions(calls, gap_ms)
    if not sessions:
        raise ValueError("there is no session in the calls")
    users: Counter[str] = Counter()
    following: defaultdict[str, Counter[str]] = defaultdict(Counter)
    pauses = []
    for session in sessions:
        users.update({call.endpoint for call in session})
        for call, after in pairwise(session):
            following[call.endpoint][after.endpoint] += 1
            pauses.append(after.time - call.time)
    return Observed(sessions, users, following, gap_ms, np.sort(np.array(pauses or [gap_ms], dtype=np.int64)))


def _sessions(calls: Iterable[ApiCall], gap_ms: int) -> list[list[ApiCall]]:
    latest: dict[str, list[ApiCall]] = {}
    sessions = []
    for call in sorted(calls, key=lambda call: call.time):
        session = latest.get(call.client)
        if session is None or call.time - session[-1].time > gap_ms:
            session = latest[call.client] = []
            sessions.append(session)
        session.append(call)
    return sessions
