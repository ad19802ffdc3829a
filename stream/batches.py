"""Batches: what goes through the pipeline together, and the dead letters on its way."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from featurizer.calls import ApiCall
from featurizer.features import FeatureVector, Occasion
from featurizer.graph import endpoints_of
from featurizer.sessions import Outcome, Session, SessionWindows
from scorer.alerts import Alert, AlertHistory, AlertKind, Decision
from scorer.severity import Severity
from scorer.verdicts import Verdict
from stream.adapters import Decoded
from stream.dead_letters import DeadLetter, Reason
from stream.records import Record, TopicPartition
from stream.wire import Outgoing

if TYPE_CHECKING:
    from scorer.challenger import WouldBeAlerts

Decode = Callable[[bytes | None], Decoded]

_REFUSALS = {
    Outcome.LATE: (Reason.LATE_CALL, "the client's open session began more than a gap after this call"),
    Outcome.FUTURE: (Reason.FUTURE_TIMESTAMP, "the event time is too far after the record's Kafka timestamp"),
}


MarkKey = tuple[str, str, int]
"""Session id, occasion and calls: of a session's vectors no two have the same."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What was decided on a vector, when that changed more than the outputs.

    A restored partition takes its decisions from the marks of those made before, instead of judging again: the degree
    tables, or the model, may be others by now, and what was published stays true.

    Attributes:
        session_id: the session.
        occasion: why the vector was taken.
        calls: calls of the session then.
        decision: ALERT, BUDGET, or COOLDOWN at the session's end.
        severity: of the alert; None when that is not known.
    """

    session_id: str
    occasion: Occasion
    calls: int
    decision: Decision
    severity: Severity | None = None

    @property
    def key(self) -> MarkKey:
        """What the vector is found by."""
        return (self.session_id, self.occasion, self.calls)


class PartitionState:
    """All that is kept of one input partition: open sessions, clocks, degrees, alert history, position.

    Attributes:
        decode: how to read the topic; None when it holds calls in wire form.
        offset: offset of the record being processed, or of the last one.
        live: its records are processed for the first time; False while it is being restored.
        marks: decisions made since the last checkpoint.
        table_form: the degree table as last made durable, encoded.
        checkpointed: position of the last checkpoint; -1 before the first.
        templates: version of the route templates that its endpoints are of; empty when that is not known.
        would_be: what a challenger would have alerted; no part of what is durable.
    """

    __slots__ = (
        "checkpointed",
        "decode",
        "history",
        "live",
        "marks",
        "name",
        "observe",
        "offset",
        "table",
        "table_form",
        "templates",
        "windows",
        "would_be",
    )

    def __init__(
        self, name: TopicPartition, windows: SessionWindows, history: AlertHistory, decode: Decode | None
    ) -> None:
        self.name = name
        self.windows = windows
        self.observe = windows.observe  # bound once: it is called for every call
        self.table = windows.table
        self.history = history
        self.decode = decode
        self.offset = -1
        self.live = True
        self.marks: dict[MarkKey, Mark] = {}
        self.table_form = b""
        self.checkpointed = -1
        self.templates = ""
        self.would_be: WouldBeAlerts | None = None


@dataclass(slots=True)
class Sample:
    """A session with the vector just taken of it, and where in the log that was.

    The session may go on growing before it is scored; ``n_edges`` tells which of its edges the vector covers.

    Attributes:
        state: the session's partition.
        session: the session.
        vector: the vector.
        offset: offset of the record at which the vector was taken: of the session's own call when it is growing.
        clock: greatest event time of the partition at that moment, epoch milliseconds.
        record_time: arrival of the session's latest call, epoch milliseconds.
    """

    state: PartitionState
    session: Session
    vector: FeatureVector
    offset: int
    clock: int
    record_time: int

    @property
    def mark_key(self) -> MarkKey:
        """What a decision on the vector is found by."""
        return (self.vector.session_id, self.vector.occasion, self.vector.calls)

    @property
    def n_edges(self) -> int:
        """Edges of the session when the vector was taken: the first ones of the dict."""
        return int(self.vector.values[0])

    def called(self, max_edges: int) -> tuple[set[str], bool]:
        """Return the endpoints that the session is known to have called, and whether these are all of them.

        Args:
            max_edges: edges that a session keeps.
        """
        # Edges do not tell all that was called when there are none, or when there was no room for more.
        whole = 0 < self.n_edges < max_edges
        return endpoints_of(islice(self.session.edges, self.n_edges), self.state.table), whole


@dataclass(slots=True)
class Batch:
    """Everything that a batch of records led to.

    Attributes:
        positions: next offset to read, by input partition.
        calls: calls to pass on, each with its arrival time (epoch milliseconds, -1 unknown).
        samples: vectors taken, in log order.
        verdicts: one per sample.
        alerts: alerts raised.
        challenger_verdicts: the challenger's, one per sample; empty without one.
        challenger_alerts: kind and severity of those that the challenger would have raised.
        dead_letters: records, or parts, that went no further.
        marks: decisions that the partitions' state rests on, made in this batch.
        moved: idle partitions whose clocks the wall clock has moved.
        checkpoint: records for the state topics.
        checkpoints: checkpoints they make.
        records: records read.
        formats: calls understood, by format.
        ignored: entries that are by design no calls.
        accepted: calls put into a session.
        outcomes: calls that were not, by why.
        decisions: verdicts by what the alert policy made of them.
    """

    positions: dict[TopicPartition, int] = field(default_factory=dict)
    calls: list[tuple[ApiCall, int]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    challenger_verdicts: list[Verdict] = field(default_factory=list)
    challenger_alerts: list[tuple[AlertKind, Severity]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    marks: list[tuple[PartitionState, Mark]] = field(default_factory=list)
    moved: list[TopicPartition] = field(default_factory=list)
    checkpoint: list[Outgoing] = field(default_factory=list)
    checkpoints: int = 0
    records: int = 0
    accepted: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    decisions: Counter[Decision] = field(default_factory=Counter)

    def hold(self, state: PartitionState) -> None:
        """Note a partition's position: outputs without one would not be fenced when the partition is lost."""
        self.positions[state.name] = state.offset + 1


def dead_letter(record: Record, reason: Reason, detail: str) -> DeadLetter:
    """Return the dead letter of a whole record."""
    return DeadLetter(
        reason=reason,
        detail=detail,
        topic=record.topic(),
        partition=record.partition(),
        offset=record.offset(),
        timestamp=record.timestamp()[1],
        original=record.value() or b"",
        key=record.key(),
    )


def rejects_of(record: Record, decoded: Decoded) -> list[DeadLetter]:
    """Return the dead letters of the elements of a record that are no calls."""
    return [
        msgspec.structs.replace(
            dead_letter(record, reject.reason, reject.detail), original=reject.original, index=reject.index
        )
        for reject in decoded.rejects
    ]


def refusals(record: Record, refused: Mapping[Outcome, int], calls: int) -> list[DeadLetter]:
    """Return the dead letters of a record's calls that belong to no session.

    One for each reason, however many calls it concerns, because each holds the whole record. Duplicates get none: their
    first copy is kept.

    Args:
        record: the record.
        refused: how many of its calls were refused, by outcome.
        calls: how many calls it holds.
    """
    letters = []
    for outcome, count in refused.items():
        if outcome in _REFUSALS:
            reason, detail = _REFUSALS[outcome]
            share = "" if calls == 1 else f" ({count} of the record's {calls} calls)"
            letters.append(dead_letter(record, reason, detail + share))
    return letters
