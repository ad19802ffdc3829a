"""Labels: which vectors of which sessions belong to known attacks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    unmatched: tuple[AttackLabel, ...]

    @property
    def attacked(self) -> Labels:
        """Which sessions are attacks or hold one."""
        return np.array([bool(kind) for kind in self.attacks])


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
    taken = list(vectors)
    if not taken:
        raise ValueError("there is no session in the calls")
    sessions: dict[str, int] = {}
    clients: dict[str, int] = {}
    first: list[FeatureVector] = []
    last: list[FeatureVector] = []
    session = np.empty(len(taken), dtype=np.intp)
    for position, vector in enumerate(taken):
        number = session[position] = sessions.setdefault(vector.session_id, len(sessions))
        if number == len(first):
            first.append(vector)
            last.append(vector)
            clients.setdefault(vector.client, len(clients))
        last[number] = vector
    by_client = _by_client(labels)
    overlaps = [_overlapping(vector, by_client) for vector in last]
    found = [labels_of_one[0] if labels_of_one else None for labels_of_one in overlaps]
    matched = {label for labels_of_one in overlaps for label in labels_of_one}
    never = np.iinfo(np.int64).max
    hostile_from = np.array([label.start if label else never for label in found], dtype=np.int64)
    end = np.array([vector.end for vector in taken])
    return LabelledVectors(
        values=matrix_of(taken, schema),
        total_edges=np.array([vector.total_edges for vector in taken], dtype=np.float64),
        session=session,
        closed=np.array([vector.occasion is Occasion.CLOSED for vector in taken]),
        calls=np.array([vector.calls for vector in taken]),
        end=end,
        anomalous=end >= hostile_from[session],
        client=np.array([clients[vector.client] for vector in first], dtype=np.intp),
        start=np.array([vector.start for vector in last]),
        attacks=tuple(label.attack if label else "" for label in found),
        hostile_from=np.where(hostile_from == never, 0, hostile_from),
        unmatched=tuple(label for label in labels if label not in matched),
    )


def _by_client(labels: Iterable[AttackLabel]) -> Mapping[str, list[AttackLabel]]:
    known: dict[str, list[AttackLabel]] = defaultdict(list)
    for label in sorted(labels, key=lambda label: label.start):
        known[label.client].append(label)
    return known


def _overlapping(vector: FeatureVector, labels: Mapping[str, list[AttackLabel]]) -> list[AttackLabel]:
    """Return the attacks that a session overlaps, the earliest first."""
    return [label for label in labels.get(vector.client, ()) if label.start <= vector.end and label.end >= vector.start]
