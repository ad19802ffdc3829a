"""FeatureSchema and FeatureVector: what a model sees of a session.

All features are defined over the DISTINCT directed edges (a -> b) of a session's call graph; an edge joins two
consecutive calls, self-loops count. For an edge, ``g_out(a)`` is how often endpoint a is the source of an edge over
the distinct edges of all sessions, ``g_in(b)`` likewise as destination, and ``l_out(a)`` is how many edges of this
session leave a. Spreads are sample standard deviations (ddof=1), missing (NaN) for fewer than two edges.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

MISSING = math.nan


class Feature(msgspec.Struct, frozen=True):
    """One feature.

    Attributes:
        name: as in tables and models.
        unit: of its values.
        meaning: in words that fit a sentence about a client, for alerts.
        global_degree: the value scales with the volume of traffic.
    """

    name: str
    unit: str
    meaning: str
    global_degree: bool = False


class FeatureSchema(msgspec.Struct, frozen=True):
    """A named, versioned, ordered list of features."""

    name: str
    version: int
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order of a vector's values."""
        return tuple(feature.name for feature in self.features)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex, first 16 characters) of what decides the values, not of wording: a model refuses any other."""
        decisive = [self.name, self.version, [(own.name, own.unit, own.global_degree) for own in self.features]]
        return hashlib.sha256(msgspec.json.encode(decisive)).hexdigest()[:16]

    @property
    def global_columns(self) -> NDArray[np.intp]:
        """Positions of the features that are global degrees."""
        return np.array([i for i, feature in enumerate(self.features) if feature.global_degree], dtype=np.intp)


ACCESS_BEHAVIOUR_V1 = FeatureSchema(
    name="access-behaviour",
    version=1,
    features=(
        Feature("n_connections", "edges", "distinct transitions between endpoints"),
        Feature(
            "avg_global_source_degrees", "edges", "how common the endpoints it left are, on average", global_degree=True
        ),
        Feature(
            "std_global_source_degrees",
            "edges",
            "how much the endpoints it left differ in being common",
            global_degree=True,
        ),
        Feature("min_global_source_degrees", "edges", "how common the rarest endpoint it left is", global_degree=True),
        Feature(
            "max_global_source_degrees", "edges", "how common the commonest endpoint it left is", global_degree=True
        ),
        Feature(
            "avg_global_dest_degrees",
            "edges",
            "how common the endpoints it went to are, on average",
            global_degree=True,
        ),
        Feature("min_global_dest_degrees", "edges", "how common the rarest endpoint it went to is", global_degree=True),
        Feature(
            "max_global_dest_degrees", "edges", "how common the commonest endpoint it went to is", global_degree=True
        ),
        Feature("std_local_source_degrees", "edges", "how much its endpoints differ in the ways it left them"),
        Feature("n_apis", "endpoints", "distinct endpoints called"),
        Feature("edges_per_api", "edges per endpoint", "distinct transitions per endpoint"),
    ),
)
"""The eleven features of the public access-behaviour table, computed by true edge direction.

Over edges a -> b: avg, std, min, max of g_out(a) (``global_source``) and of g_in(b) (``global_dest``), std of l_out(a)
(``local_source``); n_connections is the number of edges, n_apis that of endpoints, edges_per_api their ratio.
"""


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
        total_edges: edges in the global degree table at that moment, the denominator of normalisation.
        close_reason: why the session ended; None while it is open.
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


Matrix = NDArray[np.float64]


def normalise(values: Matrix, total_edges: Matrix, reference_edges: float, schema: FeatureSchema) -> Matrix:
    """Express global degrees as they would be if the table held ``reference_edges`` edges.

    degree x reference_edges / total_edges: without it a model drifts with the mere volume of traffic. Training and
    serving call this one function.

    Args:
        values: raw features, shape (n, len(schema.features)).
        total_edges: edges in the degree table when each row was taken, shape (n,).
        reference_edges: edges in the table that the model was trained against.
        schema: names the columns that are global degrees.

    Returns:
        A new matrix of the same shape. Rows taken from an empty table are left as they are.
    """
    scaled = np.array(values, dtype=np.float64)
    factor = np.divide(reference_edges, total_edges, out=np.ones(len(scaled)), where=np.asarray(total_edges) > 0)
    scaled[:, schema.global_columns] *= factor[:, None]
    return scaled


def matrix_of(vectors: Iterable[FeatureVector], schema: FeatureSchema) -> Matrix:
    """Stack vectors into a matrix of shape (n, len(schema.features)).

    Raises:
        ValueError: a vector follows another schema.
    """
    rows: list[Sequence[float]] = []
    fingerprint = schema.fingerprint
    for vector in vectors:
        if vector.schema != fingerprint:
            raise ValueError(f"vector of schema {vector.schema}, expected {schema.name} {fingerprint}")
        rows.append(vector.values)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(schema.features))
