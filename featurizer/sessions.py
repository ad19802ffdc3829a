"""Sessions: event-time session windows of one input partition.

A session is a client's calls with no pause longer than the gap. Two clocks close it, both read from the log so that
replaying the log gives the same sessions: the watermark (greatest event time seen, less the allowed lateness) must have
passed the last call plus the gap, AND the record clock (greatest arrival time seen) the last arrival plus the linger,
which keeps sessions whole when gateways lag each other by minutes. A client's own next call beyond the gap, or beyond
a maximum, also closes it and opens the next one.

The state machine has no broker and no clock: calls and positions in, vectors through the ``emit`` callback out. Its
state can be taken out as packed sessions and two clocks, and put back (``park``, ``restore``).
"""

import hashlib
import heapq
from collections.abc import Callable
from struct import Struct
from zlib import adler32, crc32

from featurizer.calls import ApiCall
from featurizer.degrees import EDGE_BITS, NOT_A_NODE, DegreeTable
from featurizer.features import Occasion
from featurizer.open_sessions import DEADLINE, LINGERS, OpenSessions
from featurizer.session import (
    FINGERPRINT_BYTES,
    NEVER,
    ORIGIN_SHIFT,
    CloseReason,
    Outcome,
    Session,
    SessionPolicy,
    require_whole,
)
from featurizer.tallies import MOST_ROUTES, OBJECT_BITS, OBJECT_CALLS, PAUSE_COUNTER, address_seen, count_answer

__all__ = ["NEVER", "CloseReason", "Outcome", "Session", "SessionPolicy", "SessionWindows"]

_pack_fingerprint = Struct("<II").pack
_REMEMBERED_REQUESTS = 16

Emit = Callable[[Session, Occasion, CloseReason | None], None]
"""Called when a vector of a session is due, at the exact position in the log where it is."""


class SessionWindows(OpenSessions):
    """The open sessions of one input partition and its two clocks.

    Args:
        source: name of the input partition, part of every session id.
        policy: limits.
        table: the partition's degree table.
        emit: receives every due vector.

    Attributes:
        max_time: greatest event time seen.
        record_clock: greatest arrival time seen.
        capped_edges: calls whose edge was not kept because the session had ``max_edges``.
    """

    def __init__(self, source: str, policy: SessionPolicy, table: DegreeTable, emit: Emit) -> None:
        super().__init__()
        self.source = source
        self.policy = policy
        self.table = table
        self.max_time = 0
        self.record_clock = 0
        self.capped_edges = 0
        self._emit = emit
        self._next_timer = NEVER
        self._next_lingering = NEVER
        self._last_opening = (-1, 0)  # offset and ordinal

    @property
    def watermark(self) -> int:
        """Event time that is believed complete, epoch milliseconds."""
        return self.max_time - self.policy.lateness

    def session_id(self, session: Session) -> str:
        """Return the deterministic id of a session: where and with which call it was opened."""
        source, offset = self.source, session.offset
        if offset >> ORIGIN_SHIFT:
            source = f"{source.rpartition('-')[0]}-{(offset >> ORIGIN_SHIFT) - 1}"
            offset &= (1 << ORIGIN_SHIFT) - 1
        name = f"{source}\0{offset}\0{session.ordinal}\0{session.opened}\0{session.client}"
        return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()

    def observe(self, call: ApiCall, arrival: int, offset: int) -> Outcome:  # noqa: C901, PLR0912, PLR0915 -- a helper costs 10 %
        """Put one call into its client's session.

        Args:
            call: the call.
            arrival: Kafka timestamp of its record, epoch milliseconds; the event time when it has none.
            offset: its log offset.

        Returns:
            IN_SESSION; or LATE, DUPLICATE, FUTURE, when the call belongs to no session.
        """
        time, policy = call.time, self.policy
        if time - arrival > policy.future_tolerance:
            return Outcome.FUTURE
        self.max_time = max(self.max_time, time)
        self.record_clock = max(self.record_clock, arrival)
        if self.max_time >= self._next_timer or self.record_clock >= self._next_lingering:
            self._advance()

        session = self.open.get(call.client)
        if session is None and call.client in self.parked:
            session = self._unpark(call.client)
        if session is None:
            session = self._open(call, offset)
        else:
            if session.start - time > policy.gap:
                return Outcome.LATE
            if time - session.end > policy.gap:
                session = self._follow(session, CloseReason.INACTIVITY, call, offset)
            # Before the maxima: the copy of a call must not close its session.
            elif call.request_id is not None and _already_seen(session, call.request_id):
                return Outcome.DUPLICATE
            elif session.calls >= policy.max_calls:
                session = self._follow(session, CloseReason.MAX_CALLS, call, offset)
            elif time - session.start > policy.max_duration:
                session = self._follow(session, CloseReason.MAX_DURATION, call, offset)
            else:
                pause = time - session.end
                if pause > 0:
                    session.end = time
                    session.pause_squares += pause * pause
                    session.tally[PAUSE_COUNTER[pause.bit_length()]] += 1
                else:
                    session.tally[0] += 1
                    session.start = min(session.start, time)

        session.arrival = self.record_clock
        session.calls = calls = session.calls + 1
        if not 0 < call.status < 400:
            count_answer(session.tally, call.status)
        address = call.address
        if address is not None and address != session.address:
            session.address = address
            session.addresses = address_seen(session.tally, session.addresses, address)
        table = self.table
        node = table.ids.get(call.endpoint)
        if node is None:
            node = table.number(call.endpoint)
        if node != NOT_A_NODE:
            last = session.last_node
            if last != NOT_A_NODE:
                edges = session.edges
                edge = last << EDGE_BITS | node
                walked = edges.get(edge)
                if walked is not None:
                    edges[edge] = walked + 1
                elif len(edges) < policy.max_edges:
                    edges[edge] = 1
                    table.add(last, node)
                else:
                    self.capped_edges += 1
            session.last_node = node
            object_id = call.object_id
            if object_id is not None:
                objects = session.objects
                noted = objects.get(node)
                if noted is not None or len(objects) < MOST_ROUTES:
                    objects[node] = (noted or 0) | 1 << object_id % OBJECT_BITS
                    session.tally[OBJECT_CALLS] += 1
        if calls >= session.next_check:
            self._check(session)
        return Outcome.IN_SESSION

    def due(self, now: int) -> bool:
        """Return whether ``advance`` to this time would lead to anything.

        Args:
            now: wall clock, epoch milliseconds.
        """
        return now >= min(self._next_timer, self._next_lingering)

    def advance(self, now: int) -> None:
        """Move both clocks to ``now``: the partition is fully read and idle, so nothing older is on its way.

        No call in the log says so. Whoever does this has to make the state durable together with what it led to, or a
        replay of the log could disagree; and need not do it at all unless something is ``due``.

        Args:
            now: wall clock, epoch milliseconds.
        """
        self.max_time = max(self.max_time, now)
        self.record_clock = max(self.record_clock, now)
        self._advance()

    def close_all(self, reason: CloseReason) -> None:
        """Close every open session, the longest idle first."""
        for client in self._longest_idle(len(self)):
            self._close(self.open.get(client) or self._unpark(client), reason)

    def restore(self, parked: dict[str, bytes], max_time: int, record_clock: int) -> None:
        """Go on from a state that ``park`` had returned piece by piece; nothing is decoded but sizes and timers.

        Args:
            parked: packed sessions by client; kept, not copied.
            max_time: greatest event time seen, epoch milliseconds.
            record_clock: greatest arrival time seen, epoch milliseconds.

        Raises:
            ValueError: a session is of another version, or cut.
        """
        for packed in parked.values():
            require_whole(packed)
        self.parked = parked
        self.max_time, self.record_clock = max_time, record_clock
        self._refill(self._timers, DEADLINE)
        self._refill(self._lingering, LINGERS)
        self._next_timer = self._timers[0][0] + self.policy.lateness if self._timers else NEVER
        self._next_lingering = self._lingering[0][0] if self._lingering else NEVER

    def take_out(self, client: str) -> Session:
        """Take a client's session out, for the windows of another partition of the topic; it keeps its id.

        Raises:
            KeyError: the client has none.
        """
        session = self.open.get(client) or self._unpark(client)
        del self.open[client]
        if session.durable:
            self._ended.add(client)
            session.durable = False
        if not session.offset >> ORIGIN_SHIFT:
            session.offset |= (int(self.source.rpartition("-")[2]) + 1) << ORIGIN_SHIFT
        return session

    def put_in(self, session: Session) -> None:
        """Go on with a session that was taken out of other windows, its edges numbered by this table.

        Its timers are kept: they fire by this partition's clocks.
        """
        self.open[session.client] = session
        for entries, due in ((self._timers, session.deadline), (self._lingering, session.lingers)):
            if due != NEVER:
                heapq.heappush(entries, (due, session.client))
        self._next_timer = self._timers[0][0] + self.policy.lateness if self._timers else NEVER
        self._next_lingering = self._lingering[0][0] if self._lingering else NEVER

    def follow_policy(self, policy: SessionPolicy) -> None:
        """Go on under other limits; every open session is looked at again by them, so that all of them change."""
        self.policy = policy
        for client in list(self.parked):
            self._unpark(client)
        self._timers.clear()
        self._lingering.clear()
        self._next_timer = self._next_lingering = NEVER
        for session in self.open.values():
            session.deadline = session.lingers = NEVER
            session.next_check = 0
            self._set_timer(session, session.end + min(policy.quiet, policy.gap) + 1)

    def _open(self, call: ApiCall, offset: int) -> Session:
        if len(self) >= self.policy.max_open:
            self._evict()
        session = Session(call.client, call.time, offset, self.policy.first_vector_calls)
        session.identity = call.identity
        if call.request_id is not None:
            _already_seen(session, call.request_id)
        # One record may hold many calls, and one of its sessions may end within it.
        last_offset, last_ordinal = self._last_opening
        session.ordinal = last_ordinal + 1 if last_offset == offset else 0
        self._last_opening = (offset, session.ordinal)
        self.open[call.client] = session
        return session

    def _follow(self, session: Session, reason: CloseReason, call: ApiCall, offset: int) -> Session:
        """Close a client's session and open its next one."""
        self._close(session, reason)
        return self._open(call, offset)

    def _check(self, session: Session) -> None:
        """Take a growing vector when it is due, and see that a timer stands where the next pause would end."""
        policy = self.policy
        if session.calls >= session.next_vector:
            session.next_vector = session.calls * 2
            self._take(session, Occasion.GROWING)
        worth_scoring = self._quiet_calls(session)
        quiet = session.calls >= worth_scoring
        self._set_timer(session, session.end + (min(policy.quiet, policy.gap) if quiet else policy.gap) + 1)
        session.next_check = session.next_vector if quiet else min(session.next_vector, worth_scoring)

    def _quiet_calls(self, session: Session) -> int:
        """Calls from which a pause is worth a vector: geometric growth keeps the cost of a call amortised O(1)."""
        return session.scored + max(1, int(session.scored * self.policy.quiet_growth))

    def _set_timer(self, session: Session, deadline: int) -> None:
        """Give the session an earlier timer; a later one is found when the present one is popped."""
        if deadline < session.deadline:
            session.deadline = deadline
            timers = self._timers
            heapq.heappush(timers, (deadline, session.client))
            if self._crowded(timers):
                self._refill(timers, DEADLINE)
            self._next_timer = timers[0][0] + self.policy.lateness

    def _linger(self, session: Session) -> None:
        """Keep a session that the watermark has ended until the record clock has passed its linger."""
        session.lingers = session.arrival + self.policy.linger + 1
        lingering = self._lingering
        heapq.heappush(lingering, (session.lingers, session.client))
        if self._crowded(lingering):
            self._refill(lingering, LINGERS)

    def _advance(self) -> None:
        """Fire every timer that the clocks have passed."""
        policy, timers, lingering = self.policy, self._timers, self._lingering
        while timers and timers[0][0] <= self.watermark:
            deadline, client = heapq.heappop(timers)
            session = self._holder(client, DEADLINE, deadline)
            if session is not None:
                session.deadline = NEVER
                self._expire(session)
        self._next_timer = timers[0][0] + policy.lateness if timers else NEVER
        while lingering and lingering[0][0] <= self.record_clock:
            due, client = heapq.heappop(lingering)
            session = self._holder(client, LINGERS, due)
            if session is not None:
                session.lingers = NEVER
                # A call since then has given the session a timer again, which will find it.
                if session.deadline == NEVER:
                    self._expire(session)
        self._next_lingering = lingering[0][0] if lingering else NEVER

    def _expire(self, session: Session) -> None:
        """Close a session whose timer fired, or take its quiet vector, or set the timer anew if it has moved on."""
        policy = self.policy
        ended = self.watermark > session.end + policy.gap
        if ended and self.record_clock > session.arrival + policy.linger:
            self._close(session, CloseReason.INACTIVITY)
            return
        if self.watermark > session.end + policy.quiet and session.calls >= self._quiet_calls(session):
            self._take(session, Occasion.QUIET)
        if not ended:
            self._check(session)
            return
        session.next_check = 0
        if session.lingers == NEVER:
            self._linger(session)

    def _take(self, session: Session, occasion: Occasion) -> None:
        session.scored = session.calls
        self._emit(session, occasion, None)

    def _close(self, session: Session, reason: CloseReason) -> None:
        del self.open[session.client]
        if session.durable:
            self._ended.add(session.client)
        self._emit(session, Occasion.CLOSED, reason)

    def _evict(self) -> None:
        """Close the longest idle one percent: looking for them costs O(open), so once for many."""
        crowd = max(1, self.policy.max_open // 100)
        for client in self._longest_idle(crowd):
            self._close(self.open.get(client) or self._unpark(client), CloseReason.EVICTED)


def _already_seen(session: Session, request_id: str) -> bool:
    """Return whether the session has this request id among its last 16, and remember it.

    Two checksums of different kinds (CRC-32 and Adler-32) stand for an id: they are the same in every process, as
    Python's own hash is not, and two ids of one session meet in both less than once in 10^12 calls.
    """
    data = request_id.encode("utf-8", "surrogatepass")
    fingerprint = _pack_fingerprint(crc32(data), adler32(data))
    known = session.requests
    at = known.find(fingerprint)
    while at >= 0:
        if at % FINGERPRINT_BYTES == 0:
            return True
        at = known.find(fingerprint, at + 1)
    session.requests = (fingerprint + known)[: FINGERPRINT_BYTES * _REMEMBERED_REQUESTS]
    return False
