"""What benign calls show: sessions, who uses which endpoint, how it answers, what follows what, pauses, objects."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from featurizer.calls import ApiCall

_SECOND_MS = 1000


@dataclass(frozen=True, eq=False)
class Observed:
    """Benign sessions, and what attacks are woven from.

    Attributes:
        sessions: calls of each session in order of time; sessions in order of their first call.
        users: number of sessions that call an endpoint, by endpoint.
        following: how often each endpoint was called next, by the endpoint before it; what is never followed is absent.
        gap_ms: silence that ends a session, milliseconds.
        pauses: milliseconds between consecutive calls of a session, ascending, shape (n,); a gap when there is none.
        answers: the status of every call to an endpoint, by endpoint.
        objects: different objects asked for, by endpoint; one whose calls name none is absent.
    """

    sessions: Sequence[Sequence[ApiCall]]
    users: Mapping[str, int]
    following: Mapping[str, Mapping[str, int]]
    gap_ms: int
    pauses: NDArray[np.int64]
    answers: Mapping[str, Sequence[int]]
    objects: Mapping[str, Sequence[int]]

    @cached_property
    def statuses(self) -> bool:
        """Whether the calls have statuses."""
        return any(any(answers) for answers in self.answers.values())

    @cached_property
    def grain_ms(self) -> int:
        """How finely the log tells time, milliseconds: whole seconds, or one."""
        return 1 if any(call.time % _SECOND_MS for session in self.sessions for call in session) else _SECOND_MS

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
    answers: defaultdict[str, list[int]] = defaultdict(list)
    objects: defaultdict[str, dict[int, None]] = defaultdict(dict)
    pauses = []
    for session in sessions:
        users.update({call.endpoint for call in session})
        for call in session:
            answers[call.endpoint].append(call.status)
            if call.object_id is not None:
                objects[call.endpoint][call.object_id] = None
        for call, after in pairwise(session):
            following[call.endpoint][after.endpoint] += 1
            pauses.append(after.time - call.time)
    return Observed(
        sessions,
        users,
        following,
        gap_ms,
        np.sort(np.array(pauses or [gap_ms], dtype=np.int64)),
        answers,
        {endpoint: list(own) for endpoint, own in objects.items()},
    )


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
