"""A log in memory with what the protocol relies on: offsets, transactions, compaction, fencing; nothing else of Kafka.

A record of a transaction cannot be read before the transaction has ended, nor can what stands behind it; an aborted one
is never read. The group fences a member that it has put out when it adds offsets to a transaction, and not later.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from stream.records import TopicPartition
from stream.wire import Outgoing


class Phase(Enum):
    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


@dataclass(eq=False)
class Transaction:
    """One transaction: the offsets it has added, what came of it, and whether its worker has lost its partitions."""

    phase: Phase = Phase.OPEN
    lost: bool = False
    offsets: dict[TopicPartition, int] = field(default_factory=dict)


SINGLE = Transaction(Phase.COMMITTED)
"""What records written without a transaction belong to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in the log; ``about`` is what it was encoded from, and says more than its bytes."""

    offset: int
    record: Outgoing
    transaction: Transaction
    about: Any = None

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value


class Partition:
    """One partition of an output topic."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.end = 0

    def append(self, record: Outgoing, transaction: Transaction, about: Any = None) -> None:
        self.entries.append(Entry(self.end, record, transaction, about))
        self.end += 1

    def stable(self) -> int:
        """Return the offset up to which every transaction has ended."""
        waiting = (entry.offset for entry in self.entries if entry.transaction.phase is Phase.OPEN)
        return next(waiting, self.end)

    def committed(self) -> Iterator[Entry]:
        """Yield the committed records, also those that cannot be read yet."""
        return (entry for entry in self.entries if entry.transaction.phase is Phase.COMMITTED)

    def read(self, begin: int = 0) -> Iterator[Entry]:
        """Yield the committed records from an offset on, as far as a reader gets."""
        end = self.stable()
        return (entry for entry in self.committed() if begin <= entry.offset < end)

    def compact(self, below: int) -> None:
        """Keep the newest record of each key below an offset, and of deleted keys nothing."""
        below = min(below, self.stable())
        old = [own for own in self.entries if own.offset < below and own.transaction.phase is Phase.COMMITTED]
        newest = {entry.key(): entry.offset for entry in old}
        kept = [entry for entry in old if newest[entry.key()] == entry.offset and entry.value() is not None]
        self.entries = kept + [entry for entry in self.entries if entry.offset >= below]


class Log:
    """All output topics, the group's offsets, and the transactions on them."""

    def __init__(self) -> None:
        self.partitions: dict[tuple[str, int], Partition] = {}
        self.offsets: dict[TopicPartition, int] = {}
        self.transactions: list[Transaction] = []

    def at(self, topic: str, partition: int = 0) -> Partition:
        return self.partitions.setdefault((topic, partition), Partition())

    def append(self, record: Outgoing, transaction: Transaction, about: Any = None) -> None:
        self.at(record.topic, max(0, record.partition)).append(record, transaction, about)

    def begin(self) -> Transaction:
        transaction = Transaction()
        self.transactions.append(transaction)
        return transaction

    def end(self, transaction: Transaction, phase: Phase) -> None:
        assert transaction.phase is Phase.OPEN
        transaction.phase = phase
        self.transactions.remove(transaction)
        if phase is Phase.COMMITTED:
            self.offsets |= transaction.offsets

    def pending(self, name: TopicPartition) -> list[Transaction]:
        """Return the open transactions on a partition's offset: whoever asks for it waits until they have ended."""
        return [own for own in self.transactions if name in own.offsets]

    def holding_up(self, topic: str, partition: int) -> list[Transaction]:
        """Return the open transactions that a reader of a whole partition waits for."""
        found = (own.transaction for own in self.at(topic, partition).entries)
        return list(dict.fromkeys(own for own in found if own.phase is Phase.OPEN))

    def outwait(self, transactions: Iterable[Transaction]) -> bool:
        """Let the broker abort what nobody will end; return whether nothing is left to wait for."""
        waiting = list(transactions)
        self.abort(own for own in waiting if own.lost)
        return all(own.lost for own in waiting)

    def abort(self, transactions: Iterable[Transaction]) -> None:
        for transaction in transactions:
            self.end(transaction, Phase.ABORTED)
