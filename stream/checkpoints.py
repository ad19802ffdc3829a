"""Checkpoints: a partition's state as records of the topic ``state``, and back; pure, no broker.

A checkpoint of a partition at position K says what has changed since the one before: sessions, cooldowns, the degree
table. Then comes Meta, which makes all that valid and says what there must be, so that one which is cut short, or
records that are gone, are noticed. Between checkpoints only marks are written (see ``stream.batches``); what follows
Meta deletes those that it made needless.

The key of a record is the input topic, NUL, one letter for its kind, and what it is about. The topic is compacted:
the newest record of each key is what counts.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees
from featurizer.degrees import DegreeTable, transitions_of
from featurizer.session import SessionPolicy
from scorer.budget import Spending
from stream.batches import Mark, MarkKey, PartitionState
from stream.errors import StateError
from stream.records import Keyed, TopicPartition
from stream.wire import Outgoing, client_key, client_of

K = TypeVar("K")

VERSION = 2
"""Of the records' form. A worker goes on from state of version 1, which has sessions of form 1 (``featurizer.session``)
and neither counts of transitions nor what was spent of an alert budget; it refuses state of any other."""

_READABLE = (1, VERSION)

_SESSION, _COOLDOWN, _MARK, _TABLE, _META = b"s", b"c", b"a", b"t", b"m"


class Meta(msgspec.Struct, frozen=True, array_like=True):
    """The record that ends a checkpoint.

    Attributes:
        version: VERSION of the program that wrote it.
        position: offset of the next record to read.
        max_time: greatest event time seen, epoch milliseconds.
        record_clock: greatest arrival time seen, epoch milliseconds.
        sessions: sessions open.
        cooldowns: clients in their cooldown.
        partitions: partitions the input topic had.
        policy: limits of sessions in force up to the position.
        spending: what was spent of the alert budget.
        templates: version of the route templates in force at the position; empty when the program that wrote it kept
            none, or nothing has an endpoint.
    """

    version: int
    position: int
    max_time: int
    record_clock: int
    sessions: int
    cooldowns: int
    partitions: int
    policy: SessionPolicy
    spending: Spending = Spending()
    templates: str = ""


class Table(msgspec.Struct, frozen=True, array_like=True):
    """A DegreeTable: endpoints in the order of their numbers, and their degrees.

    Attributes:
        version: VERSION of the program that wrote it.
        partitions: partitions the input topic had.
        edges: edges counted.
        names: endpoints.
        source: edges that leave each endpoint.
        destination: edges that enter each.
        transitions: sessions that made an edge, by the packed edge.
    """

    version: int
    partitions: int
    edges: int
    names: list[str]
    source: list[int]
    destination: list[int]
    transitions: dict[int, int] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(Meta).decode
_decode_mark = msgspec.msgpack.Decoder(Mark).decode
_decode_table = msgspec.msgpack.Decoder(Table).decode
_decode_cooldown = msgspec.msgpack.Decoder(tuple[int, str]).decode


class StateTopics(msgspec.Struct, frozen=True):
    """Names of the topics that state is kept in."""

    state: str
    degrees: str


def checkpoint(state: PartitionState, topics: StateTopics, partitions: int) -> list[Outgoing]:
    """Return the records of a partition's checkpoint at its present position, and park its sessions.

    The marks made so far are part of it, so they are forgotten.

    Args:
        state: the partition.
        topics: where to.
        partitions: partitions its topic has.
    """
    windows, history, partition = state.windows, state.history, state.name.partition
    prefix = _prefix(state.name)
    records: list[Outgoing] = []

    def put(key: bytes, value: bytes | None) -> None:
        records.append(Outgoing(topics.state, prefix + key, value, partition=partition))

    changed, ended = windows.park()
    for client, packed in changed.items():
        put(_SESSION + client_key(client), packed)
    for client in ended:
        put(_SESSION + client_key(client), None)
    for client in history.changed:
        entry = history.entry(client)
        put(_COOLDOWN + client_key(client), None if entry is None else _encode(entry))
    history.changed.clear()
    table = encode_table(state.table, partitions)
    if table != state.table_form:
        state.table_form = table
        put(_TABLE, table)
        records.append(Outgoing(topics.degrees, str(state.name).encode(), table))
    state.checkpointed = position = state.offset + 1
    clocks = (windows.max_time, windows.record_clock)
    counts = (len(windows), len(history), partitions)
    meta = Meta(VERSION, position, *clocks, *counts, windows.policy, history.spending, state.templates)
    put(_META, _encode(meta))
    # Only now: were the checkpoint cut short before its end, a replay would still need them.
    for mark in state.marks.values():
        put(_mark_key(mark), None)
    state.marks.clear()
    return records


def mark_record(state: PartitionState, mark: Mark, topic: str) -> Outgoing:
    """Return the record of a mark; a checkpoint deletes it."""
    return Outgoing(topic, _prefix(state.name) + _mark_key(mark), _encode(mark), partition=state.name.partition)


def encode_table(table: DegreeTable, partitions: int) -> bytes:
    """Return the wire form of a degree table, on both state topics."""
    counts = (table.names, table.source, table.destination, table.transitions)
    return _encode(Table(VERSION, partitions, table.edges, *counts))


def decode_degrees(value: bytes) -> tuple[DegreeSnapshot, int]:
    """Return the degrees of a record of the topic ``degrees``, and how many partitions the input topic had.

    Raises:
        msgspec.DecodeError: it is no such record.
    """
    table = _decode_table(value)
    rows = zip(table.names, table.source, table.destination, strict=True)
    degrees = {name: EndpointDegrees(source, into) for name, source, into in rows}
    return DegreeSnapshot(table.edges, degrees, transitions_of(table.names, table.transitions)), table.partitions


@dataclass
class Snapshot:
    """What the records of one partition's checkpoints amount to.

    Attributes:
        meta: of the latest checkpoint; None when there is none.
        sessions: packed sessions by client.
        cooldowns: when a client was last alerted and in which session, by client.
        table: the degree table; None without a checkpoint.
        table_form: the same, encoded.
        marks: decisions made since the checkpoint.
        doubtful: clients whose records belong to a checkpoint that was cut short: to be written again.
    """

    meta: Meta | None = None
    sessions: dict[str, bytes] = field(default_factory=dict)
    cooldowns: dict[str, tuple[int, str]] = field(default_factory=dict)
    table: Table | None = None
    table_form: bytes = b""
    marks: dict[MarkKey, Mark] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)


class Restoration:
    """Reads one partition's records of the topic ``state``, in order, into a Snapshot.

    Nothing of a session is decoded but its client: a million of them are bytes put into a dict. What comes after the
    latest Meta belongs to a checkpoint that was never finished (only at_least_once can leave one) and is undone.

    What cannot be read counts only if nothing has replaced or deleted it since: the topic still has it until it is
    compacted.

    Args:
        name: the input partition.
    """

    def __init__(self, name: TopicPartition) -> None:
        self.records = 0
        self._name = name
        self._prefix = _prefix(name)
        self._kept: dict[bytes, dict[str, bytes]] = {_SESSION: {}, _COOLDOWN: {}, _TABLE: {}}
        self._marks: dict[bytes, bytes] = {}
        self._unknown: dict[bytes, bytes] = {}
        self._meta: bytes | None = None
        self._undo: dict[tuple[bytes, str], bytes | None] | None = None

    def feed(self, messages: Iterable[Keyed]) -> None:
        """Take over the next records; those of other input topics are passed over."""
        prefix, at = self._prefix, len(self._prefix)
        kept, undo = self._kept, self._undo
        for message in messages:
            key, value = message.key() or b"", message.value()
            if not key.startswith(prefix):
                continue
            self.records += 1
            kind = key[at : at + 1]
            store = kept.get(kind)
            if store is None:
                self._other(kind, key, value)
                undo = self._undo
                continue
            try:
                about = client_of(key[at + 1 :])
            except UnicodeDecodeError:
                _keep(self._unknown, key, value)
                continue
            if undo is not None and (kind, about) not in undo:
                undo[kind, about] = store.get(about)
            _keep(store, about, value)

    def finish(self) -> Snapshot:
        """Return what there is.

        Raises:
            StateError: records are missing, unreadable or of another version.
        """
        doubtful = {about for _, about in self._undo or ()}
        for (kind, about), value in (self._undo or {}).items():
            _keep(self._kept[kind], about, value)
        try:
            return self._snapshot(doubtful)
        except (msgspec.DecodeError, IndexError) as error:
            raise self._failure(f"a record cannot be read ({error})") from error

    def _snapshot(self, doubtful: set[str]) -> Snapshot:
        sessions, cooldowns, table = self._kept.values()
        meta = None if self._meta is None else self._decode_meta(self._meta)
        for key in self._unknown:
            raise self._failure(f"there is a record of the unknown kind {key[len(self._prefix) :][:1]!r}")
        marks = {mark.key: mark for mark in map(_decode_mark, self._marks.values())}
        if meta is None:
            return Snapshot(marks=marks, doubtful={*sessions, *cooldowns} - {""})
        self._require("sessions", len(sessions), meta.sessions)
        self._require("cooldowns", len(cooldowns), meta.cooldowns)
        self._require("degree table", len(table), 1)
        read = {client: _decode_cooldown(value) for client, value in cooldowns.items()}
        form = table[""]
        return Snapshot(meta, sessions, read, _decode_table(form), form, marks, doubtful - {""})

    def _other(self, kind: bytes, key: bytes, value: bytes | None) -> None:
        """Take over a mark, or the end of a checkpoint."""
        if kind == _MARK:
            _keep(self._marks, key, value)
        elif kind == _META:
            self._meta = value
            self._undo = None if value is None else {}
        else:
            _keep(self._unknown, key, value)

    def _decode_meta(self, value: bytes) -> Meta:
        version = version_of(value)
        if version not in _READABLE:
            raise StateError(
                f"the state of {self._name} has version {version}, this program reads {VERSION}",
                "run the program that wrote it, or give the state up with: gatewatch state reset",
            )
        return _decode_meta(value)

    def _require(self, what: str, found: int, wanted: int) -> None:
        if found != wanted:
            raise self._failure(f"its last checkpoint had {wanted} {what}, and {found} are there")

    def _failure(self, what: str) -> StateError:
        return StateError(
            f"the state of {self._name} is not whole: {what}",
            "restore the topic from a copy, or give the state up with: gatewatch state reset",
        )


def version_of(meta: bytes) -> object:
    """Return the version that a Meta says it has; it need not be one that this program reads.

    Raises:
        msgspec.DecodeError: it is no Meta.
        IndexError: likewise.
    """
    return msgspec.msgpack.decode(meta, type=list[object])[0]


def restore_tables(state: PartitionState, snapshot: Snapshot) -> None:
    """Fill an empty partition with a snapshot, all but its sessions; it is not live yet.

    Its limits are those of the snapshot until it has been replayed.
    """
    state.live = False
    state.marks = dict(snapshot.marks)
    state.history.changed.update(snapshot.doubtful)
    meta, table = snapshot.meta, snapshot.table
    if meta is not None and table is not None:
        state.table.restore(table.names, table.source, table.destination, table.edges, table.transitions)
        state.table_form = b"" if snapshot.doubtful else snapshot.table_form
        state.history.restore(snapshot.cooldowns)
        state.history.spending = meta.spending
        state.windows.policy = meta.policy
        state.templates = meta.templates
        state.checkpointed = meta.position
        state.offset = meta.position - 1


def restore_sessions(state: PartitionState, snapshot: Snapshot) -> None:
    """Put a snapshot's sessions into a partition that is not live yet; they belong to nobody else, so any thread may.

    Raises:
        StateError: a session is of another version, or cut.
    """
    if snapshot.meta is not None:
        try:
            state.windows.restore(snapshot.sessions, snapshot.meta.max_time, snapshot.meta.record_clock)
        except (ValueError, struct.error) as error:
            raise StateError(
                f"the state of {state.name} cannot be read: {error}", "give it up with: gatewatch state reset"
            ) from error
    state.windows.rewrite(snapshot.doubtful)


def is_of(key: bytes, name: TopicPartition) -> bool:
    """Return whether a record of the topic of state belongs to an input partition's topic."""
    return key.startswith(_prefix(name))


def is_meta(key: bytes, name: TopicPartition) -> bool:
    """Return whether a key is that of an input partition's Meta."""
    return key == _prefix(name) + _META


def _keep(store: dict[K, bytes], key: K, value: bytes | None) -> None:
    """Let a record replace the one of its key, or delete it."""
    if value is None:
        store.pop(key, None)
    else:
        store[key] = value


def _prefix(name: TopicPartition) -> bytes:
    return name.topic.encode() + b"\0"


def _mark_key(mark: Mark) -> bytes:
    return _MARK + f"{mark.session_id} {mark.occasion}".encode()
