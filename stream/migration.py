"""Migration: moves clients' sessions and cooldowns to the partitions that their calls go to now; pure, no broker.

Degree counts stay with the partition that counted them: what is read is their sum, which a move does not change. So a
session that is alerted after its move is taken back from a table that never counted it, whose numbers may fall below
zero; the sum is right.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from aiokafka.partitioner import murmur2  # type: ignore[import-untyped] # it ships no types

from featurizer.degrees import DESTINATION_MASK, EDGE_BITS, NOT_A_NODE, DegreeTable
from featurizer.session import Session
from stream.batches import PartitionState
from stream.records import Record
from stream.wire import client_key


class Moved(NamedTuple):
    """What a migration moved.

    Attributes:
        sessions: sessions that go on in another partition.
        cooldowns: likewise.
        torn: sessions left where they are, to end there, because their client has already begun one in its new
            partition.
    """

    sessions: int
    cooldowns: int
    torn: int


class Misplaced(NamedTuple):
    """Records whose clients' further calls go to another partition.

    Attributes:
        records: how many.
        clients: of how many clients.
        end: offset after the last of them.
    """

    records: int
    clients: int
    end: int


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's Java client and gatewatch's producers put a key into."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def misplaced(batches: Iterable[Sequence[Record]], partition: int, partitions: int) -> Misplaced:
    """Return which records of a partition would be in another one, were they written now."""
    count, end, keys = 0, 0, set[bytes]()
    for record in (record for batch in batches for record in batch):
        key = record.key()
        if key is not None and partition_of(key, partitions) != partition:
            count, end = count + 1, record.offset() + 1
            keys.add(key)
    return Misplaced(count, len(keys), end)


def move(states: Mapping[int, PartitionState]) -> Moved:
    """Move every open session and every cooldown of a topic to the partition that its client's calls go to.

    Args:
        states: every partition of the topic, by number.
    """
    sessions = torn = 0
    cooldowns: dict[int, dict[str, tuple[int, str]]] = {}
    homes: dict[str, int] = {}

    def home(client: str) -> int:
        known = homes.get(client)
        if known is None:
            known = homes[client] = partition_of(client_key(client), len(states))
        return known

    for number, state in states.items():
        windows = state.windows
        for client in [own for own in (*windows.open, *windows.parked) if home(own) != number]:
            target = states[home(client)]
            if client in target.windows.open or client in target.windows.parked:
                torn += 1
                continue
            session = windows.take_out(client)
            renumber(session, state.table, target.table)
            target.windows.put_in(session)
            sessions += 1
        for client, entry in state.history.take_out(lambda client, here=number: home(client) != here).items():  # type: ignore[misc] # a default is no parameter
            cooldowns.setdefault(home(client), {})[client] = entry
    for number, entries in cooldowns.items():
        states[number].history.put_in(entries)
    return Moved(sessions, sum(map(len, cooldowns.values())), torn)


def renumber(session: Session, before: DegreeTable, after: DegreeTable) -> None:
    """Number a session's endpoints as another table does.

    Beyond that table's cap several become its one overflow node, their edges one edge, and their objects those of one
    route.
    """
    numbers: dict[int, int] = {NOT_A_NODE: NOT_A_NODE}

    def number(node: int) -> int:
        if node not in numbers:
            numbers[node] = after.number(before.names[node])
        return numbers[node]

    edges: dict[int, int] = {}
    for edge, walks in session.edges.items():
        source, destination = number(edge >> EDGE_BITS), number(edge & DESTINATION_MASK)
        if NOT_A_NODE not in {source, destination}:  # its method is excluded since
            renumbered = source << EDGE_BITS | destination
            edges[renumbered] = edges.get(renumbered, 0) + walks
    objects: dict[int, int] = {}
    for node, noted in session.objects.items():
        if number(node) != NOT_A_NODE:
            objects[number(node)] = objects.get(number(node), 0) | noted
    session.edges, session.objects = edges, objects
    session.last_node = number(session.last_node)
