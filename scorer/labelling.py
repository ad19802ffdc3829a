"""Labels: which vectors of which sessions belong to known attacks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from featurizer.features import FeatureSchema, FeatureVector, Matrix, Occasion, matrix_of
from scorer.examples import Indices, Labels


class AttackLabel(msgspec.Struct, frozen=True):
    """A known attack: the hostile calls of one client. Times are event times, epoch milliseconds.

    Attributes:
        client: who made the calls, as the gateway log identifies them.
        attack: the kind of attack.
        start: first hostile call.
        end: last hostile call.
    """

    client: str
    attack: str
    start: int
    end: int


def read_labels(data: bytes) -> list[AttackLabel]:
    """Return the labels of a file: one JSON object a line, further fields ignored, empty lines skipped.

    Raises:
        ValueError: a line is no label; names the line and the field.
    """
    labels = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            label = msgspec.json.decode(line, type=AttackLabel)
        except msgspec.DecodeError as error:
            raise ValueError(f"line {number} is no label: {error}") from error
        if label.end < label.start:
            raise ValueError(f"line {number} is no label: it ends before it starts")
        labels.append(label)
    return labels


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """Vectors of sessions with what is known of them.

    The first group of arrays has one entry a vector, the second one a session.

    Attributes:
        values: raw features, shape (n, f).
        total_edges: edges in the degree table when the vector was taken.
        session: number of its session.
        closed: the vector was taken at the session's end.
        calls: calls of the session so far.
        end: event time of the latest call so far.
        anomalous: hostile calls are among them. A vector taken before an attack began is benign.
        client: number of the session's client.
        start: event time of the session's first call.
        attacks: kind of attack of each session; empty when there was none.
        hostile_from: event time of the first hostile call; 0 when there was none.
        weight: what each session counts in training.
        unmatched: attacks of which no call is in any session.
    """

    values: Matrix
    total_edges: NDArray[np.float64]
    session: Indices
    closed: Labels
    calls: NDArray[np.int64]
    end: NDArray[np.int64]
    anomalous: Labels
    client: Indices
    start: NDArray[np.int64]
    attacks: tuple[str, ...]
    hostile_from: NDArray[np.int64]
    weight: NDArray[np.float64]
    unmatched: tuple[AttackLabel, ...]

    @property
    def attacked(self) -> Labels:
        """Which sessions are attacks or hold one."""
        return np.array([bool(kind) for kind in self.attacks])

    def days(self, sessions: Labels) -> float:
        """Return the event time from the start of the first of some sessions to the last call, days.

        Args:
            sessions: which of them, shape (sessions,).
        """
        start = self.start[sessions].min(initial=self.end.max())
        return max(float(self.end.max() - start), 1.0) / 86_400_000


def label_vectors(
    vectors: Iterable[FeatureVector], labels: Sequence[AttackLabel], schema: FeatureSchema
) -> LabelledVectors:
    """Join vectors with labels: same client, overlapping in time.

    Args:
        vectors: all vectors of the sessions, in log order.
        labels: the known attacks; what they do not name is taken to be benign.
        schema: features of the vectors.

    Raises:
        ValueError: there is no vector, or one follows another schema.
    """
    sessions = sessions_of(vectors)
    by_client = _by_client(labels)
    overlaps = [_overlapping(vector, by_client) for vector in sessions.last]
    marks = [Mark(own[0].attack, own[0].start) if own else BENIGN for own in overlaps]
    matched = {label for own in overlaps for label in own}
    return marked(sessions, marks, schema, tuple(label for label in labels if label not in matched))


class Sessions(NamedTuple):
    """Vectors by session; a session's number is its place in the order in which they first appear.

    Attributes:
        taken: the vectors, as they came.
        session: number of each vector's session.
        last: last vector of each session.
        client: number of each session's client.
    """

    taken: Sequence[FeatureVector]
    session: Indices
    last: Sequence[FeatureVector]
    client: Indices


def sessions_of(vectors: Iterable[FeatureVector]) -> Sessions:
    """Sort out which vectors are of one session, and which sessions of one client.

    Args:
        vectors: those of one session in log order.

    Raises:
        ValueError: there is no vector.
    """
    taken = list(vectors)
    if not taken:
        raise ValueError("there is no session in the calls")
    numbers: dict[str, int] = {}
    clients: dict[str, int] = {}
    last: list[FeatureVector] = []
    session = np.empty(len(taken), dtype=np.intp)
    for position, vector in enumerate(taken):
        number = session[position] = numbers.setdefault(vector.session_id, len(numbers))
        if number == len(last):
            last.append(vector)
            clients.setdefault(vector.client, len(clients))
        last[number] = vector
    return Sessions(taken, session, last, np.array([clients[vector.client] for vector in last], dtype=np.intp))


class Mark(NamedTuple):
    """What is known of a session.

    Attributes:
        attack: kind of attack; empty when there was none.
        hostile_from: event time of the first hostile call; means nothing without an attack.
        weight: what the session counts in training.
    """

    attack: str
    hostile_from: int = 0
    weight: float = 1.0


BENIGN = Mark("")


def marked(
    sessions: Sessions, marks: Sequence[Mark], schema: FeatureSchema, unmatched: tuple[AttackLabel, ...] = ()
) -> LabelledVectors:
    """Join sessions with what is known of each.

    Args:
        sessions: the sessions.
        marks: what is known, in order.
        schema: features of the vectors.
        unmatched: attacks that belong to none of them.

    Raises:
        ValueError: a vector follows another schema.
    """
    taken, session = sessions.taken, sessions.session
    never = np.iinfo(np.int64).max
    hostile_from = np.array([mark.hostile_from if mark.attack else never for mark in marks], dtype=np.int64)
    end = np.array([vector.end for vector in taken])
    return LabelledVectors(
        values=matrix_of(taken, schema),
        total_edges=np.array([vector.total_edges for vector in taken], dtype=np.float64),
        session=session,
        closed=np.array([vector.occasion is Occasion.CLOSED for vector in taken]),
        calls=np.array([vector.calls for vector in taken]),
        end=end,
        anomalous=end >= hostile_from[session],
        client=sessions.client,
        start=np.array([vector.start for vector in sessions.last]),
        attacks=tuple(mark.attack for mark in marks),
        hostile_from=np.where(hostile_from == never, 0, hostile_from),
        weight=np.array([mark.weight for mark in marks]),
        unmatched=unmatched,
    )


def _by_client(labels: Iterable[AttackLabel]) -> Mapping[str, list[AttackLabel]]:
    known: dict[str, list[AttackLabel]] = defaultdict(list)
    for label in sorted(labels, key=lambda label: label.start):
        known[label.client].append(label)
    return known


def _overlapping(vector: FeatureVector, labels: Mapping[str, list[AttackLabel]]) -> list[AttackLabel]:
    """Return the attacks that a session overlaps, the earliest first."""
    return [label for label in labels.get(vector.client, ()) if label.start <= vector.end and label.end >= vector.start]
