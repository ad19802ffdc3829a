"""Sessions once more, by the rules and without any cleverness: looks at every open session at every step.

No heaps, no timers, no packed edges, no counters of when to look again: slow and obviously right.
"""

from itertools import pairwise

from featurizer.degrees import OVERFLOW_ENDPOINT
from featurizer.features import Occasion
from featurizer.sessions import CloseReason, Outcome, SessionPolicy
from tests.session_streams import EXCLUDED, Step

Edge = tuple[str, str]
Seen = tuple[str, Occasion, CloseReason | None, int, int, int, tuple[Edge, ...]]
"""client, occasion, reason, start, end, calls, distinct edges in order of first sight."""


class ReferenceSession:
    """The calls of one session, in order of arrival."""

    def __init__(self, first_vector_calls: int) -> None:
        self.calls: list[Step] = []
        self.last_arrival = 0
        self.scored = 0
        self.next_growing = first_vector_calls

    @property
    def start(self) -> int:
        return min(call.time for call in self.calls)

    @property
    def end(self) -> int:
        return max(call.time for call in self.calls)

    def knows(self, request_id: str | None) -> bool:
        ids = [call.request_id for call in self.calls if call.request_id is not None]
        return request_id is not None and request_id in ids[-16:]

    @property
    def nodes(self) -> list[str]:
        return [call.endpoint for call in self.calls if not call.endpoint.startswith(EXCLUDED)]

    def edges(self, most: int) -> tuple[Edge, ...]:
        return tuple(dict.fromkeys(pairwise(self.nodes)))[:most]


class ReferenceWindows:
    """The rules, one sentence after the other."""

    def __init__(self, policy: SessionPolicy, max_endpoints: int = 1000) -> None:
        self.policy = policy
        self.max_endpoints = max_endpoints
        self.named: list[str] = []
        self.open: dict[str, ReferenceSession] = {}
        self.sessions: list[ReferenceSession] = []
        self.max_time = 0
        self.record_clock = 0
        self.seen: list[Seen] = []

    def step(self, step: Step) -> Outcome | None:
        if step.client is None:
            self._clocks(step.time, step.time)
            return None
        if step.time - step.arrival > self.policy.future_tolerance:
            return Outcome.FUTURE
        self._clocks(step.time, step.arrival)
        return self._join(step.client, step)

    def _clocks(self, time: int, arrival: int) -> None:
        """Move the clocks, then look at every open session: has it ended for sure, or else paused?"""
        self.max_time = max(self.max_time, time)
        self.record_clock = max(self.record_clock, arrival)
        watermark, policy = self.max_time - self.policy.lateness, self.policy
        for client, session in list(self.open.items()):
            ended = watermark > session.end + policy.gap
            if ended and self.record_clock > session.last_arrival + policy.linger:
                self._close(client, CloseReason.INACTIVITY)
            elif watermark > session.end + policy.quiet:
                unscored = len(session.calls) - session.scored
                if unscored >= max(1, int(session.scored * policy.quiet_growth)):
                    self._vector(client, Occasion.QUIET)

    def _join(self, client: str, step: Step) -> Outcome:
        policy, session = self.policy, self.open.get(client)
        if session is not None:
            if step.time < session.start - policy.gap:
                return Outcome.LATE
            if step.time > session.end + policy.gap:
                self._close(client, CloseReason.INACTIVITY)
            elif session.knows(step.request_id):
                return Outcome.DUPLICATE
            elif len(session.calls) >= policy.max_calls:
                self._close(client, CloseReason.MAX_CALLS)
            elif step.time > session.start + policy.max_duration:
                self._close(client, CloseReason.MAX_DURATION)
        if client not in self.open:
            if len(self.open) >= policy.max_open:
                self._evict()
            self.open[client] = ReferenceSession(policy.first_vector_calls)
            self.sessions.append(self.open[client])
        session = self.open[client]
        session.calls.append(step._replace(endpoint=self._name(step.endpoint)))
        session.last_arrival = self.record_clock
        if len(session.calls) >= session.next_growing:
            session.next_growing = len(session.calls) * 2
            self._vector(client, Occasion.GROWING)
        return Outcome.IN_SESSION

    def _name(self, endpoint: str) -> str:
        """The first endpoints have nodes of their own, further ones share a node."""
        if endpoint.startswith(EXCLUDED) or endpoint in self.named:
            return endpoint
        if len(self.named) >= self.max_endpoints:
            return OVERFLOW_ENDPOINT
        self.named.append(endpoint)
        return endpoint

    def _evict(self) -> None:
        longest_idle = sorted(self.open, key=lambda client: (self.open[client].end, client))
        for client in longest_idle[: max(1, self.policy.max_open // 100)]:
            self._close(client, CloseReason.EVICTED)

    def _vector(self, client: str, occasion: Occasion, reason: CloseReason | None = None) -> None:
        session = self.open[client]
        session.scored = len(session.calls)
        edges = session.edges(self.policy.max_edges)
        self.seen.append((client, occasion, reason, session.start, session.end, len(session.calls), edges))

    def _close(self, client: str, reason: CloseReason) -> None:
        self._vector(client, Occasion.CLOSED, reason)
        del self.open[client]
