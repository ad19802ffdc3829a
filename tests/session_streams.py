"""Streams of calls for tests, and windows that note down every vector they take."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import strategies as st

from featurizer.calls import ApiCall
from featurizer.degrees import DegreeTable, GlobalDegrees
from featurizer.features import Occasion
from featurizer.sessions import CloseReason, Outcome, Session, SessionPolicy, SessionWindows

EXCLUDED = ("HEAD", "OPTIONS")
ENDPOINTS = ("GET /a", "GET /b", "POST /c", "GET /d/{id}", "GET {unmatched}", "HEAD /a")
START = 100_000
"""Where random streams begin; anything well above zero."""


class Taken(NamedTuple):
    """A vector that was taken of a session, and what the session was at that moment."""

    client: str
    occasion: Occasion
    reason: CloseReason | None
    start: int
    end: int
    calls: int
    edges: tuple[int, ...]


class Step(NamedTuple):
    """A call with its arrival, or with ``client`` None an idle partition that the wall clock moves to ``time``."""

    client: str | None
    time: int
    arrival: int
    endpoint: str
    request_id: str | None = None
    status: int = 0
    address: str | None = None
    object_id: int | None = None


@dataclass
class Watched:
    """Session windows that note down every vector they take, in order."""

    policy: SessionPolicy
    overall: GlobalDegrees = field(default_factory=GlobalDegrees)
    source: str = "calls-0"
    max_endpoints: int = 1000
    excluded: tuple[str, ...] = EXCLUDED

    def __post_init__(self) -> None:
        self.table = DegreeTable(self.overall, self.max_endpoints, self.excluded)
        self.windows = SessionWindows(self.source, self.policy, self.table, self._take)
        self.taken: list[Taken] = []
        self.closed: list[Session] = []
        self.offset = -1

    def succeed(self, kept: dict[str, bytes]) -> None:
        """Go on with new windows that know packed sessions and clocks only."""
        before = self.windows
        self.windows = SessionWindows(self.source, self.policy, self.table, self._take)
        self.windows.restore(kept, before.max_time, before.record_clock)

    def call(
        self,
        time: int,
        client: str = "ann",
        endpoint: str = "GET /a",
        *,
        arrival: int | None = None,
        **more: Any,
    ) -> Outcome:
        """Let a call arrive, by default at its own time; ``more`` are fields of ApiCall."""
        self.offset += 1
        call = ApiCall(time, client, endpoint, **more)
        return self.windows.observe(call, time if arrival is None else arrival, self.offset)

    def step(self, step: Step) -> Outcome | None:
        """Take one step of a random stream."""
        if step.client is None:
            self.windows.advance(step.time)
            return None
        more = {name: getattr(step, name) for name in ("request_id", "status", "address", "object_id")}
        return self.call(step.time, step.client, step.endpoint, arrival=step.arrival, **more)

    def vectors(self, *occasions: Occasion) -> list[Taken]:
        """Return the vectors taken on these occasions."""
        return [taken for taken in self.taken if taken.occasion in occasions]

    @property
    def ends(self) -> list[tuple[str, int, int, int, CloseReason | None]]:
        """Closed sessions as (client, start, end, calls, reason), in the order of closing."""
        return [(own.client, own.start, own.end, own.calls, own.reason) for own in self.vectors(Occasion.CLOSED)]

    @property
    def sessions(self) -> list[Session]:
        """Every session that there ever was."""
        return [*self.closed, *self.windows.open.values()]

    def names(self, edges: tuple[int, ...]) -> list[tuple[str, str]]:
        """Return packed edges by endpoint name."""
        return [(self.table.names[edge >> 16], self.table.names[edge & 0xFFFF]) for edge in edges]

    def _take(self, session: Session, occasion: Occasion, reason: CloseReason | None) -> None:
        own = session
        self.taken.append(Taken(own.client, occasion, reason, own.start, own.end, own.calls, tuple(own.edges)))
        if occasion is Occasion.CLOSED:
            self.closed.append(session)


@st.composite
def policies(draw: st.DrawFn) -> SessionPolicy:
    """Limits so small that random streams reach them."""
    return SessionPolicy(
        gap=10,
        max_duration=draw(st.sampled_from([15, 40, 1_000_000])),
        max_calls=draw(st.sampled_from([2, 5, 40, 1_000_000])),
        max_edges=draw(st.sampled_from([1, 4, 1_000_000])),
        max_open=draw(st.sampled_from([1, 2, 1_000_000])),
        lateness=draw(st.sampled_from([0, 3, 25])),
        linger=draw(st.sampled_from([0, 2, 8, 30])),
        quiet=draw(st.sampled_from([1, 4, 9])),
        first_vector_calls=draw(st.sampled_from([2, 3, 8])),
        quiet_growth=draw(st.sampled_from([0.0, 0.125, 0.5, 1.0])),
        future_tolerance=draw(st.sampled_from([0, 12, 1_000_000])),
    )


@st.composite
def steps(draw: st.DrawFn, max_size: int = 60) -> list[Step]:
    """Calls in any order of event time, with the boundaries of a gap of 10 often among the differences."""
    move = st.one_of(st.integers(0, 4), st.sampled_from([-25, -12, -11, -10, -9, -1, 9, 10, 11, 12, 26]))
    shape = st.tuples(
        st.sampled_from(["ann", "bob", "cy", None]),
        move,
        st.one_of(st.just(0), st.integers(-3, 15)),
        st.sampled_from(ENDPOINTS),
        st.one_of(st.none(), st.sampled_from(["r1", "r2", "r3"])),
        st.sampled_from([0, 200, 201, 302, 400, 401, 403, 404, 422, 500, 503]),
        st.sampled_from([None, "198.51.100.1", "198.51.100.2", "2001:db8::1"]),
        st.sampled_from([None, 0, 1, 127, 128, (1 << 32) - 1]),
    )
    time, made = START, []
    for client, moved, delay, *more in draw(st.lists(shape, max_size=max_size)):
        time += moved
        made.append(Step(client, time, time + delay, *more))
    return made
