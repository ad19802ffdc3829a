"""FeatureSchema and FeatureVector: what a model sees of a session.

All features are defined over the DISTINCT directed edges (a -> b) of a session's call graph; an edge joins two
consecutive calls, self-loops count. For an edge, ``g_out(a)`` is how often endpoint a is the source of an edge over
the distinct edges of all sessions, ``g_in(b)`` likewise as destination, and ``l_in(b)`` is how many edges of this
session enter b. Spreads are sample standard deviations (ddof=1), missing (NaN) for fewer than two edges.

Global degrees enter as ratios only: of each other, or of all edges counted. Their size says how long the tables have
been learning and how busy an API is, neither of which is the client's doing; a ratio is the same after a tenfold of the
same traffic.

ACCESS_BEHAVIOUR_V1 is what the public table can carry: the shape of the graph. GATEWAY_V1 begins with the same features
and adds what a gateway's log tells besides. A model reads one of them; a vector of the wider one serves both.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

MISSING = math.nan


class Group(StrEnum):
    """What features tell together; an alert gives one reason a group."""

    SHAPE = "shape"
    """How large and how dense the session's graph is."""
    ENTRIES = "entries"
    """How unevenly its endpoints are entered."""
    SOURCES = "sources"
    """How rare the endpoints are that it left."""
    DESTINATIONS = "destinations"
    """How rare the endpoints are that it went to."""
    MIX = "mix"
    """Whether common and rare endpoints are together in it."""
    BALANCE = "balance"
    """How common the endpoints it left are beside those it went to."""
    TIMING = "timing"
    """How long it pauses between calls."""
    OUTCOMES = "outcomes"
    """How its calls ended."""
    OBJECTS = "objects"
    """How many different objects it asked for."""
    ADDRESSES = "addresses"
    """Where its calls came from."""
    SURPRISE = "surprise"
    """How unexpected its transitions are beside those of all others."""
    REVISITS = "revisits"
    """How often it came back to where it had been."""
    METHODS = "methods"
    """How much of what it did changes something."""


class Feature(msgspec.Struct, frozen=True):
    """One feature.

    Attributes:
        name: as in tables and models.
        unit: of its values.
        meaning: in words that fit a sentence about a client, for alerts.
        group: what it tells together with others.
        of_traffic: read from the global degree tables: the same session has another value when the mix of traffic
            changes.
        whole: a count, which only whole numbers can be.
    """

    name: str
    unit: str
    meaning: str
    group: Group
    of_traffic: bool = False
    whole: bool = False


class FeatureSchema(msgspec.Struct, frozen=True, dict=True):
    """A named, versioned, ordered list of features."""

    name: str
    version: int
    features: tuple[Feature, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order of a vector's values."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex, first 16 characters) of what decides the values, not of wording: a model refuses any other."""
        decisive = [self.name, self.version, [(own.name, own.unit, own.of_traffic) for own in self.features]]
        return hashlib.sha256(msgspec.json.encode(decisive)).hexdigest()[:16]

    def within(self, other: "FeatureSchema") -> bool:
        """Return whether another schema has all these features; another version of this one need not mean the same."""
        return self == other or (self.name != other.name and set(self.features) <= set(other.features))

    @property
    def traffic_columns(self) -> NDArray[np.intp]:
        """Positions of the features that are read from the global degree tables."""
        return np.array([i for i, feature in enumerate(self.features) if feature.of_traffic], dtype=np.intp)


SHARE_OF_EDGES = "share of edges"
"""Unit of a global degree divided by the edges of all sessions."""


def _of_traffic(name: str, meaning: str, group: Group) -> Feature:
    unit = SHARE_OF_EDGES if name.endswith("_share") else "1"
    return Feature(name, unit, meaning, group, of_traffic=True)


ACCESS_BEHAVIOUR_V1 = FeatureSchema(
    name="access-behaviour",
    version=1,
    features=(
        Feature("n_connections", "edges", "distinct transitions between endpoints", Group.SHAPE, whole=True),
        Feature("n_apis", "endpoints", "distinct endpoints called", Group.SHAPE, whole=True),
        Feature("edges_per_api", "edges per endpoint", "distinct transitions per endpoint", Group.SHAPE),
        Feature("density", "1", "share of the possible transitions between its endpoints that it made", Group.SHAPE),
        Feature(
            "std_local_dest_degrees",
            "edges",
            "how much its endpoints differ in the ways it came to them",
            Group.ENTRIES,
        ),
        Feature(
            "std_local_dest_degrees_per_edges_per_api",
            "endpoints",
            "how much its endpoints differ in the ways it came to them, for as many as it used",
            Group.ENTRIES,
        ),
        _of_traffic(
            "avg_by_max_source_degrees", "how common the endpoints it left are, beside the commonest of them", Group.MIX
        ),
        _of_traffic(
            "min_by_avg_source_degrees", "how common the rarest endpoint it left is, beside their average", Group.MIX
        ),
        _of_traffic(
            "min_by_max_source_degrees", "how common the rarest endpoint it left is, beside the commonest", Group.MIX
        ),
        _of_traffic(
            "avg_by_max_dest_degrees",
            "how common the endpoints it went to are, beside the commonest of them",
            Group.MIX,
        ),
        _of_traffic(
            "min_by_avg_dest_degrees", "how common the rarest endpoint it went to is, beside their average", Group.MIX
        ),
        _of_traffic(
            "min_by_max_dest_degrees", "how common the rarest endpoint it went to is, beside the commonest", Group.MIX
        ),
        _of_traffic("std_by_avg_dest_degrees", "how much the endpoints it went to differ in being common", Group.MIX),
        _of_traffic(
            "avg_source_by_avg_dest_degrees",
            "how common the endpoints it left are, beside those it went to",
            Group.BALANCE,
        ),
        _of_traffic(
            "max_source_by_max_dest_degrees",
            "how common the commonest endpoint it left is, beside the commonest it went to",
            Group.BALANCE,
        ),
        _of_traffic(
            "min_source_by_min_dest_degrees",
            "how common the rarest endpoint it left is, beside the rarest it went to",
            Group.BALANCE,
        ),
        _of_traffic("avg_source_share", "how common the endpoints it left are, on average", Group.SOURCES),
        _of_traffic("min_source_share", "how common the rarest endpoint it left is", Group.SOURCES),
        _of_traffic("max_source_share", "how common the commonest endpoint it left is", Group.SOURCES),
        _of_traffic("avg_dest_share", "how common the endpoints it went to are, on average", Group.DESTINATIONS),
        _of_traffic(
            "std_dest_share", "how much the endpoints it went to differ in being common, beside all traffic", Group.MIX
        ),
        _of_traffic("min_dest_share", "how common the rarest endpoint it went to is", Group.DESTINATIONS),
        _of_traffic("max_dest_share", "how common the commonest endpoint it went to is", Group.DESTINATIONS),
    ),
)
"""What the public access-behaviour table can carry, free of scale.

With E edges and N endpoints: n_connections = E, n_apis = N, edges_per_api = E/N, density = E/N², std_local_dest_degrees
the spread of l_in(b) over the edges a -> b, and that spread by E/N. Over edges a -> b, ``source`` is g_out(a), ``dest``
is g_in(b), ``x_by_y`` is x divided by y, and ``x_share`` is x divided by the edges of all sessions; missing where the
divisor is 0 (an endpoint that nobody has gone to before, as far as the tables know).
"""


BITS = "bits"
"""Unit of a surprise: -log2 of a probability."""


GATEWAY_V1 = FeatureSchema(
    name="gateway",
    version=1,
    features=(
        *ACCESS_BEHAVIOUR_V1.features,
        Feature("median_pause", "s", "how long it usually paused between two calls", Group.TIMING),
        Feature("pause_spread", "1", "how many times as long its long pauses are as its short ones", Group.TIMING),
        Feature("burstiness", "1", "how unevenly its calls came, from -1 (a clock) to 1 (bursts)", Group.TIMING),
        Feature("client_error_share", "1", "share of its calls that were answered 4xx", Group.OUTCOMES),
        Feature("denied_share", "1", "share of its calls that were refused (401, 403)", Group.OUTCOMES),
        Feature("not_found_share", "1", "share of its calls that found nothing (404)", Group.OUTCOMES),
        Feature("server_error_share", "1", "share of its calls that failed on the server (5xx)", Group.OUTCOMES),
        Feature("object_share", "1", "share of its calls that named an object", Group.OBJECTS),
        Feature("avg_objects", "objects", "different objects that it asked for on a route, on average", Group.OBJECTS),
        Feature("max_objects", "objects", "different objects it asked for on one route", Group.OBJECTS, whole=True),
        Feature("new_object_share", "1", "share of its calls to objects that were the first to them", Group.OBJECTS),
        Feature("address_changes", "changes", "times that its address changed", Group.ADDRESSES, whole=True),
        Feature("n_addresses", "addresses", "different addresses it called from", Group.ADDRESSES, whole=True),
        Feature("unmatched_share", "1", "share of its calls to paths that the API does not have", Group.OUTCOMES),
        Feature(
            "avg_surprise", BITS, "how unexpected its transitions are, on average", Group.SURPRISE, of_traffic=True
        ),
        Feature("min_surprise", BITS, "how unexpected its most usual transition is", Group.SURPRISE, of_traffic=True),
        Feature("max_surprise", BITS, "how unexpected its strangest transition is", Group.SURPRISE, of_traffic=True),
        Feature(
            "unexpected_share",
            "1",
            "share of its steps that follow where they came from less than once in a hundred times",
            Group.SURPRISE,
            of_traffic=True,
        ),
        Feature("revisit_share", "1", "share of its calls to endpoints it had been at before", Group.REVISITS),
        Feature("self_loop_share", "1", "share of its steps that call the same endpoint again", Group.REVISITS),
        Feature(
            "write_share", "1", "share of its calls that change something (POST, PUT, PATCH, DELETE)", Group.METHODS
        ),
    ),
)
"""What a gateway's log can carry: ACCESS_BEHAVIOUR_V1 and 21 more.

A pause lies between two consecutive calls of the session, in arrival order, and is 0 where the later one is not the
later in event time. Their median and their spread, the 90 % quantile by the 10 % one, are read off counters on a scale
of powers of two (``featurizer.tallies``). With mean m and standard deviation s of the pauses, burstiness is
(s - m) / (s + m) (Goh and Barabási, EPL 81, 2008). Shares of answers are of the calls with a recorded status. Objects
are told apart by a checksum of what the path has at its route's parameters, and counted by linear counting over 128
bits a route. Surprises are defined in ``featurizer.surprise``; averages and shares of them, of returns and of writes
weigh each step or call of the graph once. All but the surprises are the session's own doing.

Missing is what the log does not carry: statuses or addresses that nobody recorded, objects of routes without
parameters, pauses of a single call. The share of calls at night is left out: what is night is a matter of the client's
habits, which a session does not know.
"""

SCHEMAS = {schema.fingerprint: schema for schema in (ACCESS_BEHAVIOUR_V1, GATEWAY_V1)}
"""The schemas that models may read, by fingerprint."""


class Occasion(StrEnum):
    """Why a vector was taken of a session."""

    GROWING = "growing"
    """The open session reached 8, 16, 32, … calls."""
    QUIET = "quiet"
    """The open session paused with calls not yet scored."""
    CLOSED = "closed"
    """The session ended."""


INCOMPLETE = frozenset({"evicted"})
"""Close reasons of sessions that gatewatch cut off while the client may still have been calling."""


class FeatureVector(msgspec.Struct, frozen=True):
    """The features of one session at one moment.

    Attributes:
        session_id: deterministic id of the session.
        client: identity of the caller.
        occasion: why this vector was taken.
        start: event time of the session's earliest call, epoch milliseconds.
        end: event time of the session's latest call, epoch milliseconds.
        calls: number of calls in the session so far.
        schema: fingerprint of the FeatureSchema that ``values`` follow.
        values: raw feature values in schema order; NaN (null on the wire) where missing.
        total_edges: edges in the global degree tables at that moment: how much they had learnt.
        close_reason: why the session ended; None while it is open.
        identity: what ``client`` is, a value of ``featurizer.identity``; empty when not known.
    """

    session_id: str
    client: str
    occasion: Occasion
    start: int
    end: int
    calls: int
    schema: str
    values: tuple[float, ...]
    total_edges: int
    close_reason: str | None = None
    identity: str = ""

    def named(self) -> dict[str, float]:
        """Return the values by feature; empty when they follow none of SCHEMAS."""
        schema = SCHEMAS.get(self.schema)
        return {} if schema is None else dict(zip(schema.names, self.values, strict=True))


Matrix = NDArray[np.float64]


def matrix_of(vectors: Iterable[FeatureVector], schema: FeatureSchema) -> Matrix:
    """Stack vectors into a matrix of shape (n, len(schema.features)).

    A vector of a schema that has all the features, and others, gives those.

    Raises:
        ValueError: a vector follows a schema that has not.
    """
    rows: list[Sequence[float]] = []
    columns: dict[str, Sequence[int] | None] = {schema.fingerprint: None}
    for vector in vectors:
        if vector.schema not in columns:
            columns[vector.schema] = columns_of(vector.schema, schema)
        own = columns[vector.schema]
        rows.append(vector.values if own is None else [vector.values[at] for at in own])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(schema.features))


def columns_of(fingerprint: str, schema: FeatureSchema) -> Sequence[int]:
    """Return where the features of a schema are in the vectors of another one.

    Args:
        fingerprint: of the vectors' schema.
        schema: the features wanted.

    Raises:
        ValueError: the vectors have not all of them.
    """
    wider = SCHEMAS.get(fingerprint)
    if wider is None or not schema.within(wider):
        raise ValueError(f"vector of schema {fingerprint}, expected {schema.name} {schema.fingerprint}")
    return [wider.names.index(name) for name in schema.names]
