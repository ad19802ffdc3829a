"""Session: what is kept of a client's calls while they last, and its packed form.

A session that is not at work waits as bytes: a quarter of the memory, ready to be written to a log, and restored
without being decoded. The form is versioned, and little-endian whatever the machine.

Form 1 had only the graph. A session in it is read as one whose other parts begin now: its earlier calls count as calls
without a recorded status, and nothing is known of their pauses, objects and addresses.
"""

import sys
from array import array
from enum import IntEnum, StrEnum
from struct import Struct

import msgspec

from featurizer.degrees import NOT_A_NODE
from featurizer.identity import Identity
from featurizer.tallies import ADDRESS_BYTES, OBJECT_BITS, TALLIES, UNANSWERED, new_tally

NEVER = 1 << 62
"""A time that no clock reaches, milliseconds."""

FORM = 2
"""Version of the packed form; the first byte of each."""

SESSION_BYTES = 1200
"""Memory of an open session of 30 calls, all in, one in ten at work: 1,040 measured by tests.benchmarks.memory."""

FINGERPRINT_BYTES = 8

ORIGIN_SHIFT = 48
"""A session that was moved has its first partition's number plus one above this many bits of ``offset``."""

# form, flags, request fingerprints; deadline, lingers, end, opened, start, arrival, offset; ordinal, calls, scored,
# next_vector, next_check, last_node, edges.
_HEADER = Struct("<BBH7q5IiI")
# What form 2 has after that: pause_squares; routes with objects, addresses; alerted_rank.
_MORE = Struct("<QBBB")
_timers_of = Struct("<4xqq").unpack_from
_end_of = Struct("<20xq").unpack_from
_extras_of = Struct("<xBH").unpack_from
_edges_of = Struct(f"<{_HEADER.size - 4}xI").unpack_from
_more_of = Struct(f"<{_HEADER.size + _MORE.size - 3}xBB").unpack_from
_EARLY, _CLOSING, _WIDE = 1, 2, 4
_IDENTITY_SHIFT = 3  # the five bits of the flags that are left
_IDENTITIES = (
    "",
    *(Identity.USER, Identity.ADDRESS, Identity.CONSUMER, Identity.SUBJECT, Identity.CREDENTIAL),
    *(Identity.SESSION, Identity.ADDRESS_AGENT),
)
"""Packed as their number here: never reordered, added to at the end. Before there were kinds the number was 0."""
_NUMBERS = {str(identity): number for number, identity in enumerate(_IDENTITIES)}
_EDGE_BYTES = 4
_WIDE_BYTES = 4
_NODE_BYTES = 2
_BITMAP_BYTES = OBJECT_BITS // 8
_MOST_SQUARES = (1 << 64) - 1
_GRAPH_ONLY = 1
"""The form that sessions had before they kept more than their graph."""


class CloseReason(StrEnum):
    """Why a session ended."""

    INACTIVITY = "inactivity"
    MAX_DURATION = "max_duration"
    MAX_CALLS = "max_calls"
    EVICTED = "evicted"
    """Too many sessions were open; the longest idle ones are closed early."""
    END_OF_INPUT = "end_of_input"
    """The files that are replayed have been read to their end."""


class Outcome(IntEnum):
    """What became of one call."""

    IN_SESSION = 0
    LATE = 1
    DUPLICATE = 2
    FUTURE = 3


class SessionPolicy(msgspec.Struct, frozen=True):
    """Limits of a session; all times in milliseconds. Meaning and defaults: settings ``sessions``."""

    gap: int = 30 * 60_000
    max_duration: int = 24 * 3_600_000
    max_calls: int = 10_000
    max_edges: int = 5_000
    max_open: int = 250_000
    lateness: int = 30_000
    linger: int = 60_000
    quiet: int = 60_000
    first_vector_calls: int = 8
    quiet_growth: float = 0.125
    future_tolerance: int = 5 * 60_000


class Session:
    """An open session of one client. Times are epoch milliseconds.

    Attributes:
        client: identity of the caller.
        identity: what ``client`` is, by the call that opened the session; empty when not known.
        opened: event time of the call that arrived first; part of the id, so it never changes.
        offset: log offset of that call; of a session that was moved, with its first partition (see ORIGIN_SHIFT).
        ordinal: sessions that the same record had opened before; with the offset it makes the id unique.
        start: event time of the earliest call.
        end: event time of the latest call.
        arrival: record clock when the last call arrived.
        calls: calls so far.
        last_node: number of the endpoint called last, NOT_A_NODE at first.
        edges: packed distinct edges, in order of first sight, with how often each was walked.
        scored: calls when the last vector was taken.
        next_vector: calls at which the next growing vector is due.
        next_check: calls at which a vector or a timer may be due; below it a call needs no further look.
        deadline: time of this session's one valid entry in the timer heap; NEVER without one.
        lingers: likewise in the heap of sessions that only the record clock keeps open.
        alerted_open: an early alert was raised.
        alerted_closed: a closing alert was raised.
        alerted_rank: rank of the greatest severity it was alerted with; 0 when that is not known.
        requests: fingerprints of the last request ids, 8 bytes each, newest first.
        tally: what is counted of its calls, shape (TALLIES,), see ``featurizer.tallies``.
        pause_squares: sum of the squares of the pauses between its calls, milliseconds squared.
        objects: for each route with a parameter, by its endpoint's number, a bit for each object it was called with.
        addresses: checksums of the latest different addresses, 4 bytes each, newest first.
        address: the address of the latest call that had one, as far as this worker has seen it; not packed.
        durable: a packed form of it has been handed out, so its end has to be told (see SessionWindows.park).
    """

    __slots__ = (
        "address",
        "addresses",
        "alerted_closed",
        "alerted_open",
        "alerted_rank",
        "arrival",
        "calls",
        "client",
        "deadline",
        "durable",
        "edges",
        "end",
        "identity",
        "last_node",
        "lingers",
        "next_check",
        "next_vector",
        "objects",
        "offset",
        "opened",
        "ordinal",
        "pause_squares",
        "requests",
        "scored",
        "start",
        "tally",
    )

    def __init__(self, client: str, time: int, offset: int, first_vector: int) -> None:
        self.client = client
        self.identity = ""
        self.opened = self.start = self.end = time
        self.offset = offset
        self.ordinal = 0
        self.arrival = 0
        self.calls = 0
        self.last_node = NOT_A_NODE
        self.edges: dict[int, int] = {}
        self.scored = 0
        self.next_vector = first_vector
        self.next_check = 0
        self.deadline = NEVER
        self.lingers = NEVER
        self.alerted_open = False
        self.alerted_closed = False
        self.alerted_rank = 0
        self.requests = b""
        self.tally = new_tally()
        self.pause_squares = 0
        self.objects: dict[int, int] = {}
        self.addresses = b""
        self.address: str | None = None
        self.durable = False


def pack(session: Session) -> bytes:
    """Return the packed form.

    130 bytes, 8 a request fingerprint, 5 an edge, 18 a route with objects, 4 an address; 93 more, and 8 an edge, if one
    was walked, or anything counted, more than 255 times.
    """
    edges, objects, tally = session.edges, session.objects, session.tally.tolist()
    flags = _EARLY * session.alerted_open | _CLOSING * session.alerted_closed
    flags |= _NUMBERS.get(session.identity, 0) << _IDENTITY_SHIFT
    try:
        counts = bytes(edges.values()) + bytes(tally)
    except ValueError:
        flags |= _WIDE
        counts = _little(array("I", [*edges.values(), *tally])).tobytes()
    header = _HEADER.pack(
        FORM,
        flags,
        len(session.requests) // FINGERPRINT_BYTES,
        session.deadline,
        session.lingers,
        session.end,
        session.opened,
        session.start,
        session.arrival,
        session.offset,
        session.ordinal,
        session.calls,
        session.scored,
        session.next_vector,
        session.next_check,
        session.last_node,
        len(edges),
    )
    more = _MORE.pack(
        min(session.pause_squares, _MOST_SQUARES),
        len(objects),
        len(session.addresses) // ADDRESS_BYTES,
        session.alerted_rank,
    )
    routes = _little(array("H", objects)).tobytes()
    bitmaps = b"".join([bitmap.to_bytes(_BITMAP_BYTES, "little") for bitmap in objects.values()])
    keys = _little(array("I", edges)).tobytes()
    return b"".join((header, more, session.requests, keys, counts, routes, bitmaps, session.addresses))


def unpack(client: str, packed: bytes) -> Session:
    """Return the session of a packed form.

    Raises:
        ValueError: the form is of another version, or cut.
    """
    require_whole(packed)
    session = Session.__new__(Session)
    session.client = client
    session.durable = True
    (
        form,
        flags,
        requests,
        session.deadline,
        session.lingers,
        session.end,
        session.opened,
        session.start,
        session.arrival,
        session.offset,
        session.ordinal,
        session.calls,
        session.scored,
        session.next_vector,
        session.next_check,
        session.last_node,
        n_edges,
    ) = _HEADER.unpack_from(packed)
    session.alerted_open = bool(flags & _EARLY)
    session.alerted_closed = bool(flags & _CLOSING)
    number = flags >> _IDENTITY_SHIFT
    session.identity = _IDENTITIES[number] if number < len(_IDENTITIES) else ""
    start = _HEADER.size + (0 if form == _GRAPH_ONLY else _MORE.size)
    edges_at = start + requests * FINGERPRINT_BYTES
    counts_at = edges_at + n_edges * _EDGE_BYTES
    tallies = 0 if form == _GRAPH_ONLY else TALLIES
    routes_at = counts_at + (n_edges + tallies) * (_WIDE_BYTES if flags & _WIDE else 1)
    session.requests = packed[start:edges_at]
    keys = _little(array("I", packed[edges_at:counts_at]))
    counted = packed[counts_at:routes_at]
    counts = _little(array("I", counted)).tolist() if flags & _WIDE else list(counted)
    session.edges = dict(zip(keys, counts[:n_edges], strict=True))
    session.address = None
    if form == _GRAPH_ONLY:
        _begin_tallies(session)
        return session
    session.tally = array("I", counts[n_edges:])
    session.pause_squares, n_routes, _, session.alerted_rank = _MORE.unpack_from(packed, _HEADER.size)
    bitmaps_at = routes_at + n_routes * _NODE_BYTES
    addresses_at = bitmaps_at + n_routes * _BITMAP_BYTES
    routes = _little(array("H", packed[routes_at:bitmaps_at]))
    session.objects = {
        route: int.from_bytes(packed[at : at + _BITMAP_BYTES], "little")
        for route, at in zip(routes, range(bitmaps_at, addresses_at, _BITMAP_BYTES), strict=True)
    }
    session.addresses = packed[addresses_at:]
    return session


def require_whole(packed: bytes) -> None:
    """Make sure that a packed form can be unpacked, without doing so.

    Raises:
        ValueError: the form is of another version, or cut.
    """
    if not packed or packed[0] not in {_GRAPH_ONLY, FORM}:
        raise ValueError(f"a packed session of form {packed[:1].hex() or 'none'}, expected {FORM:02x}")
    more = packed[0] != _GRAPH_ONLY
    size = _HEADER.size + (_MORE.size if more else 0)
    if len(packed) >= size:
        flags, requests = _extras_of(packed)
        edges = _edges_of(packed)[0]
        counts = edges + (TALLIES if more else 0)
        size += requests * FINGERPRINT_BYTES + edges * _EDGE_BYTES + counts * (_WIDE_BYTES if flags & _WIDE else 1)
        if more:
            routes, addresses = _more_of(packed)
            size += routes * (_NODE_BYTES + _BITMAP_BYTES) + addresses * ADDRESS_BYTES
    if len(packed) != size:
        raise ValueError(f"a packed session of {len(packed)} bytes is cut: it should have {size}")


def _begin_tallies(session: Session) -> None:
    """Give a session that had only its graph the other parts, as if they began now."""
    session.tally = new_tally()
    session.tally[UNANSWERED] = session.calls
    session.alerted_rank = 0
    session.pause_squares = 0
    session.objects = {}
    session.addresses = b""


def timers_of(packed: bytes) -> tuple[int, int]:
    """Return ``deadline`` and ``lingers`` without unpacking the rest."""
    deadline, lingers = _timers_of(packed)
    return deadline, lingers


def end_of(packed: bytes) -> int:
    """Return ``end`` without unpacking the rest."""
    return int(_end_of(packed)[0])


def _little(numbers: "array[int]") -> "array[int]":
    """Return little-endian numbers of this machine's, or the other way round."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
