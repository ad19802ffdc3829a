"""Progress of feeding dead letters back: which of a partition have been, though filters have left some out.

Kafka keeps one offset a partition for a group. Here it is ``next``: the dead letters from it on have not been fed back.
Of those before it all have been, except of kinds that a filter left out: for each of these the first offset left out
is kept in the offset's metadata. A filter chooses whole kinds (source topic and reason), so this is exact, and small:
there are at most as many kinds as inputs times reasons.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

import msgspec

from stream.dead_letters import DeadLetter, Reason


class Kind(NamedTuple):
    """What filters tell apart."""

    source: str
    reason: Reason


class Selection(NamedTuple):
    """The kinds that a user has chosen; an empty set chooses all."""

    reasons: frozenset[Reason] = frozenset()
    sources: frozenset[str] = frozenset()

    def chooses(self, kind: Kind) -> bool:
        """Return whether a kind is chosen."""
        return (not self.reasons or kind.reason in self.reasons) and (not self.sources or kind.source in self.sources)


class PartitionProgress:
    """Which dead letters of one partition have been fed back; told of each, in the order of offsets.

    Args:
        start: offset from which on none has been.
        pending: first offset that has not been, by kind that is behind ``start``.

    Attributes:
        next: offset from which on none has been.
    """

    def __init__(self, start: int = 0, pending: Mapping[Kind, int] | None = None) -> None:
        self.next = start
        self._pending = dict(pending or {})

    @classmethod
    def decoded(cls, offset: int, metadata: str | None) -> Self:
        """Return the progress that a committed offset stands for; a negative one is none.

        Raises:
            ValueError: the metadata are not those of ``metadata``.
        """
        if not metadata:
            return cls(max(offset, 0))
        found = msgspec.json.decode(metadata, type=list[tuple[str, Reason, int]])
        return cls(max(offset, 0), {Kind(source, reason): first for source, reason, first in found})

    @property
    def metadata(self) -> str:
        """What is committed beside ``next``."""
        pending = [(*kind, first) for kind, first in sorted(self._pending.items())]
        return msgspec.json.encode(pending).decode() if pending else ""

    @property
    def first(self) -> int:
        """Offset before which all has been fed back."""
        return min(self.next, *self._pending.values()) if self._pending else self.next

    def due(self, kind: Kind, offset: int) -> bool:
        """Return whether a dead letter has not been fed back yet."""
        return offset >= self._pending.get(kind, self.next)

    def passed(self, kind: Kind, offset: int, *, chosen: bool) -> None:
        """Note that a dead letter has been dealt with, or that its kind has been left out."""
        if chosen and kind in self._pending:
            self._pending[kind] = max(self._pending[kind], offset + 1)
        elif not chosen and offset >= self.next:
            self._pending.setdefault(kind, offset)
        self.skipped(offset)
        if self._pending.get(kind, -1) >= self.next:
            del self._pending[kind]

    def skipped(self, offset: int) -> None:
        """Note a record that is no dead letter."""
        self.next = max(self.next, offset + 1)

    def finished(self, selection: Selection) -> None:
        """Note that the partition has been read to its end: nothing of the chosen kinds is left."""
        self._pending = {kind: first for kind, first in self._pending.items() if not selection.chooses(kind)}


def kind_of(letter: DeadLetter) -> Kind:
    """Return the kind of a dead letter."""
    return Kind(letter.topic, letter.reason)


def starts(progress: Mapping[int, PartitionProgress]) -> Iterator[tuple[int, int]]:
    """Yield from where on each partition has to be read."""
    return ((number, own.first) for number, own in progress.items())
